#!/usr/bin/env bash
# From a bare machine to a trained language model: set-up, build, corpus, training. Run it as `make quickstart`; twice in a row works.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh --corpus
make --no-print-directory build

config=configs/quickstart.yaml run=runs/quickstart
if ! python3 scripts/make_corpus.py kjv data/kjv.txt; then
  config=configs/quickstart_grammar.yaml run=runs/quickstart_grammar
  echo "quickstart: without the King James Bible the model learns a generated language"
  [ -e data/grammar.txt ] || python3 scripts/make_corpus.py grammar data/grammar.txt
fi

# An earlier run is kept under another name.
fresh=()
[ ! -e "$run" ] || fresh=(--fresh)
exec build/sluice train "$config" "${fresh[@]}"
