"""Which commands of a page run_readme.py runs."""

import pathlib
import unittest

import run_readme

PAGE = r"""Text.

```yaml
make: not a command
```

```
make quickstart   # installs
make test         # skipped
$ make shown
```

```
build/sluice plan configs/quickstart.yaml
build/sluice eval run \
  --json
other words
```

```python
make = 1
```

```
build/sluice doctor
```
"""


class Commands(unittest.TestCase):
    def test_finds_commands_and_python(self):
        self.assertEqual(
            run_readme.commands_of(PAGE),
            [
                "make quickstart",
                "build/sluice plan configs/quickstart.yaml",
                "build/sluice eval run --json",
                ".venv/bin/python -c 'make = 1'",
                "build/sluice doctor",
            ],
        )

    def test_finds_all_commands_of_the_readme(self):
        text = (
            pathlib.Path(run_readme.__file__)
            .parents[1]
            .joinpath("README.md")
            .read_text(encoding="utf-8")
        )
        plain = [
            line.split("   #")[0].split(" #")[0].strip()
            for line in text.replace(" \\\n  ", " ").splitlines()
            if line.startswith(("make ", "build/sluice ", ".venv/bin/python "))
        ]
        found = run_readme.commands_of(text)
        programs = [command for command in found if "\n" in command]
        self.assertEqual(len(programs), 1)
        self.assertIn("AutoModelForCausalLM", programs[0])
        self.assertEqual(
            [command for command in found if command not in programs],
            [line for line in plain if line not in run_readme.SKIPPED],
        )


if __name__ == "__main__":
    unittest.main()
