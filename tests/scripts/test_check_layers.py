"""check_layers.py passes on the sources, and fails on a copy with any one violation added."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARTS = ["src", "tests", "scripts", "configs", "CMakeLists.txt", "Makefile"]

WIDE = " ".join(["word"] * 20) + " x"  # 101 columns
URL = "https://example.org/" + 81 * "x"  # likewise, without a blank

# (file to write to, text to append, part of the expected message)
FORBIDDEN = [
    ("src/base/clock.cpp", '#include "config/config.h"', "base may include: no other module"),
    ("src/nn/ffn.h", '#include "model/batch.h"', "nn may include: base config ops torch"),
    ("src/model/batch.h", '#include "train/trainer.h"', "model may include"),
    ("src/data/batch.h", "#include <ATen/ATen.h>", "data must not depend on LibTorch"),
    ("src/store/manifest.h", '#include "c10/core/Device.h"', "store must not depend on LibTorch"),
    ("src/ops/glu.h", "#include <torch/torch.h>", "include narrow headers"),
    ("src/text/tokenizer.h", "#include <spdlog/spdlog.h>", "only src/base/log.cpp may use spdlog"),
    ("src/nn/ffn.h", "static_assert(TORCH_VERSION_MAJOR == 2);", "only ops/torch_compat may query"),
    (
        "src/train/trainer.h",
        "inline void stop() { std::exit(1); }",
        "only src/app may end the process",
    ),
    ("src/eval/feed.h", 'inline void print() { std::cerr << "x"; }', "use base/log.h"),
    ("src/ops/glu.h", "using namespace at;", "use qualified names"),
    ("src/ops/glu.h", "#define TWO 2", "use constexpr"),
    (
        "src/ops/glu.h",
        "inline B* b(A* a) { return dynamic_cast<B*>(a); }",
        "use a virtual function",
    ),
    ("src/ops/glu.h", '#include "ops/no_such_file.h"', "file not found"),
    ("src/nn/ffn.h", '#include "tests/base/temporary_directory.h"', "src/ must not include tests/"),
    (
        "tests/base/clock_test.cpp",
        '#include "train/trainer.h"',
        "base may include: no other module",
    ),
    ("src/base/clock.cpp", "\n" * 400, "fewer than 400"),
    ("src/layers.txt", "stats: base report", "expected modules listed above it"),
    ("src/utils/strings.h", "#pragma once", "generic folder name"),
    ("src/attic/old.h", "#pragma once", "missing from src/layers.txt"),
    ("helpers/x.txt", "x", "unexpected at the top level"),
    ("src/base/clock.cpp", f'const char* kText = R"({WIDE})";', "expected at most 100"),
    ("src/base/clock.cpp", f"// See {URL[:96]}", "103 columns; expected at most 100"),
    ("src/README.md", WIDE, "101 columns; expected at most 100"),
    ("src/README.md", f"See {URL[:97]}", "101 columns; expected at most 100"),
    ("src/ops/libtorch.cmake", f"# {WIDE}", "103 columns; expected at most 100"),
    ("tests/CMakeLists.txt", f"# {WIDE}", "103 columns; expected at most 100"),
    ("CMakeLists.txt", f"# {WIDE}", "103 columns; expected at most 100"),
    ("Makefile", f"# {WIDE}", "103 columns; expected at most 100"),
    ("scripts/lint.sh", f"# {WIDE}", "103 columns; expected at most 100"),
    ("scripts/bench/bench.py", f"# {WIDE}", "103 columns; expected at most 100"),
    ("configs/quickstart.yaml", f"# {WIDE}", "103 columns; expected at most 100"),
]

ALLOWED = [
    (
        "src/base/clock.cpp",
        '// #include "config/config.h", std::cerr, exit(1)\n/* #define X\n */\n'
        'const char* kText = "std::exit(1)";',
    ),
    ("src/nn/ffn.h", '#include "ops/glu.h"\n#include <ATen/core/Tensor.h>\n#include <fstream>'),
    ("src/base/clock.cpp", f"// {WIDE[:97]}\n// {URL}"),
    ("src/README.md", f"{WIDE[:100]}\n| {WIDE} |\n- [text]({URL[:93]})"),
]


def check(root):
    return subprocess.run(
        [sys.executable, ROOT / "scripts/check_layers.py", root], capture_output=True, text=True
    )


class CheckLayers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, self.root / part)

    def append(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() if path.exists() else ""
        path.write_text(before + "\n" + text + "\n")
        return path, before

    def test_the_sources_pass(self):
        result = check(self.root)
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_each_forbidden_thing_fails(self):
        """One of each file at a time."""
        left = list(FORBIDDEN)
        while left:
            together = {name: (name, text, message) for name, text, message in reversed(left)}
            left = [one for one in left if one not in together.values()]
            changed = [self.append(name, text) for name, text, _ in together.values()]
            result = check(self.root)
            self.assertEqual(result.returncode, 1)
            lines = result.stdout.splitlines()
            for name, text, message in together.values():
                with self.subTest(name=name, text=text[:60]):
                    # A misplaced file is reported by its folder.
                    places = (f"{name}:", f"{pathlib.PurePath(name).parent}:")
                    found = [line for line in lines if line.startswith(places) and message in line]
                    self.assertTrue(found, result.stdout)
            for path, before in changed:
                path.write_text(before) if before else shutil.rmtree(path.parent)

    def test_comments_strings_and_allowed_dependencies_pass(self):
        for name, text in ALLOWED:
            self.append(name, text)
        result = check(self.root)
        self.assertEqual(result.returncode, 0, result.stdout)


if __name__ == "__main__":
    unittest.main()
