"""Learning rates by scripts/numpy_adafactor.py. Arguments: total_steps constant_steps decay_fraction; raw float64 on stdout."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
from numpy_adafactor import t5_learning_rates  # noqa: E402

total_steps, constant_steps, decay_fraction = sys.argv[1:]
sys.stdout.buffer.write(t5_learning_rates(int(total_steps), int(constant_steps), float(decay_fraction)).tobytes())
