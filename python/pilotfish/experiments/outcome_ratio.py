"""Whether outcomes of one side are missing."""

from heapq import heappop, heappush
from typing import Final

from pilotfish.experiments.observation import Observation
from pilotfish.experiments.sequences import Ratio

MAX_WAITING: Final = 1 << 16
"""Outcomes that wait for their window, about 3 MB; past it the earliest counts at once, which at worst holds."""


class OutcomeRatio:
    """The sides of outcomes, each counted once its decision's window has passed, in the order of decisions.

    At any moment the youngest outcomes are those of the faster side. Counted as they come they would look like a loss
    on the slower one; after the window what has not come is missing.

    Args:
        test: The test of the share.
        window_s: Seconds after a decision within which its outcome counts, >= 0.
    """

    __slots__ = ("_waiting", "_window_us", "test")

    def __init__(self, test: Ratio, window_s: float) -> None:
        self.test = test
        self._window_us = round(window_s * 1e6)
        self._waiting: list[tuple[int, bool]] = []

    def observe(self, observation: Observation) -> None:
        """Take in the first outcome of a unit; one that came after its window is as good as none."""
        if observation.joined_us - observation.decided_us > self._window_us:
            return
        heappush(self._waiting, (observation.decided_us, observation.in_treatment))
        if len(self._waiting) > MAX_WAITING:
            self._count()

    def settle(self, now_us: int) -> None:
        """Count the outcomes of decisions whose window has passed."""
        while self._waiting and self._waiting[0][0] <= now_us - self._window_us:
            self._count()

    def _count(self) -> None:
        self.test.observe(heappop(self._waiting)[1])
