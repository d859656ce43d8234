"""Which commands of a page are run."""

import pathlib
import unittest

import run_readme

PAGE = """Text.

```yaml
make: no command
```

```
make quickstart   # installs
make test         # left out
$ make shown
```

```
build/sluice plan configs/quickstart.yaml
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
    def test_those_of_blocks_without_a_language(self):
        self.assertEqual(run_readme.commands_of(PAGE), ["make quickstart", "build/sluice plan configs/quickstart.yaml", "build/sluice doctor"])

    def test_the_readme_has_them_all(self):
        text = pathlib.Path(run_readme.__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
        plain = [line.split("   #")[0].split(" #")[0].strip() for line in text.splitlines() if line.startswith(("make ", "build/sluice ", ".venv/bin/python "))]
        self.assertEqual(run_readme.commands_of(text), [line for line in plain if line not in run_readme.SKIPPED])


if __name__ == "__main__":
    unittest.main()
