"""How well policies learn: one pass over real tables and synthetic streams, feedback for the served module only.

`python -m benches.quality --data DIR --json OUT` finds every scenario in DIR by its layout, lets each policy play the
same rounds from the same seeds, and prints, writes and plots what they earned. Peers live in the bench environment.
"""

import os

# Before NumPy is loaded: the processes share the cores, and sums must not depend on how many threads took part.
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
