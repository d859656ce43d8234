#!/usr/bin/env bash
# Formatting of all C++ files, and clang-tidy over the folders without LibTorch (its headers would make that take ten times as long).
# Run it as `make lint`.
set -euo pipefail
cd "$(dirname "$0")/.."

git ls-files -z '*.h' '*.cpp' | xargs -0 clang-format-14 --dry-run -Werror || { echo "lint: run  make format" >&2; exit 1; }

# Without precompiled headers, ccache or torch: what clang-tidy can read.
cmake -S . -B build/lint -G Ninja -DSLUICE_TORCH=OFF -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER_LAUNCHER=env > build/lint.log || { cat build/lint.log >&2; exit 1; }
folders=$(sed -n '/^[a-z]*:/{/ torch/!s/:.*//p}' src/layers.txt)
for folder in $folders; do
  [ ! -d "src/$folder" ] || find "src/$folder" -name '*.cpp'
done | xargs -P "$(nproc)" -n 4 clang-tidy-14 -p build/lint --quiet --warnings-as-errors='*' 2> build/lint.log || { grep -v 'warnings generated' build/lint.log >&2 || true; exit 1; }
echo "lint: formatting and clang-tidy found nothing"
