# The commands of the project. Each installs what it needs first (scripts/setup.sh, quick when nothing is missing).

JOBS ?= $(shell nproc)
BUILD := build
# Looked up when used, that is, after set-up. A build folder keeps the generator that it was made with.
generator = $(if $(wildcard $(BUILD)/CMakeCache.txt),,$(if $(shell command -v ninja),-G Ninja))
python = $(shell grep SLUICE_PYTHON $(BUILD)/setup.cmake | cut -d '"' -f 2)

.PHONY: help build test quickstart train bench lint format asan clean configure setup setup-tests setup-lint

help:
	@echo "make quickstart   install what is missing, build, compare the eight layers of the paper in miniature, on real text"
	@echo "make train        the same with one model, trained longer"
	@echo "make build        build/sluice, optimised"
	@echo "make test         build everything and run all tests"
	@echo "make bench        training speed against PyTorch, into docs/benchmarks.md"
	@echo "make lint         formatting and static checks; make format mends the formatting"
	@echo "make asan         the tests of everything without LibTorch, under ASan and UBSan"
	@echo "make clean        remove the build folders"

setup:
	@scripts/setup.sh

setup-tests:
	@scripts/setup.sh --tests --corpus

setup-lint:
	@scripts/setup.sh --lint

configure:
	@test $(BUILD)/CMakeCache.txt -nt $(BUILD)/setup.cmake || \
	  cmake -S . -B $(BUILD) $(generator) -C $(BUILD)/setup.cmake -DCMAKE_BUILD_TYPE=Release

build: setup
	@$(MAKE) --no-print-directory configure
	@cmake --build $(BUILD) --target sluice -j $(JOBS)

test: setup-tests
	@$(MAKE) --no-print-directory configure
	@cmake --build $(BUILD) -j $(JOBS)
	@rm -rf $(BUILD)/gtest
	@ctest --test-dir $(BUILD) --output-on-failure --output-junit results.xml -j $(JOBS)

quickstart:
	@scripts/quickstart.sh compare

train:
	@scripts/quickstart.sh train

bench: setup-tests build
	@python3 scripts/make_corpus.py kjv data/kjv.txt
	@$(python) scripts/bench.py
	@$(python) scripts/bench.py --config configs/bench_t5.yaml

lint: setup-lint
	@scripts/lint.sh

format: setup-lint
	@git ls-files -z '*.h' '*.cpp' | xargs -0 clang-format-14 -i

asan: setup-tests
	@cmake --preset asan -C $(BUILD)/setup.cmake
	@cmake --build --preset asan -j $(JOBS)
	@ctest --preset asan --output-junit results.xml -j $(JOBS)

clean:
	@rm -rf build build-debug build-asan
