"""Builds the program and the test programs with the torch of this Python."""

import sys

import device_tests
from common import ROOT


def configure_command(part):
    import torch

    settings = part.settings
    command = ["cmake", "-S", ROOT, "-B", settings.build, "-DCMAKE_BUILD_TYPE=Release"]
    if not (settings.build / "CMakeCache.txt").exists():
        command += ["-G", "Ninja"]
    command += [
        f"-DTorch_DIR={torch.utils.cmake_prefix_path}/Torch",
        f"-DSLUICE_PYTHON={sys.executable}",
    ]
    packages = settings.build / "kit/usr"
    if not packages.exists():
        return command
    # RPATH, unlike RUNPATH, also serves the libraries that the packages' libraries load.
    return [
        *command,
        f"-DCMAKE_PREFIX_PATH={packages}",
        "-DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags",
    ]


def run(part):
    settings = part.settings
    if settings.quick:  # a finished build folder is tested as it is
        targets = ["sluice"]
    else:
        part.run(configure_command(part))
        targets = ["sluice", *device_tests.programs(settings)]
    part.run(["cmake", "--build", settings.build, "-j", settings.jobs, "--target", *targets])
    version = part.run([settings.sluice, "--version"]).strip()
    part.check("sluice", True, version)
    part.say(version)
