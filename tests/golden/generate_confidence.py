"""Writes `confidence.json`. Run by hand, with reason; needs the built core, NumPy and SciPy.

`python -m tests.golden.generate_confidence`. Stream and intervals are from `ConfidenceTwin`, which knows nothing of the
kernel. `state` is what the kernel's sequence answered after the last observation, to the bit, so that the bytes of
today can be read tomorrow.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish._core import ConfidenceSequence
from tests.unit.core.confidence_twin import ConfidenceTwin

SETTINGS = {
    "low": -1.25,
    "high": 5.0,
    "mean_low": -1.0,
    "mean_high": 1.0,
    "alpha": 0.05,
    "expected_count": 150.0,
    "expected_deviation": 1.2,
}


def main() -> None:
    """300 outcomes of a rollout at a share of 20 %, weighted by inverse propensities; the policy is better by 0.4."""
    random = np.random.default_rng(12)
    twin, sequence = ConfidenceTwin(**SETTINGS), ConfidenceSequence(**SETTINGS)
    golden: dict[str, Any] = {"settings": SETTINGS, "stream": [], "intervals": []}
    for _ in range(300):
        treated = random.random() < 0.2
        utility = round(float(random.beta(6, 2) if treated else random.beta(3, 5)), 3)
        x = utility * 5.0 if treated else -utility * 1.25
        twin.observe(x)
        sequence.observe(x)
        golden["stream"].append(x)
        golden["intervals"].append(twin.interval())
    golden["state"] = sequence.state().hex()
    text = json.dumps(golden, ensure_ascii=False)
    (Path(__file__).parent / "confidence.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
