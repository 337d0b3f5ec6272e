"""A true difference: after how many outcomes it is found, in samples that a single look would need."""

from collections.abc import Sequence
from math import ceil, inf
from typing import Final, TypeAlias

import numpy as np

from benches.learning.figure import Figure
from benches.quality.stream import Floats, generator
from benches.statistics.rollout import Rollout, streams
from benches.statistics.validity import Z, rate

STUDY: Final = "power"
WANTED: Final = 0.8
LIMIT: Final = 1.5
# z of 97.5 % and of 80 %.
Z_BOTH: Final = Z + 0.841621
# In fixed samples: what is played.
PLAYED: Final = 2.5
Asked: TypeAlias = tuple[str, float | None]
"""Relation and limit, as in `Figure`."""
UNASKED: Final[Asked] = ("", None)
CASES: Final = (
    Rollout(0.5, 0.5, 0.05),
    Rollout(0.05, 0.5, 0.05),
    Rollout(0.5, 0.9, 0.05),
    Rollout(0.05, 0.9, 0.05),
    Rollout(0.5, 0.5, 0.05, learns=True),
    Rollout(0.05, 0.5, 0.05, learns=True),
)


def fixed_sample(rollout: Rollout) -> float:
    """Return the sample of a two-sided z-test at 5 % with power 80 %: (1.96 + 0.84)² variance / effect².

    Two fixed modules: the z-test of two proportions. A learning policy: as if it had learned before it began.
    """
    if rollout.learns:
        return (Z_BOTH * rollout.deviation / rollout.effect) ** 2
    first, second = rollout.chances
    variance = second * (1 - second) / rollout.share + first * (1 - first) / (1 - rollout.share)
    return Z_BOTH**2 * variance / rollout.effect**2


def single_look(seen: Sequence[Floats]) -> float:
    """Return from which count on a single z-test rejects in 80 % of the streams; infinite if never."""
    counts = np.unique(np.linspace(1, len(seen[0]), 400, dtype=np.int64))
    rejects = np.zeros(len(counts))
    for x in seen:
        rejects += np.cumsum(x)[counts - 1] > Z * np.sqrt(np.cumsum(x * x)[counts - 1])
    enough = np.flatnonzero(rejects / len(seen) >= WANTED)
    return float(counts[enough[0]]) if enough.size else inf


def measure(rollout: Rollout, runs: int) -> list[Figure]:
    """Return the rows of one case: as the server reads it, and without tuning."""
    planned = fixed_sample(rollout)
    n = ceil((2 if rollout.learns else 1) * PLAYED * planned)
    seen = list(streams(generator(0, STUDY, rollout.name), rollout, runs, n))
    # A learning policy has no formula: it is weak until it has learned. What one look would have needed is counted.
    fixed = single_look([stream.values for stream in seen]) if rollout.learns else planned
    note = f"fixed sample {fixed:,.0f}" + (" as counted" if rollout.learns else "")
    # How it is read, and what is asked of the two rows.
    as_served = [stream.excludes_zero_as_served(rollout.share) for stream in seen]
    untuned = [stream.excludes_zero(rollout.untuned()) for stream in seen]
    readings: tuple[tuple[str, list[int | None], Asked, Asked], ...] = (
        ("", as_served, ("<=", LIMIT), (">=", WANTED)),
        (", untuned", untuned, UNASKED, UNASKED),
    )
    rows = []
    for how, counts, of_half, of_share in readings:
        samples = np.array([inf if count is None else count / fixed for count in counts])
        # Where half have found nothing, all that was played stands for more: a lower bound.
        half, most = (float(np.quantile(samples, part, method="higher")) for part in (0.5, WANTED))
        found = f"80 % found by {most:.2f}" if most < inf else "80 % not found in what was played"
        in_time, error = rate(int((samples <= LIMIT).sum()), runs)
        name, detail = f"{rollout.name}{how}", f"{note}; {found}"
        rows += [
            Figure(STUDY, f"{name}: fixed samples to half", min(half, n / fixed), None, *of_half, detail),
            Figure(STUDY, f"{name}: found in 1.5", in_time, error, *of_share),
        ]
    return rows


def figures(runs: int) -> list[Figure]:
    """Return the rows of all cases."""
    return [figure for rollout in CASES for figure in measure(rollout, runs)]
