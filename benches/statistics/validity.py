"""Without a difference: how many rollouts are ever declared one, looking after every outcome."""

from math import sqrt
from typing import Final

import numpy as np

from benches.learning.figure import Figure
from benches.quality.stream import Floats, generator
from benches.statistics.rollout import ALPHA, Rollout, streams

STUDY: Final = "type-I error"
N: Final = 50_000
CASES: Final = (
    Rollout(0.5, 0.5),
    Rollout(0.05, 0.5),
    Rollout(0.05, 0.9),
    Rollout(0.5, 0.5, learns=True),
    Rollout(0.05, 0.5, learns=True),
)
Z: Final = 1.959964
# A z-test is not asked before that: its first looks are not even nearly normal.
FIRST_LOOK: Final = 100


def peeks(x: Floats) -> bool:
    """Whether a z-test at 5 % would have rejected at any look from the 100th observation on."""
    sums, squares = np.cumsum(x), np.cumsum(x * x)
    return bool((np.abs(sums) > Z * np.sqrt(squares))[FIRST_LOOK - 1 :].any())


def rate(wrong: int, runs: int) -> tuple[float, float]:
    """Return a share and its standard error."""
    share = wrong / runs
    return share, sqrt(share * (1 - share) / runs)


def measure(rollout: Rollout, runs: int, n: int = N) -> list[Figure]:
    """Return the rows of one case: as the server reads it, without tuning, and a z-test for comparison."""
    wrong = dict.fromkeys(("", ", untuned", ", z-test at every look"), 0)
    for stream in streams(generator(0, STUDY, rollout.name), rollout, runs, n):
        wrong[""] += stream.excludes_zero_as_served(rollout.share) is not None
        wrong[", untuned"] += stream.excludes_zero(rollout.untuned()) is not None
        wrong[", z-test at every look"] += peeks(stream.values)
    return [
        Figure(STUDY, rollout.name + how, *rate(count, runs), *(("<=", ALPHA) if "z-test" not in how else ("", None)))
        for how, count in wrong.items()
    ]


def figures(runs: int) -> list[Figure]:
    """Return the rows of all cases."""
    return [figure for rollout in CASES for figure in measure(rollout, runs)]
