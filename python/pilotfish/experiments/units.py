"""The units that a stage has seen, in bounded memory."""

from hashlib import blake2b
from typing import Final

MAX_UNITS: Final = 1 << 18
"""Units remembered of a stage: about 25 MB, and more than enough to tell 0.02 of a coin at 5 %."""


class Units:
    """Flags by unit, for at most a number of units; beyond it for a random half of all, then for a quarter, and so on.

    A unit that has been forgotten must never look new. So when memory is full, half of the possible hashes are given up
    for ever: their units are forgotten and told to be none of ours (`None`), and those that stay are complete. Which
    half follows from a hash that is independent of the rollout's, so a test on the rest is as valid as one on all.

    Args:
        max_units: At least 1.
    """

    __slots__ = ("_flags", "_mask", "_max_units")

    def __init__(self, max_units: int = MAX_UNITS) -> None:
        self._max_units = max_units
        self._flags: dict[int, int] = {}
        self._mask = 0

    def __len__(self) -> int:
        return len(self._flags)

    @property
    def sampled_share(self) -> float:
        """Share of all units that is kept: 1, or 1/2, 1/4 and so on."""
        return 1.0 / (self._mask + 1)

    def flag(self, unit: str, flag: int) -> int | None:
        """Add a flag to a unit and return the flags it had; None if the unit is outside the sample.

        Args:
            unit: The unit's name.
            flag: A power of two, or several.
        """
        key = int.from_bytes(blake2b(unit.encode(), digest_size=8, person=b"evidence").digest(), "big")
        if key & self._mask:
            return None
        before = self._flags.get(key, 0)
        self._flags[key] = before | flag
        while len(self._flags) > self._max_units:
            self._mask = 2 * self._mask + 1
            self._flags = {known: flags for known, flags in self._flags.items() if not known & self._mask}
        return before
