#!/usr/bin/env python3
"""Checks the module dependencies in src/layers.txt and the style rules that a script can check.

    scripts/check_layers.py [ROOT]

Prints one line per problem, "file:line: received; expected". Exits with 1 if there are any.
"""

import pathlib
import re
import sys

MAX_LINES = 400  # exclusive
MAX_COLUMNS = 100
TOP_LEVEL = {
    "src",
    "configs",
    "scripts",
    "data",
    "tests",
    "docs",
    "CMakeLists.txt",
    "CMakePresets.json",
    "Makefile",
    "README.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
}
# Hidden files and the entries of .gitignore.
GENERATED = re.compile(r"\..*|build.*|runs|compile_commands\.json|__pycache__")
GENERIC_NAMES = {"utils", "util", "common", "helpers", "misc"}
# Checked for length and width: source files in these folders, and the two files at the top.
SOURCE_FOLDERS = ("src", "tests", "scripts", "configs")
SOURCE_SUFFIXES = {".h", ".cpp", ".py", ".sh", ".cmake", ".cu", ".yaml"}
SOURCE_NAMES = {"CMakeLists.txt", "Makefile"}
# Raw test data and generated pages: not checked.
EXEMPT = re.compile(
    r"tests/config/fuzz_corpus/.*|docs/results/[^/]+/table\.md|docs/(config|formats)\.md"
)
INCLUDE = re.compile(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
TORCH = re.compile(r"(ATen|c10|torch|caffe2)/")

# (pattern, files that may contain it, what to do instead); searched in src/ outside comments and
# strings.
FORBIDDEN = [
    (
        r"\bTORCH_VERSION\w*",
        r"ops/torch_compat\.(h|cpp)",
        "only ops/torch_compat may query the LibTorch version",
    ),
    (
        r"(?<![\w.>])(?:std::)?(?:exit|quick_exit|abort)\s*\(",
        r"app/.*",
        "throw through base/error.h; only src/app may end the process",
    ),
    (r"\bstd::(?:cerr|clog)\b", r"app/.*|ops/torch_warnings\.cpp", "use base/log.h"),
    (r"\bdynamic_cast\b", r"(?!)", "use a virtual function or a variant"),
    (r"\busing\s+namespace\b", r".*\.cu", "use qualified names"),
    (r"^\s*#\s*define\b", r"gpu/target\.h", "use constexpr or a template"),
]


def read_table(path):
    """{folder: set of folders it may include}, in file order; 'torch' is LibTorch."""
    table = {}
    for line in path.read_text().splitlines():
        row = re.fullmatch(r"([a-z]+):((?:\s+[a-z]+)*)\s*", line)
        if row:
            table[row[1]] = set(row[2].split())
    return table


def code_lines(text):
    """Lines without comments and string contents. The names in #include lines are kept."""

    def blank(match):
        kept = match[0] if match[0].startswith("#") else '""' if match[0].startswith('"') else ""
        return kept + "\n" * (match[0].count("\n") - kept.count("\n"))

    pattern = r'#\s*include[^\n]*|//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
    return re.sub(pattern, blank, text, flags=re.DOTALL).splitlines()


def check_table(root, table):
    seen = set()
    for folder, links in table.items():
        for link in sorted(links - seen - {"torch"}):
            yield f"src/layers.txt:1: {folder} depends on {link}; expected modules listed above it"
        seen.add(folder)
    for folder in sorted(p.name for p in (root / "src").iterdir() if p.is_dir()):
        if folder in GENERIC_NAMES:
            yield f"src/{folder}:1: generic folder name; put the code in the module that uses it"
        elif folder not in table:
            yield f"src/{folder}:1: missing from src/layers.txt; add a row"


def check_include(root, table, folder, name, in_src):
    """The problem with an include of `name` by a file in `folder`, or None."""
    if name == "torch/torch.h":
        return "torch/torch.h costs 15 s and 1 GB per file; include narrow headers"
    if TORCH.match(name) and "torch" not in table[folder]:
        return f"{folder} must not depend on LibTorch"
    target = name.split("/")
    if target[0] == "tests":
        if in_src:
            return "src/ must not include tests/"
        target = target[1:]
    if target[0] not in table:
        return None
    if target[0] != folder and target[0] not in table[folder]:
        return f"{folder} may include: {' '.join(sorted(table[folder])) or 'no other module'}"
    base = root if name.startswith("tests/") else root / "src"
    found = (base / name).is_file() or (base / f"{name}.in").is_file()
    return None if found else "file not found"


def check_file(root, table, path):
    place = path.relative_to(root).as_posix()
    area, folder, *_ = place.split("/")
    inside = place.split("/", 1)[1]
    for number, line in enumerate(code_lines(path.read_text()), 1):
        include = INCLUDE.match(line)
        if include and folder in table:
            name = include[1] or include[2]
            problem = check_include(root, table, folder, name, area == "src")
            if re.match(r"(spdlog|fmt)/", name) and place != "src/base/log.cpp":
                problem = "only src/base/log.cpp may use spdlog: LibTorch ships another fmt"
            if problem:
                yield f"{place}:{number}: includes {name}; {problem}"
            continue
        for pattern, allowed, instead in FORBIDDEN if area == "src" else []:
            found = re.search(pattern, line)
            if found and not re.fullmatch(allowed, inside):
                yield f"{place}:{number}: {found[0].strip()}; {instead}"


def text_files(root):
    """{place: path} of source files and Markdown pages."""
    paths = [root / name for name in SOURCE_NAMES] + list(root.glob("*.md"))
    for folder in SOURCE_FOLDERS:
        for path in (root / folder).rglob("*"):
            if path.suffix in SOURCE_SUFFIXES | {".md"} or path.name in SOURCE_NAMES:
                paths.append(path)
    paths += (root / "docs").rglob("*.md")
    paths += (root / "data").glob("*.md")
    places = {path.relative_to(root).as_posix(): path for path in paths if path.is_file()}
    return {place: places[place] for place in sorted(places) if not EXEMPT.fullmatch(place)}


def is_too_wide(line, is_markdown):
    """Exempt: table rows, and lines with a word or a link that cannot be broken."""
    if len(line) <= MAX_COLUMNS or (is_markdown and line.lstrip().startswith("|")):
        return False
    indent = len(line) - len(line.lstrip())
    for word in line.split():
        is_link = is_markdown and "://" in word
        if len(word) + (indent if is_link else 0) > MAX_COLUMNS:
            return False
    return True


def check_text(root):
    for place, path in text_files(root).items():
        is_markdown = path.suffix == ".md"
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        if not is_markdown and path.suffix != ".yaml" and len(lines) >= MAX_LINES:
            yield f"{place}:{len(lines)}: {len(lines)} lines; expected fewer than {MAX_LINES}"
        for number, line in enumerate(lines, 1):
            if is_too_wide(line, is_markdown):
                yield f"{place}:{number}: {len(line)} columns; expected at most {MAX_COLUMNS}"


def check(root):
    table = read_table(root / "src/layers.txt")
    yield from check_table(root, table)
    for name in sorted(p.name for p in root.iterdir()):
        if name not in TOP_LEVEL and not GENERATED.fullmatch(name):
            yield f"{name}:1: unexpected at the top level; expected {' '.join(sorted(TOP_LEVEL))}"
    for area in ("src", "tests"):
        for path in sorted((root / area).rglob("*")):
            if path.suffix in {".h", ".cpp", ".cu"} and len(path.relative_to(root).parts) > 2:
                yield from check_file(root, table, path)
    yield from check_text(root)


def main():
    root = pathlib.Path(
        sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[1]
    )
    problems = list(check(root))
    print("\n".join(problems) if problems else "layers: no problems found")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
