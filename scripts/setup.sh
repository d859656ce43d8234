#!/usr/bin/env bash
# Installs missing dependencies and records the location of LibTorch. Fast if nothing is missing.
#
#   scripts/setup.sh [--tests] [--launchers] [--lint] [--corpus]
#
# --tests    also RapidCheck (property tests), zsh, fish and mandoc (completion and man pages), and
#            Python packages as references: transformers in two versions, the newer one in
#            build/oracles5; TensorBoard and trackio in build/tensorboard; lm-evaluation-harness in
#            build/lm_eval; unless LibTorch has it, NVIDIA's run-time compiler in build/nvrtc
# --launchers  also Slurm, Open MPI and GNU parallel, whose tests are otherwise skipped
# --lint     also clang-format and, in .venv, ruff and clang-tidy
# --corpus   also the King James Bible if available; succeeds without it
#
# LibTorch is searched for in this order: Torch_DIR and CMAKE_PREFIX_PATH; the torch of the active
# Python environment if it is 2.11 or later; the torch of .venv. If there is none, pip installs one
# into .venv. Versions newer than the tested ones are used with a warning. SLUICE_TORCH_INDEX=URL
# selects a pip index with CPU builds.
#
# Writes build/setup.cmake, which `cmake -C` reads.
set -euo pipefail
cd "$(dirname "$0")/.."

# Installed by pip if there is no torch: the version used for docs/benchmarks.md and docs/results,
# not the newest.
readonly torch_version=2.13.0
readonly lint_tools="ruff==0.17.6 clang-tidy==23.1.4"
readonly record=build/setup.cmake
say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }
# The tested versions of LibTorch: $1 is OLDEST or NEWEST.
tested_torch() { sed -n "s/^set(SLUICE_TORCH_$1 \([0-9.]*\)).*/\1/p" src/ops/libtorch.cmake; }
torch_oldest=$(tested_torch OLDEST)
torch_newest=$(tested_torch NEWEST)
readonly torch_oldest torch_newest

# --- System packages ------------------------------------------------------------------------------

# kind | probe (c: command, h: header) | package on Debian and Ubuntu | on Fedora | on Arch
needed() {
  cat << 'END'
build   c:g++                            g++                   gcc-c++              gcc
build   c:cmake                          cmake                 cmake                cmake
build   c:ninja                          ninja-build           ninja-build          ninja
build   c:python3                        python3               python3              python
build   h:spdlog/spdlog.h                libspdlog-dev         spdlog-devel         spdlog
build   h:yaml-cpp/yaml.h                libyaml-cpp-dev       yaml-cpp-devel       yaml-cpp
build   h:nlohmann/json.hpp              nlohmann-json3-dev    json-devel           nlohmann-json
build   h:xxhash.h                       libxxhash-dev         xxhash-devel         xxhash
build   h:zstd.h                         libzstd-dev           libzstd-devel        zstd
build   h:zlib.h                         zlib1g-dev            zlib-devel           zlib
build   h:sentencepiece_trainer.h        libsentencepiece-dev  sentencepiece-devel  sentencepiece
build   h:oniguruma.h                    libonig-dev           oniguruma-devel      oniguruma
build   h:utf8proc.h                     libutf8proc-dev       utf8proc-devel       libutf8proc
build   h:boost/version.hpp              libboost-dev          boost-devel          boost
build   h:CLI/CLI.hpp                    libcli11-dev          cli11-devel          cli11
build   h:gloo/context.h                 libgloo-dev           gloo-devel           -
build   h:gtest/gtest.h                  libgtest-dev          gtest-devel          gtest
tests   h:rapidcheck.h                   librapidcheck-dev     rapidcheck-devel     -
tests   c:zsh                            zsh                   zsh                  zsh
tests   c:fish                           fish                  fish                 fish
tests   c:mandoc                         mandoc                mandoc               mandoc
launchers c:slurmctld                    slurm-wlm             slurm                -
launchers c:mpirun                       openmpi-bin           openmpi              openmpi
launchers c:parallel                     parallel              parallel             parallel
lint    c:clang-format-14                clang-format-14       clang-tools-extra14  clang14
corpus  c:bible                          bible-kjv             -                    -
END
}

is_there() {
  case $1 in
    c:*) command -v "${1#c:}" > /dev/null ;;
    h:*) [ -e "/usr/include/${1#h:}" ] || [ -e "/usr/local/include/${1#h:}" ] ;;
  esac
}

# Prints the missing packages of the kinds $1 ("build lint"), named as in column $2 of the table.
missing_packages() {
  local kind probe debian fedora arch
  needed | while read -r kind probe debian fedora arch; do
    case " $1 " in *" $kind "*) ;; *) continue ;; esac
    is_there "$probe" || eval "echo \$$2"
  done | sed '/^-$/d' | sort -u | tr '\n' ' ' | sed 's/ $//'
}

# Prints the distribution family: debian (apt), fedora, arch or other. Exits if a Debian or Ubuntu
# release is too old.
family() {
  local ID='' ID_LIKE='' VERSION_ID='' PRETTY_NAME='this system'
  # shellcheck disable=SC1091
  [ -r /etc/os-release ] && . /etc/os-release
  case "$ID-${VERSION_ID%%.*}" in
    debian-[1-9] | debian-1[01] | ubuntu-1? | ubuntu-2[0-3])
      die "compiler of $PRETTY_NAME is too old; expected Debian 12, Ubuntu 24.04 or later" ;;
  esac
  case " $ID $ID_LIKE " in
    *" debian "* | *" ubuntu "*) echo debian ;;
    *" fedora "* | *" rhel "*) echo fedora ;;
    *" arch "*) echo arch ;;
    *) echo other ;;
  esac
}

# Installs Debian packages as root or through sudo.
apt_install() {
  local -a root=()
  if [ "$(id -u)" != 0 ]; then
    # sudo can prompt for a password only on a terminal.
    command -v sudo > /dev/null && { sudo -n true 2> /dev/null || [ -t 0 ]; } ||
      die "missing packages, and no root access to install them: run  apt-get install $*"
    root=(sudo)
  fi
  say "installing $*"
  local -a install=("${root[@]}" env DEBIAN_FRONTEND=noninteractive
                    apt-get install -y -qq --no-install-recommends "$@")
  local log; log=$(mktemp)
  if ! "${install[@]}" > "$log" 2>&1 &&
      ! { "${root[@]}" apt-get update -qq && "${install[@]}"; } > "$log" 2>&1; then
    tail -n 5 "$log" >&2
    rm -f "$log"
    die "apt-get could not install $*"
  fi
  rm -f "$log"
}

system_packages() {
  local os missing install
  missing=$(missing_packages "$1" debian)
  [ -n "$missing" ] || return 0
  os=$(family) || exit 1
  case $os in
    # shellcheck disable=SC2086
    debian) apt_install $missing; return 0 ;;
    fedora) install="dnf install" ;;
    arch) install="pacman -S" ;;
    *) die "missing packages (Debian names; g++ 12, CMake 3.25 or later): $missing" ;;
  esac
  missing=$(missing_packages "$1" "$os")
  [ -z "$missing" ] || die "missing packages: run  $install $missing"
}

# --- LibTorch -------------------------------------------------------------------------------------

# Prints the folder of TorchConfig.cmake at or below $1.
torch_config_below() {
  local below
  for below in . Torch share/cmake/Torch torch/share/cmake/Torch; do
    [ -e "$1/$below/TorchConfig.cmake" ] && { realpath "$1/$below"; return 0; }
  done
  return 1
}

# Prints the folder of TorchConfig.cmake of the torch that interpreter $1 would import, if Sluice
# supports it. Reports on stderr why a torch is not used, and if it is newer than the tested ones.
# Does not import torch, which takes seconds.
torch_of() {
  command -v "$1" > /dev/null || return 1
  "$1" - "$1" "$torch_oldest" "$torch_newest" << 'END'
import importlib.util, pathlib, re, sys
name, (oldest, newest) = sys.argv[1], ([int(n) for n in text.split(".")] for text in sys.argv[2:4])
spec = importlib.util.find_spec("torch")
if spec is None or not spec.submodule_search_locations:
    sys.exit(1)
folder = pathlib.Path(spec.submodule_search_locations[0])
config, source = folder / "share/cmake/Torch", folder / "version.py"
text = source.read_text() if source.exists() else ""
found = re.search(r"""__version__\s*(?::[^=]*)?=\s*["']((\d+)\.(\d+)[^"']*)""", text)
if not found:
    sys.exit(f"setup: ignoring the torch of {name}: no version in {source}")
torch, version = f"torch {found[1]} of {name}", [int(found[2]), int(found[3])]
if version < oldest:
    sys.exit(f"setup: ignoring {torch}: too old; expected {sys.argv[2]} or later")
if not (config / "TorchConfig.cmake").exists():
    sys.exit(f"setup: ignoring {torch}: missing {config}/TorchConfig.cmake")
if version > newest:
    print(f"setup: {torch} is newer than {sys.argv[3]}, the newest version tested with Sluice;",
          "using it", file=sys.stderr)
print(config)
END
}

make_venv() {
  .venv/bin/python3 -m pip --version > /dev/null 2>&1 && return 0
  # On Debian, venv is a separate package.
  if ! python3 -c 'import ensurepip, venv' 2> /dev/null; then
    [ "$(family)" = debian ] || die "python3 lacks the modules venv and pip; install them"
    apt_install python3-venv
  fi
  python3 -m venv --clear .venv || die "cannot create the virtual environment .venv"
}

install_torch() {
  make_venv
  local -a pip=(.venv/bin/python3 -m pip install --disable-pip-version-check)
  if [ -n "${SLUICE_TORCH_INDEX:-}" ]; then
    say "installing LibTorch $torch_version into .venv from $SLUICE_TORCH_INDEX:" \
      "a CPU build downloads about 200 MB and takes 1 GB on disk"
    "${pip[@]}" --no-deps --index-url "$SLUICE_TORCH_INDEX" "torch==$torch_version" ||
      die "pip could not install torch from $SLUICE_TORCH_INDEX"
  else
    say "installing LibTorch $torch_version into .venv." \
      "A CUDA build downloads several GB, a CPU build about 200 MB (1 GB on disk)."
    say "for a CPU build, stop this and set SLUICE_TORCH_INDEX to the URL of PyTorch's CPU index"
  fi
  # Also installs the dependencies of torch, which --no-deps skipped.
  "${pip[@]}" --quiet "torch==$torch_version" numpy ||
    die "pip could not install torch $torch_version into .venv"
}

# Sets torch_config (the folder of TorchConfig.cmake) and python (the matching interpreter).
find_torch() {
  local -a given=()
  local place
  [ -z "${Torch_DIR:-}" ] || given+=("$Torch_DIR")
  IFS=':;' read -ra prefixes <<< "${CMAKE_PREFIX_PATH:-}"
  for place in "${given[@]}" "${prefixes[@]}"; do
    torch_config=$(torch_config_below "$place") || continue
    # The interpreter of the environment that contains it.
    python=$(realpath -s "$torch_config/../../../../../../../bin/python3")
    [ -x "$python" ] || python=$(command -v python3)
    return 0
  done
  [ -z "${Torch_DIR:-}" ] ||
    die "Torch_DIR=$Torch_DIR: no TorchConfig.cmake found; set it to the folder that contains it," \
      "or unset it"
  for python in python3 .venv/bin/python3; do
    torch_config=$(torch_of "$python") && return 0
  done
  install_torch
  torch_config=$(torch_of .venv/bin/python3) ||
    die "torch $torch_version was installed into .venv, but not found there"
}

# --- Linter ---------------------------------------------------------------------------------------

# Pinned, because other versions format and warn differently. clang-tidy is from PyPI because
# Debian's version 14 visits every declaration of LibTorch's headers, at 20 s per file.
install_lint_tools() {
  [ "$(cat .venv/lint-tools 2> /dev/null)" != "$lint_tools" ] || return 0
  make_venv
  say "installing $lint_tools into .venv"
  # shellcheck disable=SC2086
  .venv/bin/python3 -m pip install --disable-pip-version-check --quiet $lint_tools ||
    die "pip could not install $lint_tools into .venv"
  echo "$lint_tools" > .venv/lint-tools
}

# --- Test references ------------------------------------------------------------------------------

readonly oracle_modules="numpy scipy yaml safetensors sentencepiece jsonschema gguf llama_cpp"
# PyPI has llama-cpp-python as source only; it compiles in two minutes at these levels.
readonly llama_cpp_version=0.3.36
export CMAKE_ARGS="-DCMAKE_C_FLAGS_RELEASE=-O2 -DCMAKE_CXX_FLAGS_RELEASE=-O1 -DLLAVA_BUILD=OFF"
# Two versions: transformers 5 always ties T5's embeddings and scales the decoder's outputs by a
# different rule. Neither depends on torch.
readonly transformers_version=4.57.6
readonly transformers5_version=5.24.0
oracle_packages="${oracle_modules/yaml/pyyaml} transformers==$transformers_version"
readonly oracle_packages="${oracle_packages/llama_cpp/llama-cpp-python==$llama_cpp_version}"

# True if interpreter $1 has transformers $2 and the modules $3.
has_oracles() {
  "$1" - << END 2> /dev/null
import importlib.metadata, importlib.util
assert all(importlib.util.find_spec(module) for module in "$3".split())
assert importlib.metadata.version("transformers") == "$2"
END
}

# Writes $1/python3: the interpreter $2 with the packages of the folders $3 ("A:B").
make_wrapper() {
  mkdir -p "$1"
  printf '#!/bin/sh\nPYTHONPATH="%s${PYTHONPATH:+:$PYTHONPATH}" exec "%s" "$@"\n' "$3" "$2" \
    > "$1/python3"
  chmod +x "$1/python3"
}

# Installs the packages $3... with interpreter $1 into the folder $2, or into its environment if $2
# is "".
install_oracles() {
  local -a pip=("$1" -m pip install --disable-pip-version-check --quiet)
  # Packages there hide those of the interpreter, which pip compares them with.
  [ -z "$2" ] || pip+=(--no-compile --no-warn-conflicts --upgrade --target "$2")
  shift 2
  say "installing for the tests: $*"
  "${pip[@]}" "$@" || die "pip could not install: $*"
}

# Installs into .venv if it is in use. Never modifies the user's environment: the packages go to
# build/oracles, with a wrapper of its interpreter that sees both. The newer transformers is always
# in build/oracles5.
python_oracles() {
  [ -n "$(torch_of "$python" 2> /dev/null)" ] ||
    die "tests need PyTorch, but $python has no torch $torch_oldest or later;" \
      "activate an environment that has one"
  local base packages='' here="$PWD/build" version=$transformers_version
  base=$(realpath -s "$(command -v "$python")")
  if ! has_oracles "$base" "$version" "$oracle_modules"; then
    if [ "$base" = "$PWD/.venv/bin/python3" ]; then
      # shellcheck disable=SC2086
      install_oracles "$base" "" $oracle_packages
    else
      packages="$here/oracles/packages"
      make_wrapper "$here/oracles" "$base" "$packages"
      # shellcheck disable=SC2086
      has_oracles "$here/oracles/python3" "$version" "$oracle_modules" ||
        install_oracles "$base" "$packages" $oracle_packages
      python="$here/oracles/python3"
    fi
  fi
  make_wrapper "$here/oracles5" "$base" "$here/oracles5/packages${packages:+:$packages}"
  version=$transformers5_version
  if ! has_oracles "$here/oracles5/python3" "$version" "$oracle_modules tokenizers"; then
    install_oracles "$base" "$here/oracles5/packages" "transformers==$version"
    # Also compiles the modules that the tests import; compiling all would take longer.
    "$here/oracles5/python3" -c 'from transformers import T5ForConditionalGeneration' ||
      die "transformers $version was installed into build/oracles5, but cannot be imported"
  fi
}

# --- Programs with their own packages -------------------------------------------------------------

# trackio reads event files through tbparse. They have their own folder because they need other
# versions of packages that transformers uses.
readonly tensorboard_packages="tensorboard==2.21.0 tbparse==0.0.9 trackio==0.43.0"

# Writes build/tensorboard/python3.
install_tensorboard() {
  local here="$PWD/build/tensorboard" base
  base=$(realpath -s "$(command -v "$python")")
  make_wrapper "$here" "$base" "$here/packages"
  [ "$(cat "$here/version" 2> /dev/null)" != "$tensorboard_packages" ] || return 0
  # shellcheck disable=SC2086
  install_oracles "$base" "$here/packages" $tensorboard_packages
  echo "$tensorboard_packages" > "$here/version"
}

# Writes build/lm_eval/python3, which has the torch and transformers of build/oracles5.
install_lm_eval() {
  local here="$PWD/build/lm_eval" packages=scripts/harness/requirements.txt
  make_wrapper "$here" "$PWD/build/oracles5/python3" "$here/packages"
  cmp -s $packages "$here/installed" && return 0
  install_oracles "$python" "$here/packages" --no-deps --requirement $packages
  cp $packages "$here/installed"
}

# --- NVRTC ----------------------------------------------------------------------------------------

readonly nvrtc_version=13.0.88

# Tests compile the GPU kernels with it. Continues without it: those tests are skipped.
install_nvrtc() {
  compgen -G "$torch_config/../../../lib/libcaffe2_nvrtc.so" > /dev/null && return 0
  [ "$(cat build/nvrtc/version 2> /dev/null)" != "$nvrtc_version" ] || return 0
  say "installing for the tests: nvidia-cuda-nvrtc==$nvrtc_version"
  if "$python" -m pip install --disable-pip-version-check --quiet --no-deps --upgrade \
      --target build/nvrtc "nvidia-cuda-nvrtc==$nvrtc_version"; then
    echo "$nvrtc_version" > build/nvrtc/version
  else
    say "nvidia-cuda-nvrtc is not available; skipping the tests that compile GPU kernels"
  fi
}

# --- Main -----------------------------------------------------------------------------------------

write_record() {
  local new rapidcheck=missing
  ! is_there h:rapidcheck.h || rapidcheck=there
  # Names RapidCheck so that CMake reconfigures after its installation.
  new=$(cat << END
# Written by scripts/setup.sh; RapidCheck is $rapidcheck.
set(Torch_DIR "$torch_config" CACHE PATH "" FORCE)
set(SLUICE_PYTHON "$(realpath -s "$(command -v "$python")")" CACHE FILEPATH "" FORCE)
END
)
  mkdir -p build
  [ -e "$record" ] && [ "$new" = "$(cat "$record")" ] || printf '%s\n' "$new" > "$record"
}

kinds=build
tests=no lint=no corpus=no
for option; do
  case $option in
    --tests) tests=yes; kinds="$kinds tests" ;;
    --launchers) kinds="$kinds launchers" ;;
    --lint) lint=yes; kinds="$kinds lint" ;;
    --corpus) corpus=yes ;;
    *) die "unknown option $option; expected --tests, --launchers, --lint or --corpus" ;;
  esac
done
system_packages "$kinds"
if [ "$corpus" = yes ] && ! command -v bible > /dev/null; then
  { [ "$(family)" = debian ] && (apt_install bible-kjv); } ||
    say "bible-kjv is not available; using the generated corpus instead"
fi
find_torch
[ "$lint" = no ] || install_lint_tools
[ "$tests" = no ] || { python_oracles; install_tensorboard; install_lm_eval; install_nvrtc; }
write_record
