#!/usr/bin/env bash
# Checks Sluice on a machine with an NVIDIA GPU in at most nine minutes; see docs/gpu.md, or --help.
# SLUICE_PYTHON selects the interpreter, whose torch is used.
set -euo pipefail
exec "${SLUICE_PYTHON:-python3}" -B "$(dirname "$0")/gpu_check/check.py" "$@"
