#!/usr/bin/env bash
# Checks formatting and lints: clang-format and clang-tidy on the C++ files, ruff on the Python
# files. Run it as `make lint`.
set -euo pipefail
cd "$(dirname "$0")/.."

{ git ls-files -z '*.h' '*.cpp' | xargs -0 clang-format-14 --dry-run -Werror &&
  .venv/bin/ruff format --no-cache --quiet --check scripts tests; } ||
  { echo "lint: run  make format" >&2; exit 1; }
.venv/bin/ruff check --no-cache --quiet scripts tests

# clang-tidy on unity files of twelve, since parsing the headers takes most of the time, with
# build/lint/compile_commands.json: clang-tidy cannot read GCC's precompiled headers. GCC's folder
# has omp.h. The files of src/dist have definitions of their own (gloo.cmake).
cmake -C build/setup.cmake -S . -B build/lint -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_CXX_COMPILER_LAUNCHER=env -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON \
  -DSLUICE_TORCH=ON -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=12 > build/lint.log ||
  { cat build/lint.log >&2; exit 1; }
for folder in $(sed -n 's/^\([a-z]*\):.*/\1/p' src/layers.txt); do
  find build/lint/CMakeFiles -path "*/sluice_$folder.dir/*" -name 'unity_*.cxx'
done | { cat; ls src/dist/*.cpp; } |
  xargs -P "$(nproc)" -n 1 .venv/bin/clang-tidy -p build/lint --config-file=.clang-tidy --quiet \
    --extra-arg="-idirafter$(gcc -print-file-name=include)" --warnings-as-errors='*' \
    2> build/lint.log || { grep -v 'warnings generated' build/lint.log >&2 || true; exit 1; }
echo "lint: no problems found"
