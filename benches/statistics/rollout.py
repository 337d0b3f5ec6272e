"""Rollouts as streams of observations: outcomes weighted by the difference of two policies over the propensity."""

from collections.abc import Iterator
from math import sqrt
from typing import Final, NamedTuple

import numpy as np

from benches.quality.stream import Floats
from pilotfish._core import ConfidenceSequence

ALPHA: Final = 0.05
EXPLORATION: Final = 0.05
# 500 streams of 50,000 observations fill 200 MB.
BATCH: Final = 500


class Rollout(NamedTuple):
    """A control and a policy between two modules, of which outcomes are 0 or 1.

    `learns`: the control takes both modules alike and the policy takes the one with the better past, but for 5 %;
    otherwise the control has the first module and the policy the second.
    """

    share: float
    base: float
    lift: float = 0.0
    learns: bool = False

    @property
    def name(self) -> str:
        """What the table calls it."""
        kind = "a learning policy" if self.learns else "fixed modules"
        return f"{kind}, share {self.share:g}, base rate {self.base:g}"

    @property
    def chances(self) -> tuple[float, float]:
        """Chances of a 1 of both modules."""
        return self.base, self.base * (1 + self.lift)

    @property
    def deviation(self) -> float:
        """Standard deviation of an observation, as one would plan it: from the base rate, had the policy learned."""
        if not self.learns:
            spread = 1 / self.share + 1 / (1 - self.share)
        else:
            gap = 0.5 - EXPLORATION
            better = self.share * (1 - EXPLORATION) + (1 - self.share) / 2
            spread = gap**2 * (1 / better + 1 / (1 - better))
        return sqrt(self.base * (1 - self.base) * spread)

    @property
    def effect(self) -> float:
        """Mean of an observation, for a learning policy once it has learned."""
        gap = 0.5 - EXPLORATION if self.learns else 1.0
        return gap * self.base * self.lift

    def sequence(self, expected_count: float | None = None) -> ConfidenceSequence:
        """Return the confidence sequence that would read this rollout; with the count goes the deviation."""
        bound = max(1 / self.share, 1 / (1 - self.share))
        deviation = None if expected_count is None else self.deviation
        return ConfidenceSequence(-bound, bound, -1.0, 1.0, ALPHA, expected_count, deviation)


def streams(rng: np.random.Generator, rollout: Rollout, runs: int, n: int) -> Iterator[Floats]:
    """Yield the observations of one run after the other: (u − c) (π_policy(a) − π_control(a)) / p(a), float64 [n].

    c is the mean utility so far, 1/2 before the first: it takes nothing from the mean, and most of the variance.
    """
    while runs > 0:
        batch = min(runs, BATCH if rollout.learns else 1)
        yield from learning(rng, rollout, batch, n) if rollout.learns else fixed(rng, rollout, batch, n)
        runs -= batch


def fixed(rng: np.random.Generator, rollout: Rollout, runs: int, n: int) -> Floats:
    """Return streams of two fixed modules: float64 [runs, n]."""
    share, (control, policy) = rollout.share, rollout.chances
    treated = rng.random((runs, n)) < share
    utility = (rng.random((runs, n)) < np.where(treated, policy, control)).astype(np.float64)
    before = np.cumsum(utility, axis=1) - utility
    centre = (before + 0.5) / np.arange(1, n + 1)
    return np.asarray((utility - centre) * np.where(treated, 1 / share, -1 / (1 - share)))


def learning(rng: np.random.Generator, rollout: Rollout, runs: int, n: int) -> Floats:
    """Return streams of a policy that follows the past outcomes of all: float64 [runs, n]."""
    first, second = rollout.chances
    won, tried = np.ones((2, runs)), np.full((2, runs), 2.0)
    seen = np.empty((runs, n))
    total = np.full(runs, 0.5)
    for step in range(n):
        takes_second = won[1] * tried[0] > won[0] * tried[1]
        policy = np.where(takes_second, 1 - EXPLORATION, EXPLORATION)
        served = rollout.share * policy + (1 - rollout.share) / 2
        chosen = rng.random(runs) < served
        utility = (rng.random(runs) < np.where(chosen, second, first)).astype(np.float64)
        gap, propensity = policy - 0.5, np.where(chosen, served, 1 - served)
        seen[:, step] = (utility - total / (step + 1)) * np.where(chosen, gap, -gap) / propensity
        total += utility
        won[1] += utility * chosen
        won[0] += utility * ~chosen
        tried[1] += chosen
        tried[0] += ~chosen
    return seen
