#!/usr/bin/env bash
# From a bare machine to results on real text: set-up, build, corpus, and then
#   quickstart.sh compare   all eight feed-forward layers of the paper in miniature, side by side (make quickstart)
#   quickstart.sh train     one SwiGLU model, trained longer (make train)
# Twice in a row works: finished runs of the comparison are not done again; an earlier single run is kept under another name.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-compare}
case $what in compare | train) ;; *) echo "quickstart.sh: $what; expected compare or train" >&2; exit 2 ;; esac

scripts/setup.sh --corpus
make --no-print-directory build

config=quickstart.yaml run=runs/quickstart
made=0
python3 scripts/make_corpus.py kjv data/kjv.txt || made=$?
if ((made > 128)); then exit "$made"; fi # stopped by a signal, which says nothing about the text
if ((made != 0)); then
  config=quickstart_grammar.yaml run=runs/quickstart_grammar
  echo "quickstart: without the King James Bible the models learn a generated language"
  [ -e data/grammar.txt ] || python3 scripts/make_corpus.py grammar data/grammar.txt
fi

if [ "$what" = compare ]; then exec build/sluice compare "configs/compare/$config"; fi
fresh=()
[ ! -e "$run" ] || fresh=(--fresh)
exec build/sluice train "configs/$config" "${fresh[@]}"
