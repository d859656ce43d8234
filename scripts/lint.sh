#!/usr/bin/env bash
# Checks formatting and lints: clang-format and clang-tidy on the C++ files, ruff on the Python
# files. Run it as `make lint`.
set -euo pipefail
cd "$(dirname "$0")/.."

{ git ls-files -z '*.h' '*.cpp' | xargs -0 clang-format-14 --dry-run -Werror &&
  .venv/bin/ruff format --no-cache --quiet --check scripts tests; } ||
  { echo "lint: run  make format" >&2; exit 1; }
.venv/bin/ruff check --no-cache --quiet scripts tests

# configure FOLDER OPTION...: writes FOLDER/compile_commands.json. clang-tidy cannot read GCC's
# precompiled headers.
configure() {
  cmake -C build/setup.cmake -S . -B "$@" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_CXX_COMPILER_LAUNCHER=env -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON > build/lint.log ||
    { cat build/lint.log >&2; exit 1; }
}

# tidy FOLDER: clang-tidy on the files of stdin. GCC's folder has omp.h.
tidy() {
  xargs -P "$(nproc)" -n 1 .venv/bin/clang-tidy -p "$1" --config-file=.clang-tidy --quiet \
    --extra-arg="-idirafter$(gcc -print-file-name=include)" --warnings-as-errors='*' \
    2> build/lint.log || { grep -v 'warnings generated' build/lint.log >&2 || true; exit 1; }
}

# The modules without LibTorch file by file, the others as unity files of twelve, since parsing
# LibTorch's headers takes most of the time. Within such a module the names in anonymous namespaces
# must therefore differ. group.cpp has definitions of its own (src/dist/gloo.cmake).
configure build/lint -DSLUICE_TORCH=OFF
for folder in $(sed -n '/^[a-z]*:/{/ torch/!s/:.*//p}' src/layers.txt); do
  find "src/$folder" -name '*.cpp'
done | tidy build/lint
configure build/lint-torch -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=12
for folder in $(sed -n '/^[a-z]*:.* torch/s/:.*//p' src/layers.txt); do
  find build/lint-torch/CMakeFiles -path "*/sluice_$folder.dir/*" -name 'unity_*.cxx'
done | { cat; echo src/dist/group.cpp; } | tidy build/lint-torch
echo "lint: no problems found"
