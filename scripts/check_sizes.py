#!/usr/bin/env python3
"""Reports functions, classes and parameter lists in src/ that are too long.

    scripts/check_sizes.py [ROOT]

Limits: functions 60 lines, classes 150 lines, 6 parameters. Relies on clang-format: a definition
ends at the closing brace with the indentation of its first line. Not checked: structs, and
functions named `fields`, which are tables. Exits with 1 if there are any problems.
"""

import pathlib
import re
import sys

MAX_FUNCTION, MAX_CLASS, MAX_PARAMETERS = 60, 150, 6

CLASS = re.compile(r"^(\s*)class (?:alignas\(\S+\) )?(\w+)[^;()]*\{$")
CONTROL = re.compile(
    r"^\s*(?:\}\s*)?(?:if|for|while|switch|else|do|try|catch|return|namespace|class|struct|union"
    r"|enum|extern|case|default)\b"
)
FUNCTION = re.compile(r"([~\w]+|operator\S+)\(")


def code_of(line):
    """The line without string literals and comments."""
    line = re.sub(r'"(?:\\.|[^"\\])*"', '""', line)
    line = re.sub(r"'(?:\\.|[^'\\])'", "' '", line)
    return line.split("//")[0].rstrip()


def without_raw_strings(text):
    return re.sub(
        r'R"(\w*)\((.*?)\)\1"', lambda m: '""' + "\n" * m.group(0).count("\n"), text, flags=re.S
    )


def num_parameters(head):
    """Length of the parameter list that `head` opens: top-level commas plus one, 0 if empty."""
    depth, count, seen = 0, 0, False
    for i, char in enumerate(head):
        if char in "([{<":
            depth += 1
        elif char in ")]}" or (char == ">" and head[i - 1] != "-"):
            depth -= 1
            if depth == 0:
                break
        elif char == "," and depth == 1:
            count += 1
        elif depth == 1 and not char.isspace():
            seen = True
    return count + 1 if seen else 0


def opening_line(code, end):
    """First line of the parentheses that are closed on line `end`."""
    start, balance = end, 0
    while True:
        balance += code[start].count("(") - code[start].count(")")
        if balance >= 0 or start == 0:
            return start
        start -= 1


def signature_line(code, end):
    """First line of the signature of the definition whose body opens at the end of line `end`."""
    start = opening_line(code, end)
    first = start  # of the member-initializer list, if there is one
    while not code[first].lstrip().startswith(": "):
        if first == 0 or not code[first - 1] or code[first - 1].endswith((";", "{", "}")):
            return start
        first -= 1
    if first == 0 or not re.search(r"\)(?: noexcept)?$", code[first - 1]):
        return start  # a base class or a conditional expression
    return opening_line(code, first - 1)


def definitions(lines):
    """(kind, name, first line, number of lines, parameters) of each class and function."""
    code = [code_of(line) for line in lines]
    for i, line in enumerate(code):
        is_class = CLASS.match(line)
        if is_class:
            yield "class", is_class.group(2), i, length(code, i, is_class.group(1)), 0
            continue
        if not line.endswith("{") or CONTROL.match(line):
            continue
        start = signature_line(code, i)
        head = " ".join(part.strip() for part in code[start : i + 1])
        name = FUNCTION.search(head)
        if (
            name is None
            or name.group(1).endswith("_")
            or CONTROL.match(code[start])
            or "](" in head.split("{")[0]
            or re.search(r"[^=!<>]=[^=]", head.split("(")[0])
        ):
            continue
        indent = re.match(r"\s*", code[start]).group(0)
        if len(indent) > 4:  # a call or a lambda inside a function
            continue
        yield (
            "function",
            name.group(1),
            start,
            length(code, start, indent),
            num_parameters(head[name.end() - 1 :]),
        )


def length(code, start, indent):
    for end in range(start + 1, len(code)):
        if code[end].startswith(indent + "}") and not code[end].startswith(indent + "} "):
            return end - start + 1
    return len(code) - start


def problems_of(path, text):
    found = []
    for kind, name, start, num_lines, parameters in definitions(
        without_raw_strings(text).split("\n")
    ):
        place = f"{path}:{start + 1}: {kind} {name}"
        if kind == "class" and num_lines > MAX_CLASS:
            found.append(f"{place}: received {num_lines} lines; expected at most {MAX_CLASS}")
        if kind == "function" and name != "fields" and num_lines > MAX_FUNCTION:
            found.append(f"{place}: received {num_lines} lines; expected at most {MAX_FUNCTION}")
        if parameters > MAX_PARAMETERS:
            found.append(
                f"{place}: received {parameters} parameters; expected at most {MAX_PARAMETERS}"
            )
    return found


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    files = sorted(path for path in (root / "src").rglob("*") if path.suffix in {".h", ".cpp"})
    if not files:
        sys.exit(f"{root}/src: no source files; expected the root of a checkout")
    found = [
        problem
        for path in files
        for problem in problems_of(path.relative_to(root), path.read_text(encoding="utf-8"))
    ]
    print("\n".join(found) if found else "sizes: no problems found")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
