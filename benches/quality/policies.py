"""Every policy that plays, by name."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benches.quality import vowpal
from benches.quality.lin_ucb import ALPHAS, SCALED_ALPHAS, LinUcb
from benches.quality.ours import Pilotfish
from benches.quality.policy import Policy
from benches.quality.stream import Stream

OURS = "pilotfish"
LIN_UCB = "LinUCB"


class Entry(NamedTuple):
    """A policy to play, how it is made, and whether it needs modules that never change.

    `group` says whose it is: `ours`, `linucb`, `vw`, or `vw_std` for VW on standardised numbers.
    """

    name: str
    group: str
    make: Callable[[np.random.Generator, Stream], Policy]
    needs_fixed_arms: bool = False


def ours(name: str, floor: float | None, *, tells_live: bool = False) -> Entry:
    """Return our policy with this floor; None: the default's."""
    return Entry(name, "ours", lambda rng, _: Pilotfish(rng, floor, tells_live=tells_live))


def lin_ucb(alpha: float, *, scaled: bool) -> Entry:
    """Return LinUCB with this width, on plain or on scaled vectors."""
    name = f"{LIN_UCB} {alpha:g}{' scaled' if scaled else ''}"
    return Entry(name, "linucb", lambda _rng, _stream: LinUcb(alpha, scaled=scaled))


def vw(explorer: str, *, adf: bool, standardised: bool) -> Entry:
    """Return one of VW's explorers, with action features or a model per module, on raw or on standardised numbers."""
    kind = vowpal.ActionFeatures if adf else vowpal.FixedActions
    name = f"VW {explorer}{' adf' if adf else ''}{' std' if standardised else ''}"
    group = "vw_std" if standardised else "vw"

    def make(rng: np.random.Generator, stream: Stream) -> Policy:
        return kind(vowpal.EXPLORERS[explorer], rng, stream.arm_count, standardised=standardised)

    return Entry(name, group, make, needs_fixed_arms=not adf)


ENTRIES: tuple[Entry, ...] = (
    ours(OURS, None),
    ours(f"{OURS} floor 0", 0.0),
    ours(f"{OURS} floor 2%", 0.02),
    ours(f"{OURS} live", None, tells_live=True),
    *(lin_ucb(alpha, scaled=False) for alpha in ALPHAS),
    *(lin_ucb(alpha, scaled=True) for alpha in SCALED_ALPHAS),
    *(
        vw(explorer, adf=adf, standardised=standardised)
        for standardised in (False, True)
        for adf, explorers in ((True, tuple(vowpal.EXPLORERS)), (False, vowpal.FIXED_EXPLORERS))
        for explorer in explorers
    ),
)
