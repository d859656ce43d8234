# The commands of the project. Each first installs what it needs (scripts/setup.sh).

JOBS ?= $(shell nproc)
BUILD := build
# Compiling eight files as one halves the time of a whole build; 1 is better for repeated edits.
UNITY ?= 8
# Evaluated when used, after set-up. An existing build folder keeps its generator.
generator = $(if $(wildcard $(BUILD)/CMakeCache.txt),,$(if $(shell command -v ninja),-G Ninja))
python = $(shell grep SLUICE_PYTHON $(BUILD)/setup.cmake | cut -d '"' -f 2)

.PHONY: help build test quickstart train bench lint format asan clean configure setup setup-tests \
  setup-lint

help:
	@echo "make quickstart   install dependencies, build, compare the paper's eight layers"
	@echo "make train        install dependencies, build, train one model longer"
	@echo "make build        build/sluice, optimized"
	@echo "make test         build everything and run all tests"
	@echo "make bench        measure training speed against PyTorch, update docs/benchmarks.md"
	@echo "make lint         check formatting, run static checks"
	@echo "make format       format all C++ and Python files"
	@echo "make asan         run the tests that do not need LibTorch under ASan and UBSan"
	@echo "make clean        remove the build folders"

setup:
	@scripts/setup.sh

setup-tests:
	@scripts/setup.sh --tests --corpus

setup-lint:
	@scripts/setup.sh --lint

configure:
	@test $(BUILD)/CMakeCache.txt -nt $(BUILD)/setup.cmake || \
	  cmake -S . -B $(BUILD) $(generator) -C $(BUILD)/setup.cmake -DCMAKE_BUILD_TYPE=Release \
	    -DSLUICE_UNITY=$(UNITY)

build: setup
	@$(MAKE) --no-print-directory configure
	@cmake --build $(BUILD) --target sluice -j $(JOBS)

test: setup-tests
	@$(MAKE) --no-print-directory configure
	@cmake --build $(BUILD) -j $(JOBS)
	@rm -rf $(BUILD)/gtest
	@ctest --test-dir $(BUILD) --output-on-failure --output-junit results.xml -j $(JOBS)

quickstart:
	@scripts/quickstart.sh compare $(SETTINGS)

train:
	@scripts/quickstart.sh train $(SETTINGS)

bench: setup-tests build
	@python3 scripts/make_corpus.py kjv data/kjv.txt
	@$(python) scripts/bench/bench.py
	@$(python) scripts/bench/bench.py --config configs/bench_t5.yaml

lint: setup-lint
	@scripts/lint.sh

format: setup-lint
	@git ls-files -z '*.h' '*.cpp' | xargs -0 clang-format-14 -i
	@.venv/bin/ruff format --no-cache --quiet scripts tests

asan: setup-tests
	@cmake --preset asan -C $(BUILD)/setup.cmake
	@cmake --build --preset asan -j $(JOBS)
	@ctest --preset asan --output-junit results.xml -j $(JOBS)

clean:
	@rm -rf build build-debug build-asan
