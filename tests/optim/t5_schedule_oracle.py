"""Writes the learning rates of scripts/numpy_adafactor.py as raw float64 to stdout.

Arguments: total_steps constant_steps decay_fraction.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
from numpy_adafactor import t5_learning_rates  # noqa: E402

total_steps, constant_steps, decay_fraction = sys.argv[1:]
sys.stdout.buffer.write(
    t5_learning_rates(int(total_steps), int(constant_steps), float(decay_fraction)).tobytes()
)
