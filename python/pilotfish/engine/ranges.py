"""Whether what is reported fits the utilities: a half value that is off by powers of ten makes a signal useless."""

import logging
from collections import Counter
from typing import Final

from pilotfish.codes import Signal
from pilotfish.rewards import RewardFunction

BLOCK: Final = 500
"""Values of a signal that are judged together."""
SHARE: Final = 0.95
"""Share of a block whose utilities all but coincide, from which on half_value is said not to fit."""
LOW, HIGH = 0.02, 0.98
"""Utilities below the one, or above the other, hardly differ from each other."""

logger = logging.getLogger(__name__)


class Ranges:
    """Judges the values of each signal by blocks; within a block their order does not matter. Not part of any state.

    Args:
        rewards: Fixes the utilities.
        counters: Where events are counted, by (what, detail).
    """

    def __init__(self, rewards: RewardFunction, counters: Counter[tuple[str, int | str]]) -> None:
        self._rewards = rewards
        self._counters = counters
        self._blocks: dict[Signal, list[float]] = {signal: [] for signal in Signal}
        self._verdicts: dict[Signal, str] = {}

    def observe(self, signal: Signal, value: float) -> None:
        """Take in one reported value, in the signal's range."""
        block = self._blocks[signal]
        block.append(value)
        if len(block) < BLOCK:
            return
        self._blocks[signal] = []
        verdict = judge(signal, block, self._rewards)
        if not verdict:
            self._verdicts.pop(signal, None)
            return
        self._counters["range_mismatch", signal] += 1
        if signal not in self._verdicts:  # once, until a block is sound again
            logger.warning("signal range: %s", verdict)
        self._verdicts[signal] = verdict

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with each signal's newest block, in the order of the signals."""
        verdicts = dict(self._verdicts)
        return tuple(verdicts[signal] for signal in sorted(verdicts))


def judge(signal: Signal, block: list[float], rewards: RewardFunction) -> str:
    """Return what is wrong with a block of raw values, with what to configure; empty if nothing is.

    A constant signal teaches nothing. An unbounded one should have utilities that differ: if at least `SHARE` of them
    lie below `LOW` or above `HIGH`, the half value is wrong; zeros do not count, they have utility 1 under any. The
    median is suggested, because it puts half of the utilities on either side of one half.

    Args:
        signal: What was measured.
        block: Its raw values, at least one.
        rewards: Fixes the utilities.
    """
    name = signal.name.lower()
    if min(block) == max(block):
        return (
            f"{name} was {block[0]:g} in each of {len(block)} values, so it cannot tell modules apart: see that all"
            f" that happens is reported, or leave it out of rewards.weights"
        )
    half_value = rewards.half_value(signal)
    if half_value is None:
        return ""
    utilities = [rewards.utility(signal, value) for value in block if value > 0.0]
    for found, where in (
        (sum(utility < LOW for utility in utilities), f"below {LOW:g}"),
        (sum(utility > HIGH for utility in utilities), f"above {HIGH:g}"),
    ):
        if found >= SHARE * len(block):
            median = sorted(block)[len(block) // 2]
            return (
                f"{name} has a utility {where} in {found} of {len(block)} values, so they all look alike: half_value =="
                f" {half_value:g} does not fit values around {median:.3g}; set rewards.half_values:"
                f" {{{name}: {median:.3g}}}"
            )
    return ""
