"""Writes `change.json`. Run by hand, with reason; needs the built core and NumPy.

`python -m tests.golden.generate_change`. Stream, evidence and alarms are from `ChangeTwin`, which knows nothing of the
kernel. `state` is what the kernel's detector answered after the last observation, to the bit, so that the bytes of
today can be read tomorrow.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish._core import ChangeDetector
from tests.unit.core.change_twin import ChangeTwin

MODULES = ("ocr", "text", "vision")


def main() -> None:
    """600 observations of three modules; one of them fails from the 300th on and is not learned anew."""
    random, alpha, slack = np.random.default_rng(11), 1e-4, 0.05
    twin, detector = ChangeTwin(alpha, slack), ChangeDetector(alpha, slack)
    golden: dict[str, Any] = {"alpha": alpha, "slack": slack, "stream": [], "evidence": [], "alarms": []}
    for step in range(600):
        module = MODULES[int(random.choice(3, p=[0.2, 0.6, 0.2]))]
        chance = 0.1 if module == "text" and step >= 300 else 0.7
        utility = float(random.random() < chance)
        residual = round(utility - float(random.uniform(0.6, 0.8)), 3)
        uncertainty = round(0.5 / float(np.sqrt(step + 1)), 3)
        alarm = twin.observe(residual, module, uncertainty, utility)
        detector.observe(residual, module, uncertainty, utility)
        golden["stream"].append([residual, module, uncertainty, utility])
        golden["evidence"].append(float(np.log1p(twin.statistic() if twin.modules else 0.0)))
        if alarm:
            golden["alarms"].append([twin.count, *alarm])
    golden["state"] = detector.state().hex()
    text = json.dumps(golden, ensure_ascii=False)
    (Path(__file__).parent / "change.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
