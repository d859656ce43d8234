#!/usr/bin/env python3
"""Validates report.html: well-formed HTML and XML, no external resources, unique ids, valid links.

    check_page.py PAGE

Prints the problems; exits with 1 if there are any.
"""

import html.parser
import pathlib
import re
import sys
import xml.etree.ElementTree

VOID = {"meta", "br", "link", "img", "hr"}


class Reader(html.parser.HTMLParser):
    """Collects unclosed tags, ids, links and elements."""

    def __init__(self):
        super().__init__()
        self.open, self.errors, self.ids, self.links, self.tags = [], [], [], [], set()

    def handle_startendtag(self, tag, attrs):
        self.record(tag, attrs)

    def handle_starttag(self, tag, attrs):
        self.record(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.errors.append(f"line {self.getpos()[0]}: unexpected </{tag}>")

    def record(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in {"href", "src", "srcset", "data", "action"}:
                self.links.append(value)
            if name.startswith("on") or name == "style":
                self.errors.append(f"attribute {name}")


def errors_of(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    yield from reader.errors
    if reader.open:
        yield f"unclosed: {reader.open}"
    for tag in sorted(
        reader.tags & {"script", "iframe", "object", "embed", "link", "img", "base", "form"}
    ):
        yield f"<{tag}>"
    for duplicate in sorted({i for i in reader.ids if reader.ids.count(i) > 1}):
        yield f"duplicate id {duplicate}"
    for link in reader.links:
        if not (link.startswith("#") and link[1:] in reader.ids):
            yield f"link {link}"
    style = text[text.index("<style>") : text.index("</style>")]
    for found in re.findall(r"@import|url\(|@font-face|https?:", style):
        yield f"style: {found}"
    for needed in ("title", "main", "svg", "table"):
        if needed not in reader.tags:
            yield f"missing <{needed}>"
    try:
        xml.etree.ElementTree.fromstring(text)
    except xml.etree.ElementTree.ParseError as error:
        yield f"XML: {error}"


def main():
    errors = list(errors_of(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")))
    print("\n".join(errors))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
