"""`python -m benches.latency`: how long the core and its peers take to decide and to learn."""

import importlib
import os

for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{library}_NUM_THREADS"] = "1"  # read once, when NumPy is loaded; hence the late import

importlib.import_module("benches.latency.command").main()
