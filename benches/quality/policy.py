"""What a policy is to this bench."""

from dataclasses import dataclass
from typing import Final, Protocol

from benches.quality.stream import Floats, Outcome, Round

RARE: Final = 0.01
"""Modules less probable than this do not count in the check of propensities: their 1 / p would drown the others."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Which module is served. `propensity` is None, and `support` 0, for a policy that draws nothing.

    `support` counts the modules whose probability is at least `RARE`, and `inverse_sum` is the sum of their 1 / p.
    """

    index: int
    propensity: float | None = None
    support: int = 0
    inverse_sum: float = 0.0


def drawn(index: int, pmf: Floats) -> Decision:
    """Return the decision that served `index` by a draw from `pmf` [K]."""
    inverse = 1.0 / pmf[pmf >= RARE]
    return Decision(index, float(pmf[index]), len(inverse), float(inverse.sum()))


class Policy(Protocol):
    """Decides and learns, turn by turn. Sees only the served module's outcome."""

    def decide(self, round_: Round) -> Decision:
        """Choose one of the round's modules."""

    def learn(self, round_: Round, decision: Decision, outcome: Outcome) -> None:
        """Take in what the served module brought."""
