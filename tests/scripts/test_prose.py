"""The prose corpus: package readers, cleaning, deduplication. Uses synthetic data, no packages."""

import pathlib
import struct
import tempfile
import unittest
import zlib

import prose


def serialized(strings):
    """A character vector as R writes it (XDR, format 3)."""
    body = b"".join(struct.pack(">2i", 0x40009, len(s.encode())) + s.encode() for s in strings)
    return (
        b"X\n"
        + struct.pack(">4i", 3, 0x40201, 0x30500, 5)
        + b"UTF-8"
        + struct.pack(">2i", 16, len(strings))
        + body
    )


def write(root, member, data):
    path = pathlib.Path(root, member)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


class Readers(unittest.TestCase):
    def test_austen(self):
        novel = [
            "EMMA",
            "",
            "CHAPTER I",
            "",
            "Emma _Woodhouse_, handsome,",
            "clever, and rich.",
            "",
            "She was the youngest.",
            "",
            "CHAPTER II",
            "",
            "Mr. Weston was a native of Highbury.",
            "",
            "FINIS",
        ]
        with tempfile.TemporaryDirectory() as root:
            blocks = [zlib.compress(serialized(novel)) for _ in range(2)]
            write(
                root,
                prose.AUSTEN,
                b"".join(struct.pack(">I", len(serialized(novel))) + block for block in blocks),
            )
            sections = list(prose.read_austen(pathlib.Path(root)))
        self.assertEqual(
            sections[1], ["Emma Woodhouse, handsome, clever, and rich.", "She was the youngest."]
        )
        self.assertEqual(sections[2], ["Mr. Weston was a native of Highbury."])
        self.assertEqual(len(sections), 6)

    def test_other_r_data_is_rejected(self):
        for damaged in (
            b"A\n" + serialized(["x"])[2:],
            serialized(["x"]).replace(struct.pack(">i", 16), struct.pack(">i", 13)),
        ):
            with self.assertRaises(prose.Unreadable):
                prose.character_vector(damaged)

    def test_tdavid(self):
        psalm = (
            b'<chapter n="1"/><title type="x">Psalm 1</title>'
            b'<div sID="a"/>Verse 1. <hi type="bold">"Blessed</hi> is  the man."<div eID="a"/>'
            b'<div sID="b"/>See <reference osisRef="Ps.2">Ps 2</reference>.'
            b"<title>HINTS</title><div/>The way of the just."
        )
        with tempfile.TemporaryDirectory() as root:
            packed = zlib.compress(psalm)
            write(
                root,
                prose.TDAVID + "/ot.czs",
                struct.pack("<6I", 0, 0, 0, 0, len(packed), len(psalm)),
            )
            write(root, prose.TDAVID + "/ot.czz", packed)
            sections = [
                [p for p in section if p] for section in prose.read_tdavid(pathlib.Path(root))
            ]
        self.assertEqual(
            sections,
            [[], ['Verse 1. "Blessed is the man."', "See Ps 2."], ["The way of the just."]],
        )

    def test_anarchism(self):
        with tempfile.TemporaryDirectory() as root:
            write(
                root,
                prose.ANARCHISM + "/secA1.md",
                b"# A long\nheading\n\n"
                b"Freedom, _as [ **Bakunin** , p. 3]_ says\n([ here](x.md)).\n\n"
                b"> _quoted  \n> text_\n",
            )
            write(root, prose.ANARCHISM + "/links.md", b"Not prose at all, but links.\n")
            sections = [
                [p for p in section if p] for section in prose.read_anarchism(pathlib.Path(root))
            ]
        self.assertEqual(
            sections, [[], ["Freedom, as [Bakunin, p. 3] says (here).", "quoted text"]]
        )

    def test_a_missing_package_is_reported(self):
        with tempfile.TemporaryDirectory() as folder, self.assertRaises(prose.Unreadable) as caught:
            prose.root_of("no-such-package-here", "usr/share/no-such-file", folder)
        self.assertIn("no-such-package-here", str(caught.exception))


class Cleaning(unittest.TestCase):
    SENTENCE = (
        "the quick brown fox jumps over the lazy dog and runs far away into the deep dark wood at "
        "night"
    )

    def test_duplicates_are_detected_regardless_of_case_and_punctuation(self):
        duplicates = prose.Duplicates()
        self.assertTrue(duplicates.is_new(self.SENTENCE))
        self.assertFalse(duplicates.is_new(self.SENTENCE.upper() + "!"))
        self.assertFalse(duplicates.is_new(self.SENTENCE + " again"))
        self.assertTrue(
            duplicates.is_new(
                "a quite different sentence " + " ".join(f"word{chr(97 + i)}" for i in range(20))
            )
        )

    def test_documents_are_split_between_paragraphs(self):
        paragraphs = [
            " ".join(chr(97 + i) * 3 + chr(97 + j) * 3 for j in range(26)) for i in range(26)
        ]
        size = prose.DOCUMENT_BYTES
        prose.DOCUMENT_BYTES = 500
        try:
            documents = list(prose.documents([paragraphs, [], ["1 2 3 4 5 6"]], prose.Duplicates()))
        finally:
            prose.DOCUMENT_BYTES = size
        self.assertEqual("\n".join(documents).split("\n"), paragraphs)
        self.assertTrue(all(len(document) < 500 + len(paragraphs[0]) for document in documents))

    def test_text_that_is_not_prose_is_removed(self):
        self.assertFalse(prose.is_prose("12, 34; 56, 78 pp. 9"))
        self.assertFalse(prose.is_prose("Three short words"))
        self.assertEqual(prose.cleaned("e\u0301\x00\ufffd."), "é.")


if __name__ == "__main__":
    unittest.main()
