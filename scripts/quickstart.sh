#!/usr/bin/env bash
# Set-up, build and corpus on a new machine, and then
#   quickstart.sh compare [KEY=VALUE...]   compares the paper's eight feed-forward layers in small
#                                          models, with changed settings if given
#   quickstart.sh train [KEY=VALUE...]     trains one SwiGLU model for longer
# `make quickstart` and `make train` (SETTINGS='KEY=VALUE...') run these.
# Can be repeated: finished runs of the comparison are skipped; an existing single run is renamed.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-compare}
case $what in
  compare | train) ;;
  *) echo "quickstart.sh: received $what; expected compare or train" >&2; exit 2 ;;
esac

scripts/setup.sh --corpus
make --no-print-directory build

config=quickstart.yaml run=runs/quickstart
status=0
python3 scripts/make_corpus.py kjv data/kjv.txt || status=$?
if ((status > 128)); then exit "$status"; fi  # interrupted by a signal
if ((status != 0)); then
  config=quickstart_grammar.yaml run=runs/quickstart_grammar
  echo "quickstart: King James Bible not available; using generated text"
  [ -e data/grammar.txt ] || python3 scripts/make_corpus.py grammar data/grammar.txt
fi

settings=()
(($# < 2)) || settings=(--set "${@:2}")
if [ "$what" = compare ]; then
  exec build/sluice compare "configs/compare/$config" "${settings[@]}"
fi
fresh=()
[ ! -e "$run" ] || fresh=(--fresh)
exec build/sluice train "configs/$config" "${fresh[@]}" "${settings[@]}"
