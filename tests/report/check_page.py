#!/usr/bin/env python3
"""Checks report.html as a strict reader would: well-formed (every tag closed, as HTML and as XML), nothing from elsewhere, ids used once, links
within the page that lead somewhere. Prints what is wrong; ends with 1 if anything is.

    check_page.py PAGE
"""

import html.parser
import pathlib
import re
import sys
import xml.etree.ElementTree

VOID = {"meta", "br", "link", "img", "hr"}


class Reader(html.parser.HTMLParser):
    """As a browser reads it: open tags, ids, links, elements seen."""

    def __init__(self):
        super().__init__()
        self.open, self.faults, self.ids, self.links, self.tags = [], [], [], [], set()

    def handle_startendtag(self, tag, attrs):
        self.note(tag, attrs)

    def handle_starttag(self, tag, attrs):
        self.note(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"line {self.getpos()[0]}: </{tag}> closes nothing")

    def note(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in {"href", "src", "srcset", "data", "action"}:
                self.links.append(value)
            if name.startswith("on") or name == "style":
                self.faults.append(f"attribute {name}")


def faults_of(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    yield from reader.faults
    if reader.open:
        yield f"never closed: {reader.open}"
    for tag in sorted(reader.tags & {"script", "iframe", "object", "embed", "link", "img", "base", "form"}):
        yield f"<{tag}>"
    for twice in sorted({i for i in reader.ids if reader.ids.count(i) > 1}):
        yield f"id {twice} twice"
    for link in reader.links:
        if not (link.startswith("#") and link[1:] in reader.ids):
            yield f"link {link}"
    style = text[text.index("<style>"):text.index("</style>")]
    for found in re.findall(r"@import|url\(|@font-face|https?:", style):
        yield f"style: {found}"
    for needed in ("title", "main", "svg", "table"):
        if needed not in reader.tags:
            yield f"no <{needed}>"
    try:
        xml.etree.ElementTree.fromstring(text)
    except xml.etree.ElementTree.ParseError as error:
        yield f"as XML: {error}"


def main():
    faults = list(faults_of(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")))
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
