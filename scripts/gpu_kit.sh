#!/usr/bin/env bash
# Packs what scripts/gpu_check.sh needs on a machine without a network: the headers and libraries of
# the packages that scripts/setup.sh would install, and the Python packages of its references.
#
#   scripts/gpu_kit.sh FILE [PYTHON_VERSION]
#
# FILE             the archive, e.g. build/kit.tar.gz (about 10 MB, with Python packages 40 MB)
# PYTHON_VERSION   of the other machine, e.g. 3.12: also packs transformers and what it imports;
#                  without it, no Python packages
#
# Run it on Debian or Ubuntu after `make build`. The other machine is x86-64 Linux with at least
# this glibc, g++ 12, CMake 3.25, Ninja and a Python that has a CUDA build of torch. There:
# scripts/gpu_check.sh --kit FILE OUT
set -euo pipefail
cd "$(dirname "$0")/.."
die() { printf 'gpu_kit: %s\n' "$*" >&2; exit 1; }

[ $# = 1 ] || [ $# = 2 ] || die "received $# arguments; expected FILE [PYTHON_VERSION]"
archive=$(realpath -m "$1")
python_version=${2:-}
command -v dpkg > /dev/null || die "dpkg: command not found; run this on Debian or Ubuntu"
kit=$(mktemp -d)
trap 'rm -rf "$kit"' EXIT

# The packages of the table in scripts/setup.sh that provide headers. Boost is copied in part below.
packages=$(sed -n 's/^build  *h:[^ ]*  *\([^ ]*\).*/\1/p' scripts/setup.sh | grep -v boost)
[ -n "$packages" ] || die "scripts/setup.sh: found no packages; expected rows 'build h:HEADER'"

# Copies $1 to the same place below the kit; of a link also the file that it points to.
copy() {
  mkdir -p "$kit$(dirname "$1")"
  cp -a "$1" "$kit$1"
  if [ -L "$1" ]; then cp -a "$(readlink -f "$1")" "$kit$(dirname "$1")/"; fi
}

# A package, and the packages that it needs for headers: libfmt-dev for spdlog.
for package in $packages libfmt-dev; do
  dpkg -s "$package" > /dev/null 2>&1 || die "$package is not installed; run scripts/setup.sh"
  dpkg -L "$package" | grep -E '^/usr/(include|lib|share/cmake|share/[^/]+/cmake)/' |
    while read -r file; do
      [ ! -f "$file" ] || copy "$file"
    done
done

# What the shared libraries load, except for the libraries of the compiler and the C library.
find "$kit/usr/lib" -name '*.so*' -type f -exec ldd {} + 2> /dev/null |
  sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | sort -u |
  grep -vE '/(ld-linux|libc|libm|libdl|librt|libpthread|libstdc\+\+|libgcc_s)[-.]' |
  while read -r file; do copy "$(readlink -f "$file" | sed 's/^\/lib/\/usr\/lib/')"; done
# The names by which the loader looks for them.
find "$kit/usr/lib" -name '*.so*' -type f | while read -r file; do
  name=$(readelf -d "$file" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
  [ -z "$name" ] || ln -sf "$(basename "$file")" "$(dirname "$file")/$name"
done

# Boost.Math with what the sources include; other compilers may include more of math and config.
for source in $(grep -l 'boost/' src/*/*.cpp); do
  g++ -std=c++20 -Isrc -M "$source" | tr ' \\' '\n\n' | grep '^/usr/include/boost/' || true
done | sort -u | while read -r file; do copy "$file"; done
for part in math config; do
  mkdir -p "$kit/usr/include/boost/$part"
  cp -rL "/usr/include/boost/$part/." "$kit/usr/include/boost/$part/"
done

if [ -n "$python_version" ]; then
  version=$(sed -n 's/^readonly transformers_version=//p' scripts/setup.sh)
  python3 -m pip download --quiet --dest "$kit/wheels" --only-binary=:all: \
    --python-version "$python_version" --platform manylinux_2_28_x86_64 \
    --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 --platform any \
    "transformers==$version" numpy pyyaml safetensors
fi
mkdir -p "$(dirname "$archive")"
tar -C "$kit" -czf "$archive" .
du -h "$archive" | sed 's/^/gpu_kit: /'
