"""Plays the served model on a stream and keeps, decision by decision, what the studies look at."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benches.quality.ours import Pilotfish
from benches.quality.policy import Decision
from benches.quality.stream import Floats, Outcome, Round, Stream
from pilotfish._core import ChangeDetector

BLIND = 1e-30
"""The smallest rate of false alarms that a detector takes."""


class Watched(Pilotfish):
    """The adapter, with the place of each alarm on record.

    Args:
        rng: As the adapter's.
        detects: False: the change detector is blinded, and an alarm all the same is an error.
    """

    def __init__(self, rng: np.random.Generator, *, detects: bool = True) -> None:
        super().__init__(rng)
        self.alarms: list[int] = []
        """Numbers of outcomes that had been learned when an alarm was given."""
        self._detects = detects
        self._blind()

    @property
    def learned(self) -> int:
        """Number of outcomes learned."""
        return len(self._rows)

    def learn(self, round_: Round, decision: Decision, outcome: Outcome) -> None:
        """Learn as the adapter does.

        Raises:
            RuntimeError: A blinded detector gave an alarm.
        """
        before = len(self._changes)
        super().learn(round_, decision, outcome)
        if len(self._changes) > before:
            if not self._detects:
                raise RuntimeError(f"alarm at {len(self._rows)}, must be none from a blinded detector")
            self.alarms.append(len(self._rows))

    def _regrow(self) -> None:
        super()._regrow()
        self._blind()

    def _blind(self) -> None:
        if not self._detects:
            self._detector = ChangeDetector(BLIND)


class Passage(NamedTuple):
    """One pass: expected reward earned and best possible, [n] each, and the place of the module served, [n].

    `alarms` holds the number of this pass's outcomes that had been learned when each alarm was given.
    """

    earned: Floats
    best: Floats
    served: NDArray[np.int64]
    alarms: list[int]

    @property
    def regret(self) -> Floats:
        """Best − earned, [n]."""
        return self.best - self.earned


def passage(stream: Stream, policy: Watched) -> Passage:
    """Let a policy play a stream; it may have played others before."""
    earned, best = np.empty(stream.length), np.empty(stream.length)
    served = np.empty(stream.length, dtype=np.int64)
    known, learned = len(policy.alarms), policy.learned
    for row, step in enumerate(stream.steps()):
        decision = policy.decide(step.round)
        policy.learn(step.round, decision, step.outcome(decision.index))
        earned[row], best[row], served[row] = step.expected[decision.index], step.expected.max(), decision.index
    return Passage(earned, best, served, [alarm - learned for alarm in policy.alarms[known:]])
