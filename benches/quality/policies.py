"""Every policy that plays, by name."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benches.quality import vowpal
from benches.quality.lin_ucb import ALPHAS, LinUcb
from benches.quality.ours import Pilotfish
from benches.quality.policy import Policy
from benches.quality.stream import Stream

OURS = "pilotfish"
LIN_UCB = "LinUCB"


class Entry(NamedTuple):
    """A policy to play: whose it is (`ours`, `vw` or `linucb`), how it is made, and what streams it can play."""

    name: str
    group: str
    make: Callable[[np.random.Generator, Stream], Policy]
    needs_fixed_arms: bool = False


def ours(name: str, floor: float | None) -> Entry:
    """Return our policy with this floor; None: the default's."""
    return Entry(name, "ours", lambda rng, _: Pilotfish(rng, floor))


def lin_ucb(alpha: float) -> Entry:
    """Return LinUCB with this width."""
    return Entry(f"{LIN_UCB} {alpha:g}", "linucb", lambda _rng, _stream: LinUcb(alpha))


def vw(name: str, flags: str, *, adf: bool) -> Entry:
    """Return one of VW's explorers."""
    kind = vowpal.ActionFeatures if adf else vowpal.FixedActions
    return Entry(f"VW {name}", "vw", lambda rng, stream: kind(flags, rng, stream.arm_count), needs_fixed_arms=not adf)


ENTRIES: tuple[Entry, ...] = (
    ours(OURS, None),
    ours(f"{OURS} floor 0", 0.0),
    ours(f"{OURS} floor 2%", 0.02),
    *(lin_ucb(alpha) for alpha in ALPHAS),
    *(vw(f"{name} adf", flags, adf=True) for name, flags in vowpal.EXPLORERS.items()),
    *(vw(name, vowpal.EXPLORERS[name], adf=False) for name in ("epsilon-greedy", "SquareCB")),
)
