"""Which torch setup.sh and CMake choose, and what setup.sh installs, in a tree of stubs."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTED = ("2.11.0", "2.12.1", "2.13.0a0+git1a2b3c4", "2.13.0+cpu", "2.14.1", "2.15.0+cu132")
NEWER = ("2.16.0", "2.16.0.dev20261101+cu132", "3.0.0")

# Sees only the packages in its own folder. `-m pip` logs its arguments and installs torch
# 2.13.0 unless it is asked for lint tools; it fails if the file `offline` exists.
PYTHON = f"""#!/bin/sh
here=$(dirname "$0")
if [ "$1 $2" = "-m pip" ]; then
  [ "$3" = --version ] && exit 0
  echo "$*" >> "$here/pip.log"
  [ ! -e "$here/offline" ] || exit 1
  case "$*" in
    *ruff*) exit 0 ;;
  esac
  mkdir -p "$here/packages/torch/share/cmake/Torch"
  echo "__version__ = '2.13.0'" > "$here/packages/torch/version.py"
  touch "$here/packages/torch/share/cmake/Torch/TorchConfig.cmake"
  exit 0
fi
PYTHONPATH="$here/packages" exec "{sys.executable}" -S "$@"
"""


class Tree:
    """The files that setup.sh reads, and two interpreters: active (python3) and .venv."""

    def __init__(self, folder):
        self.root = pathlib.Path(folder)
        for name in ("scripts/setup.sh", "src/ops/libtorch.cmake", "src/ops/torch_header.h"):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.root / name)
        for place in ("active", ".venv/bin"):
            (self.root / place).mkdir(parents=True)
            (self.root / place / "python3").write_text(PYTHON)
            (self.root / place / "python3").chmod(0o755)
        for tool in ("clang-format-14",):
            (self.root / "active" / tool).write_text("#!/bin/sh\n")
            (self.root / "active" / tool).chmod(0o755)

    def add_torch(self, version, place="active", with_cmake=True):
        torch = self.root / place / "packages/torch"
        config, header = torch / "share/cmake/Torch", torch / "include/torch/headeronly"
        for folder in (config, header) if with_cmake else (header,):
            folder.mkdir(parents=True, exist_ok=True)
        # As in torch: version.py begins with imports.
        (torch / "version.py").write_text(
            "from typing import Optional\n\n"
            f"__version__ = '{version}'\ncuda: Optional[str] = None\n"
        )
        if with_cmake:
            (config / "TorchConfig.cmake").write_text("")
        major, minor = re.match(r"(\d+)\.(\d+)", version).groups()
        (header / "version.h").write_text(
            f"#define TORCH_VERSION_MAJOR {major}\n\n#define TORCH_VERSION_MINOR {minor}\n"
        )
        return config

    def setup(self, *options, **variables):
        environment = {
            **os.environ,
            "PATH": f"{self.root}/active:{os.environ['PATH']}",
            **variables,
        }
        for name in {"Torch_DIR", "CMAKE_PREFIX_PATH", "PYTHONPATH"} - set(variables):
            environment.pop(name, None)
        return subprocess.run(
            ["bash", self.root / "scripts/setup.sh", *options],
            capture_output=True,
            text=True,
            env=environment,
        )

    def pip_calls(self):
        logs = [self.root / place / "pip.log" for place in ("active", ".venv/bin")]
        return "".join(log.read_text() for log in logs if log.exists())

    def recorded(self):
        return re.search('Torch_DIR "([^"]*)"', (self.root / "build/setup.cmake").read_text())[1]


class Setup(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = Tree(folder.name)

    def check_used(self, version, expected_warning):
        config = self.tree.add_torch(version)
        done = self.tree.setup()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.tree.recorded(), str(config))
        self.assertEqual(self.tree.pip_calls(), "", "a second torch was downloaded")
        self.assertEqual(done.stdout, "")
        if expected_warning:
            self.assertRegex(done.stderr, r"\A[^\n]*" + re.escape(expected_warning) + r"[^\n]*\n\Z")
            self.assertIn(f"torch {version} of python3", done.stderr)
        else:
            self.assertEqual(done.stderr, "")

    def test_tested_versions_are_used_without_a_warning(self):
        for version in TESTED:
            with self.subTest(version):
                self.check_used(version, "")

    def test_a_newer_version_is_used_with_a_warning(self):
        for version in NEWER:
            with self.subTest(version):
                self.check_used(
                    version,
                    "is newer than 2.15, the newest version tested with Sluice; using it",
                )

    def test_an_older_version_is_reported_and_another_one_installed(self):
        self.tree.add_torch("2.10.2")
        done = self.tree.setup()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(
            done.stderr,
            "setup: ignoring torch 2.10.2 of python3: too old; expected 2.11 or later\n",
        )
        self.assertIn("torch==2.13.0", self.tree.pip_calls())
        installed = self.tree.root / ".venv/bin/packages/torch/share/cmake/Torch"
        self.assertEqual(self.tree.recorded(), str(installed))

    def test_the_torch_of_venv_replaces_an_older_version(self):
        self.tree.add_torch("1.13.1")
        config = self.tree.add_torch("2.16.0", ".venv/bin")
        done = self.tree.setup()
        self.assertEqual(self.tree.recorded(), str(config))
        self.assertEqual(self.tree.pip_calls(), "")
        self.assertEqual(len(done.stderr.splitlines()), 2, done.stderr)

    def test_a_torch_without_cmake_files_is_reported(self):
        self.tree.add_torch("2.15.0", with_cmake=False)
        done = self.tree.setup()
        self.assertRegex(
            done.stderr,
            r"\Asetup: ignoring torch 2.15.0 of python3: missing .*/TorchConfig.cmake\n\Z",
        )
        self.assertIn("torch==2.13.0", self.tree.pip_calls())

    def test_without_any_torch_one_is_installed(self):
        done = self.tree.setup()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("torch==2.13.0", self.tree.pip_calls())

    def test_lint_installs_its_tools_into_venv_once(self):
        self.tree.add_torch("2.13.0")
        done = self.tree.setup("--lint")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(self.tree.pip_calls(), r"\A[^\n]*ruff==\S+ clang-tidy==\S+\n\Z")
        done = self.tree.setup("--lint")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assertEqual(self.tree.pip_calls().count("\n"), 1)

    def test_lint_without_a_network_names_the_missing_package(self):
        self.tree.add_torch("2.13.0")
        (self.tree.root / ".venv/bin/offline").touch()
        done = self.tree.setup("--lint")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(
            done.stderr, r"\Asetup: pip could not install ruff==\S+ clang-tidy==\S+ into \.venv\n\Z"
        )

    def test_torch_dir_comes_first(self):
        self.tree.add_torch("2.13.0")
        config = self.tree.add_torch("2.16.0", "elsewhere")
        done = self.tree.setup(Torch_DIR=str(config))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.tree.recorded(), self.tree.pip_calls()), (str(config), ""))


class Configure(unittest.TestCase):
    """src/ops/libtorch.cmake alone."""

    def configure(self, version):
        with tempfile.TemporaryDirectory() as folder:
            tree = Tree(folder)
            config = tree.add_torch(version)
            # Enabling a language would take seconds for the compiler check; commands that need one
            # are stubs.
            (tree.root / "CMakeLists.txt").write_text("""cmake_minimum_required(VERSION 3.25)
project(versions LANGUAGES NONE)
function(target_precompile_headers)
endfunction()
function(target_link_libraries)
endfunction()
function(add_library name)
  if(name STREQUAL "sluice::libtorch")
    _add_library(${ARGV})
  else()
    add_custom_target(${name})
  endif()
endfunction()
function(target_compile_options)
endfunction()
include(src/ops/libtorch.cmake)
message(STATUS "using ${SLUICE_TORCH_VERSION}")
""")
            command = ["cmake", "-S", folder, "-B", tree.root / "build", f"-DTorch_DIR={config}"]
            return subprocess.run(command, capture_output=True, text=True)

    def test_versions(self):
        for version, warning in (
            ("2.11.0", None),
            ("2.15.0", None),
            ("2.16.0", "is newer than 2.15"),
            ("3.0.0", "is newer than 2.15"),
        ):
            done = self.configure(version)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"using {version[:-2]}", done.stdout)
            if warning:
                self.assertIn("CMake Warning", done.stderr)
                self.assertIn(warning, " ".join(done.stderr.split()))
            else:
                self.assertNotIn("newer", done.stderr)
        done = self.configure("2.10.0")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("expected 2.11 or later", " ".join(done.stderr.split()))


class Texts(unittest.TestCase):
    def test_all_files_name_the_same_versions(self):
        table = (ROOT / "src/ops/libtorch.cmake").read_text()
        oldest, newest = (
            re.search(rf"set\(SLUICE_TORCH_{which} ([\d.]+)\)", table)[1]
            for which in ("OLDEST", "NEWEST")
        )
        compat = "".join(
            (ROOT / f"src/ops/torch_compat.{kind}").read_text() for kind in ("h", "cpp")
        )
        self.assertIn(f"Tested with {oldest} to {newest};", compat)
        self.assertIn(f"TORCH_VERSION_MINOR >= {oldest.split('.')[1]}", compat)
        self.assertIn(f"torch {oldest} to {newest}", (ROOT / "README.md").read_text())
        setup = (ROOT / "scripts/setup.sh").read_text()
        for version in re.findall(r"(?m)^readonly transformers5?_version=(.*)$", setup):
            self.assertIn(version, (ROOT / "scripts/reference_t5.py").read_text())


if __name__ == "__main__":
    unittest.main()
