"""How many of the latest calls failed, and how many were slow, in memory that does not grow with their rate."""

import math
from typing import Final

N_SLOTS: Final = 10
"""What the window forgets, it forgets a tenth at a time: the latest 90 to 100 % of the window are counted."""


class FailureWindow:
    """Counts of the latest calls in slots of equal length.

    Not one entry per call: at 1,000 calls/s a window of 30 s would hold 30,000 of them for each module. The slots stand
    at multiples of their length and not at the first call, so that the counts depend on the times alone.

    Args:
        length_s: Length of the window in seconds, above 0.
    """

    __slots__ = ("_calls", "_failures", "_newest", "_slot_s", "_slow", "calls", "failures", "slow")

    def __init__(self, length_s: float) -> None:
        self._slot_s = length_s / N_SLOTS
        self._newest: float = -math.inf  # number of the newest slot
        self.clear()

    def clear(self) -> None:
        """Forget every call."""
        self.calls = self.failures = self.slow = 0
        self._calls = [0] * N_SLOTS
        self._failures = [0] * N_SLOTS
        self._slow = [0] * N_SLOTS

    def add(self, now_s: float, *, failed: bool, slow: bool) -> None:
        """Count a call whose outcome came at `now_s`; one that is older than the window is not counted."""
        self.advance(now_s)
        number = math.floor(now_s / self._slot_s)
        if number <= self._newest - N_SLOTS:
            return
        slot = number % N_SLOTS
        self._calls[slot] += 1
        self._failures[slot] += failed
        self._slow[slot] += slow
        self.calls += 1
        self.failures += failed
        self.slow += slow

    def advance(self, now_s: float) -> None:
        """Forget what is older than the window at `now_s`. Time that runs backwards changes nothing."""
        number = math.floor(now_s / self._slot_s)
        ahead = number - self._newest
        if ahead <= 0:
            return
        self._newest = number
        if ahead >= N_SLOTS or not self.calls:
            self.clear()
            return
        for passed in range(number - int(ahead) + 1, number + 1):
            slot = passed % N_SLOTS
            self.calls -= self._calls[slot]
            self.failures -= self._failures[slot]
            self.slow -= self._slow[slot]
            self._calls[slot] = self._failures[slot] = self._slow[slot] = 0
