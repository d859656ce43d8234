#!/usr/bin/env python3
"""Writes a training corpus.

  make_corpus.py kjv OUT      the King James Bible from Debian's package bible-kjv without
                              references: one verse per line, a blank line between chapters
  make_corpus.py prose OUT    30 MB of English prose from four Debian packages (prose.py), cleaned
                              and deduplicated
  make_corpus.py grammar OUT  text from a probabilistic grammar with exactly known entropy; writes
                              the figures to OUT with the suffix .json

kjv and prose are checked against known hashes. Needs only the standard library.
Exit codes: 2 wrong usage, 65 bad data, 66 missing input, 74 I/O error.
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import zlib

import grammar
import prose

KJV_SHA256 = "82a24e4e23c644fe579ed387b20e54eb529cc0a87a25e0810064edb2216780c2"
KJV_VERSES = 31102
PROSE_SHA256 = "c90c572bdf88e38b7fa2e51ac15936f0e61868c9845306bd6ca45cfa56815ae4"
USAGE, BAD_DATA, MISSING_INPUT, IO_ERROR = 2, 65, 66, 74


def fail(code, message):
    print(f"make_corpus: {message}", file=sys.stderr)
    sys.exit(code)


def write_atomically(path, data):
    """Replaces the file atomically: readers see the old or the new content."""
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        fail(IO_ERROR, f"{path}: cannot write {len(data)} bytes: {error.strerror}")


def strip_references(listing):
    """(text, number of verses) of lines such as `Ge1:1 In the beginning ...`."""
    lines, last_chapter = [], None
    for line in listing.splitlines():
        match = re.fullmatch(r"([1-3]?[A-Za-z]+[0-9]+):[0-9]+ (.*)", line)
        if not match:
            fail(BAD_DATA, f"bible: received the line {line[:60]!r}; expected `Ge1:1 text`")
        chapter, verse = match.groups()
        if last_chapter not in (None, chapter):
            lines.append("")
        last_chapter = chapter
        lines.append(verse)
    return "\n".join(lines) + "\n", sum(map(bool, lines))


def read_kjv():
    environment = {"PATH": os.environ.get("PATH", "") + ":/usr/bin:/usr/games", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["bible", "-f", "gen1:1-rev22:21"],
            capture_output=True,
            check=True,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        fail(
            MISSING_INPUT,
            "kjv: the program `bible` is not installed; install Debian's package bible-kjv "
            "(apt-get install bible-kjv), or use the generated corpus: "
            "make_corpus.py grammar data/grammar.txt",
        )
    except subprocess.CalledProcessError as error:
        message = error.stderr.decode(errors="replace").strip()
        fail(BAD_DATA, f"bible: exit code {error.returncode}: {message}")
    return done.stdout.decode("ascii", errors="replace")


def exists_with_hash(out, sha256):
    found = out.exists() and hashlib.sha256(out.read_bytes()).hexdigest() == sha256
    if found:
        print(f"{out}: already exists with the expected hash")
    return found


def make_kjv(out):
    if exists_with_hash(out, KJV_SHA256):
        return
    text, num_verses = strip_references(read_kjv())
    data = text.encode()
    received = hashlib.sha256(data).hexdigest()
    if received != KJV_SHA256:
        fail(
            BAD_DATA,
            f"kjv: sha256 {received}, {num_verses} verses; expected {KJV_SHA256}, {KJV_VERSES} "
            "verses (bible-kjv 4.38); to use another edition, set corpus.train to its file",
        )
    write_atomically(out, data)
    print(f"{out}: {num_verses} verses, {text.count(chr(10) * 2) + 1} chapters, {len(data)} bytes")


def make_prose(out):
    if exists_with_hash(out, PROSE_SHA256):
        return
    kjv, _ = strip_references(read_kjv())
    with tempfile.TemporaryDirectory(prefix="prose-") as folder:
        try:
            documents, sizes = prose.assemble(kjv.strip("\n").split("\n\n"), folder)
        except prose.Unreadable as error:
            fail(MISSING_INPUT, f"prose: {error}")
        except (OSError, ValueError, IndexError, zlib.error, struct.error) as error:
            fail(BAD_DATA, f"prose: invalid data in a package: {error}")
    data = ("\n\n".join(documents) + "\n").encode()
    received = hashlib.sha256(data).hexdigest()
    if received != PROSE_SHA256:
        fail(
            BAD_DATA,
            f"prose: sha256 {received}, {len(data)} bytes from {sizes}; expected {PROSE_SHA256} "
            "(bible-kjv 4.38, r-cran-janeaustenr 1.0.0, sword-comm-tdavid 2.1, anarchism 15.3)",
        )
    write_atomically(out, data)
    parts = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sizes.items())
    print(f"{out}: {len(documents)} documents, {len(data)} bytes ({parts})")


def make_grammar(out, arguments):
    paragraph = arguments.paragraph
    if paragraph is None:
        paragraph = 0 if arguments.alphabet == "letters" else 8
    process = grammar.Grammar(paragraph)
    text, statistics = grammar.generate(
        process, arguments.alphabet, arguments.bytes, arguments.seed
    )
    facts = {
        "alphabet": arguments.alphabet,
        "seed": arguments.seed,
        "sentences_per_paragraph": paragraph,
        **statistics,
        **grammar.description(process, arguments.alphabet),
    }
    write_atomically(out, text.encode())
    write_atomically(out.with_suffix(".json"), (json.dumps(facts, indent=2) + "\n").encode())
    print(
        f"{out}: {facts['num_sentences']} sentences, {facts['num_bytes']} bytes; "
        f"per word {facts['entropy_nats_per_word']:.4f} nats "
        f"(best 5-gram {facts['best_5gram_nats_per_word']:.4f}), "
        f"per byte {facts['entropy_bits_per_byte']:.4f} bits; "
        f"all figures in {out.with_suffix('.json')}"
    )


def at_least(smallest):
    def parse(text):
        value = int(text)
        if value < smallest:
            raise argparse.ArgumentTypeError(f"{value}; expected at least {smallest}")
        return value

    parse.__name__ = "integer"
    return parse


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    kjv = kinds.add_parser("kjv", help="the King James Bible (4.1 MB)")
    kjv.add_argument("out", type=pathlib.Path)
    english = kinds.add_parser("prose", help="English prose from four Debian packages (30 MB)")
    english.add_argument("out", type=pathlib.Path)
    generated = kinds.add_parser("grammar", help="generated text with known entropy")
    generated.add_argument("out", type=pathlib.Path)
    generated.add_argument(
        "--bytes",
        type=at_least(1),
        default=4_000_000,
        help="minimum size; the last sentence is completed (default 4000000)",
    )
    generated.add_argument("--seed", type=at_least(0), default=1)
    generated.add_argument(
        "--alphabet",
        choices=["words", "letters"],
        default="words",
        help="letters: one byte per word and line end, so that bytes, tokens and words coincide",
    )
    generated.add_argument(
        "--paragraph",
        type=at_least(0),
        help="mean number of sentences before a blank line, 0: never (default: words 8, letters 0)",
    )
    arguments = parser.parse_args()
    if arguments.kind == "kjv":
        make_kjv(arguments.out)
    elif arguments.kind == "prose":
        make_prose(arguments.out)
    else:
        make_grammar(arguments.out, arguments)


if __name__ == "__main__":
    main()
