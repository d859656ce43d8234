"""Unpacks what scripts/gpu_kit.sh packed; CMake and this Python then find it."""

import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

from common import missing_modules

# Packages for Python of which this process uses what it lacks.
PACKAGES = {
    "numpy": "numpy",
    "yaml": "pyyaml",
    "safetensors": "safetensors",
    "transformers": "transformers",
}


def unpack(archive, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # Python before 3.11.4 has no filters.
    options = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
    with tarfile.open(archive) as content:
        content.extractall(folder, **options)
    missing = missing_modules(*PACKAGES)
    if missing and (folder / "wheels").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index"]
        command += ["--find-links", folder / "wheels", "--target", folder / "python"]
        subprocess.run([*command, *(PACKAGES[name] for name in missing)], check=True)


def use(folder):
    """For this process and those that it starts. No effect if nothing was unpacked there."""
    packages = str(folder / "python")
    if (folder / "python").exists():
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = packages + (f":{before}" if before else "")
        sys.path.insert(0, packages)


def prepare(archive, build):
    folder = pathlib.Path(build) / "kit"
    if archive is not None:
        unpack(archive, folder)
    use(folder)
