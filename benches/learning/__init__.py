"""How fast the served model learns: cold start, a new module, a change of the world, the hub's own task.

`python -m benches.learning --json OUT` plays worlds whose means are known, several seeds each, and holds the figures
against what was asked for. The model is Pilotfish's as the engine grows it (`benches.quality.ours`).
"""

import os

# Before NumPy is loaded: the processes share the cores, and sums must not depend on how many threads took part.
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
