"""The sample-ratio test: faults it finds, and false alarms when it is looked at always."""

from itertools import product
from typing import Final

import numpy as np

from benches.learning.figure import Figure
from benches.quality.stream import generator
from benches.statistics.validity import rate
from pilotfish._core import SampleRatio

STUDY: Final = "sample ratio"
ALPHA: Final = 0.01
FAULT: Final = 0.02
# By share: units after which 95 % of faults must have been found.
UNITS: Final = {0.5: 300_000, 0.05: 1_500_000}
# Looked at after every unit so long, then after every block.
SINGLY: Final = 5_000
BLOCK: Final = 1_000


def arrived(share: float, lost: str) -> float:
    """Return the chance of a unit that arrives to be in the treatment when 2 % of one arm's records are lost."""
    treated = share * (1 - FAULT * (lost == "treatment"))
    return treated / (treated + (1 - share) * (1 - FAULT * (lost == "control")))


def alarms_at(rng: np.random.Generator, share: float, seen: float, units: int, singly: int) -> int | None:
    """Return how many units have arrived at the alarm; None without one."""
    ratio = SampleRatio(share, ALPHA)
    for treated in (rng.random(singly) < seen).tolist():
        ratio.observe(treated)
        if ratio.mismatch:
            return ratio.count
    for treated in rng.binomial(BLOCK, seen, (units - singly) // BLOCK).tolist():
        ratio.observe_counts(treated, BLOCK - treated)
        if ratio.mismatch:
            return ratio.count
    return None


def figures(runs: int, units: dict[float, int] | None = None, singly: int = SINGLY) -> list[Figure]:
    """Return the rows of all cases."""
    rows = []
    for (share, count), lost in product((units or UNITS).items(), ("nothing", "treatment", "control")):
        rng = generator(0, STUDY, str(share), lost)
        is_calm = lost == "nothing"
        alarms = [alarms_at(rng, share, arrived(share, lost), count, singly if is_calm else 0) for _ in range(runs)]
        found = [alarm for alarm in alarms if alarm is not None]
        detail = f"median {np.median(found):,.0f}, 95th percentile {np.quantile(found, 0.95):,.0f}" if found else ""
        what = (
            f"share {share:g}, " + ("false alarms" if is_calm else f"2 % of the {lost} lost: found") + f" in {count:,}"
        )
        asked = ("<=", ALPHA) if is_calm else (">=", 0.95)
        rows.append(Figure(STUDY, what, *rate(len(found), runs), *asked, "" if is_calm else detail))
    return rows
