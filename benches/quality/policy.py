"""What a policy is to this bench."""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from benches.quality.stream import Floats, Outcome, Round

RARE: Final = 1e-3
"""Modules less probable than this do not count in the check of propensities: their 1 / p would drown the others."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Which module is served. `propensity` is None, and `support` 0, for a policy that draws nothing.

    `support` counts the modules whose probability is at least `RARE`.
    """

    index: int
    propensity: float | None = None
    support: int = 0


def drawn(index: int, pmf: Floats) -> Decision:
    """Return the decision that served `index` by a draw from `pmf` [K]."""
    return Decision(index, float(pmf[index]), int(np.count_nonzero(pmf >= RARE)))


class Policy(Protocol):
    """Decides and learns, turn by turn. Sees only the served module's outcome."""

    def decide(self, round_: Round) -> Decision:
        """Choose one of the round's modules."""

    def learn(self, round_: Round, decision: Decision, outcome: Outcome) -> None:
        """Take in what the served module brought."""
