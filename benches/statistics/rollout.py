"""Rollouts as streams of observations: outcomes weighted by the difference of two policies over the propensity."""

from collections.abc import Iterator
from math import sqrt
from typing import Final, NamedTuple

import numpy as np

from benches.quality.stream import Floats
from pilotfish._core import ConfidenceSequence
from pilotfish.experiments.sequences import difference_of_sides, largest_contrast, opening_length

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

    def untuned(self) -> ConfidenceSequence:
        """Return the confidence sequence that would read this rollout if nothing were known of it."""
        bound = largest_contrast(self.share)
        return ConfidenceSequence(-bound, bound, -1.0, 1.0, ALPHA)


class Stream(NamedTuple):
    """What one rollout shows."""

    values: Floats
    """Observations (u − c) (π_policy(a) − π_control(a)) / p(a), float64 [n]; c is the mean utility so far, 1/2 before
    the first: it takes nothing from the mean, and most of the variance."""
    utilities: Floats
    contrasts: Floats
    """u and (π_policy(a) − π_control(a)) / p(a), float64 [opening] of the first of them."""

    def excludes_zero(self, sequence: ConfidenceSequence) -> int | None:
        """Return after how many observations the sequence excludes 0; None if it never does."""
        place = sequence.first_excluding(self.values.tobytes(), 0.0)
        return None if place is None else place + 1

    def excludes_zero_as_served(self, share: float) -> int | None:
        """Return the same for the sequence that the server would lay out from the opening."""
        opening = list(zip(self.utilities.tolist(), self.contrasts.tolist(), strict=True))
        sequence = difference_of_sides(share, ALPHA, 0.0, opening)
        assert isinstance(sequence, ConfidenceSequence)
        count = self._replace(values=self.values[len(opening) :]).excludes_zero(sequence)
        return None if count is None else len(opening) + count


def streams(rng: np.random.Generator, rollout: Rollout, runs: int, n: int) -> Iterator[Stream]:
    """Yield one run of n observations after the other."""
    while runs > 0:
        batch = min(runs, BATCH if rollout.learns else 1)
        played = (learning if rollout.learns else fixed)(rng, rollout, batch, n)
        yield from map(Stream, *played)
        runs -= batch


def fixed(rng: np.random.Generator, rollout: Rollout, runs: int, n: int) -> tuple[Floats, Floats, Floats]:
    """Return streams of two fixed modules: observations, float64 [runs, n], and the rest of `Stream`."""
    share, (control, policy) = rollout.share, rollout.chances
    treated = rng.random((runs, n)) < share
    utility = (rng.random((runs, n)) < np.where(treated, policy, control)).astype(np.float64)
    before = np.cumsum(utility, axis=1) - utility
    centre = (before + 0.5) / np.arange(1, n + 1)
    contrast = np.where(treated, 1 / share, -1 / (1 - share))
    opening = np.s_[:, : opening_length(share)]
    return (utility - centre) * contrast, utility[opening], contrast[opening]


def learning(rng: np.random.Generator, rollout: Rollout, runs: int, n: int) -> tuple[Floats, Floats, Floats]:
    """Return streams of a policy that follows the past outcomes of all, as `fixed` does."""
    first, second = rollout.chances
    won, tried = np.ones((2, runs)), np.full((2, runs), 2.0)
    seen, opening = np.empty((runs, n)), np.empty((2, runs, min(n, opening_length(rollout.share))))
    total = np.full(runs, 0.5)
    for step in range(n):
        takes_second = won[1] * tried[0] > won[0] * tried[1]
        policy = np.where(takes_second, 1 - EXPLORATION, EXPLORATION)
        served = rollout.share * policy + (1 - rollout.share) / 2
        chosen = rng.random(runs) < served
        utility = (rng.random(runs) < np.where(chosen, second, first)).astype(np.float64)
        gap, propensity = policy - 0.5, np.where(chosen, served, 1 - served)
        contrast = np.where(chosen, gap, -gap) / propensity
        seen[:, step] = (utility - total / (step + 1)) * contrast
        if step < opening.shape[-1]:
            opening[..., step] = utility, contrast
        total += utility
        won[1] += utility * chosen
        won[0] += utility * ~chosen
        tried[1] += chosen
        tried[0] += ~chosen
    return seen, *opening
