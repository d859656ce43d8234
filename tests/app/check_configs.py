"""Validates configurations against the JSON Schema that their first line names, as an editor does.

    check_configs.py DIRECTORY

Prints the problems. Each file must also be rejected with an unknown key.
"""

import json
import pathlib
import re
import sys

import yaml
from jsonschema import Draft202012Validator

LINE = re.compile(r"# yaml-language-server: \$schema=(\S+)")


class Loader(yaml.SafeLoader):
    """YAML 1.2, as editors and Sluice read it: 2e-3 is a number, `on` is text."""


OTHER = {"tag:yaml.org,2002:" + name for name in ("float", "bool", "timestamp")}
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in OTHER]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(true|false)$"), list("tf"))


def problems_of(path):
    line = LINE.fullmatch(path.read_text().splitlines()[0])
    if line is None:
        return ["the first line names no schema"]
    schema_path = path.parent / line[1]
    if not schema_path.exists():
        return [f"{line[1]}: file not found"]
    schema = json.loads(schema_path.read_text())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    config = yaml.load(path.read_text(), Loader)
    problems = [f"{one.json_path}: {one.message[:300]}" for one in validator.iter_errors(config)]
    for section in [None, *(key for key, value in config.items() if isinstance(value, dict))]:
        changed = json.loads(json.dumps(config))
        (changed if section is None else changed[section])["no_such_key"] = 1
        if validator.is_valid(changed):
            problems.append(f"accepts any key in {section or 'the file'}")
    return problems


paths = sorted(pathlib.Path(sys.argv[1]).rglob("*.yaml"))
for path in paths:
    for problem in problems_of(path):
        print(f"{path}: {problem}")
print(len(paths))
