"""The layer check passes on the sources as they are, and fails on each thing it forbids, put into a copy of them."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARTS = ["src", "tests", "scripts", "CMakeLists.txt"]

# (file to write to, text to append, part of the expected complaint)
FORBIDDEN = [
    ("src/base/clock.cpp", '#include "config/config.h"', "base may include: nothing"),
    ("src/nn/ffn.h", '#include "model/batch.h"', "nn may include: base config ops torch"),
    ("src/model/batch.h", '#include "train/trainer.h"', "model may include"),
    ("src/data/batch.h", "#include <ATen/ATen.h>", "data knows nothing of LibTorch"),
    ("src/store/manifest.h", '#include "c10/core/Device.h"', "store knows nothing of LibTorch"),
    ("src/ops/glu.h", "#include <torch/torch.h>", "include narrow headers"),
    ("src/text/tokenizer.h", "#include <spdlog/spdlog.h>", "only src/base/log.cpp uses spdlog"),
    ("src/nn/ffn.h", "static_assert(TORCH_VERSION_MAJOR == 2);", "only ops/torch_compat asks"),
    ("src/train/trainer.h", "inline void stop() { std::exit(1); }", "only src/app ends the program"),
    ("src/eval/feed.h", 'inline void tell() { std::cerr << "x"; }', "use base/log.h"),
    ("src/ops/glu.h", "using namespace at;", "name what is used"),
    ("src/ops/glu.h", "#define TWO 2", "use constexpr"),
    ("src/ops/glu.h", "inline B* b(A* a) { return dynamic_cast<B*>(a); }", "use a virtual function"),
    ("src/ops/glu.h", '#include "ops/no_such_file.h"', "there is no such file"),
    ("src/nn/ffn.h", '#include "tests/base/temporary_directory.h"', "src/ does not include tests/"),
    ("tests/base/clock_test.cpp", '#include "train/trainer.h"', "base may include: nothing"),
    ("src/base/clock.cpp", "\n" * 400, "fewer than 400"),
    ("src/layers.txt", "stats: base report", "a row names only rows above it"),
    ("src/utils/strings.h", "#pragma once", "a folder without a purpose"),
    ("src/attic/old.h", "#pragma once", "give it a row"),
    ("helpers/x.txt", "x", "does not belong at the top"),
]

ALLOWED = [
    ("src/base/clock.cpp", '// #include "config/config.h", std::cerr, exit(1)\n/* #define X\n */\nconst char* kText = "std::exit(1)";'),
    ("src/nn/ffn.h", '#include "ops/glu.h"\n#include <ATen/core/Tensor.h>\n#include <fstream>'),
]


def check(root):
    return subprocess.run([sys.executable, ROOT / "scripts/check_layers.py", root], capture_output=True, text=True)


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
        for name, text, complaint in FORBIDDEN:
            with self.subTest(name=name, text=text[:60]):
                path, before = self.append(name, text)
                result = check(self.root)
                self.assertEqual(result.returncode, 1)
                self.assertIn(complaint, result.stdout)
                self.assertTrue(result.stdout.startswith(name.split("/")[0]), result.stdout)
                path.write_text(before) if before else shutil.rmtree(path.parent)

    def test_comments_strings_and_allowed_arrows_pass(self):
        for name, text in ALLOWED:
            self.append(name, text)
        result = check(self.root)
        self.assertEqual(result.returncode, 0, result.stdout)


if __name__ == "__main__":
    unittest.main()
