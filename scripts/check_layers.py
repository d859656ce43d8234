#!/usr/bin/env python3
"""Checks the rules of src/layers.txt and CONTRIBUTING.md: the includes of each module, and a few more rules that a script can check.

    scripts/check_layers.py [ROOT]

Prints one line per fault, "file:line: what; what would be right", and ends with 1 if there are any.
"""

import pathlib
import re
import sys

MAX_LINES = 400
TOP_LEVEL = {"src", "configs", "scripts", "data", "tests", "docs", "CMakeLists.txt", "CMakePresets.json", "Makefile", "README.md",
             "CITATION.cff", "CONTRIBUTING.md", "LICENSE"}
MADE_HERE = re.compile(r"\..*|build.*|runs|compile_commands\.json|__pycache__")    # hidden files and what .gitignore lists
NO_ROOMS = {"utils", "util", "common", "helpers", "misc"}
INCLUDE = re.compile(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
TORCH = re.compile(r"(ATen|c10|torch|caffe2)/")

# (pattern, files where it may stand, what would be right), looked for in src/ outside comments and strings.
FORBIDDEN = [
    (r"\bTORCH_VERSION\w*", r"ops/torch_compat\.(h|cpp)", "only ops/torch_compat asks for the LibTorch version"),
    (r"(?<![\w.>])(?:std::)?(?:exit|quick_exit|abort)\s*\(", r"app/.*", "throw through base/error.h; only src/app ends the program"),
    (r"\bstd::(?:cerr|clog)\b", r"app/.*|ops/torch_warnings\.cpp", "use base/log.h"),
    (r"\bdynamic_cast\b", r"(?!)", "use a virtual function or a variant"),
    (r"\busing\s+namespace\b", r"(?!)", "name what is used"),
    (r"^\s*#\s*define\b", r"(?!)", "use constexpr or a template"),
]


def read_table(path):
    """{folder: set of folders it may include}, in the order of the file; 'torch' among them where LibTorch is allowed."""
    table = {}
    for line in path.read_text().splitlines():
        row = re.fullmatch(r"([a-z]+):((?:\s+[a-z]+)*)\s*", line)
        if row:
            table[row[1]] = set(row[2].split())
    return table


def code_lines(text):
    """Lines without comments and without the content of strings, so that neither is taken for code. Includes keep their names."""
    def blank(match):
        kept = match[0] if match[0].startswith("#") else '""' if match[0].startswith('"') else ""
        return kept + "\n" * (match[0].count("\n") - kept.count("\n"))
    pattern = r'#\s*include[^\n]*|//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
    return re.sub(pattern, blank, text, flags=re.DOTALL).splitlines()


def check_table(root, table):
    seen = set()
    for folder, links in table.items():
        for link in sorted(links - seen - {"torch"}):
            yield f"src/layers.txt:1: {folder} may include {link}; a row names only rows above it"
        seen.add(folder)
    for folder in sorted(p.name for p in (root / "src").iterdir() if p.is_dir()):
        if folder in NO_ROOMS:
            yield f"src/{folder}:1: a folder without a purpose; put code where it is used"
        elif folder not in table:
            yield f"src/{folder}:1: not in src/layers.txt; give it a row"


def check_include(root, table, folder, name, in_src):
    """What is wrong with an include of `name` by a file in `folder`; None if nothing."""
    if name == "torch/torch.h":
        return "torch/torch.h costs 15 s and 1 GB per file; include narrow headers"
    if TORCH.match(name) and "torch" not in table[folder]:
        return f"{folder} knows nothing of LibTorch"
    target = name.split("/")
    if target[0] == "tests":
        if in_src:
            return "src/ does not include tests/"
        target = target[1:]
    if target[0] not in table:
        return None
    if target[0] != folder and target[0] not in table[folder]:
        return f"{folder} may include: {' '.join(sorted(table[folder])) or 'nothing'}"
    base = root if name.startswith("tests/") else root / "src"
    return None if (base / name).is_file() or (base / f"{name}.in").is_file() else "there is no such file"


def check_file(root, table, path):
    place = path.relative_to(root).as_posix()
    area, folder, *_ = place.split("/")
    inside = place.split("/", 1)[1]
    for number, line in enumerate(code_lines(path.read_text()), 1):
        include = INCLUDE.match(line)
        if include and folder in table:
            name = include[1] or include[2]
            fault = check_include(root, table, folder, name, area == "src")
            if re.match(r"(spdlog|fmt)/", name) and place != "src/base/log.cpp":
                fault = "only src/base/log.cpp uses spdlog: LibTorch ships another fmt"
            if fault:
                yield f"{place}:{number}: includes {name}; {fault}"
            continue
        for pattern, allowed, right in FORBIDDEN if area == "src" else []:
            found = re.search(pattern, line)
            if found and not re.fullmatch(allowed, inside):
                yield f"{place}:{number}: {found[0].strip()}; {right}"


def check_sizes(root):
    for area in ("src", "tests", "scripts"):
        for path in sorted((root / area).rglob("*")):
            if path.suffix in {".h", ".cpp", ".py", ".sh", ".cmake", ".cu"} and path.is_file():
                count = len(path.read_text().splitlines())
                if count >= MAX_LINES:
                    yield f"{path.relative_to(root)}:{count}: {count} lines; a file has fewer than {MAX_LINES}"


def check(root):
    table = read_table(root / "src/layers.txt")
    yield from check_table(root, table)
    for name in sorted(p.name for p in root.iterdir()):
        if name not in TOP_LEVEL and not MADE_HERE.fullmatch(name):
            yield f"{name}:1: does not belong at the top; that is for {' '.join(sorted(TOP_LEVEL))}"
    for area in ("src", "tests"):
        for path in sorted((root / area).rglob("*")):
            if path.suffix in {".h", ".cpp", ".cu"} and len(path.relative_to(root).parts) > 2:
                yield from check_file(root, table, path)
    yield from check_sizes(root)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[1])
    faults = list(check(root))
    print("\n".join(faults) if faults else "layers: every include and every file is where it belongs")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
