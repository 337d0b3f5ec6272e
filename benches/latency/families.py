"""Which contender is compared with which: algorithms that do the same arithmetic per decision."""

from typing import NamedTuple

FLOOR = "C LinUCB (floor)"
REQUIRED_SPEEDUP = 2.5
FLOOR_LIMIT = 1.5
BYTES_PER_NUMBER = 8


class Family(NamedTuple):
    """An algorithm class: what it does, and which of our explorers belongs to it."""

    what: str
    ours: str


# LinUCB has no explorer of ours: its choice has no usable probability. Thompson needs the same mean and variance
# of each module and then computes probabilities on top, so it is held against both.
FAMILIES = {
    "LinTS": Family("mean and variance of each module, a random draw", "thompson"),
    "LinUCB": Family("mean and variance of each module, the largest bound", "thompson"),
    "SquareCB": Family("mean of each module, inverse-gap weighting", "inverse_gap"),
    "ε-greedy": Family("mean of each module, the best or any", "epsilon_greedy"),
}


def our_name(explorer: str) -> str:
    """Return the name under which an explorer of ours stands in the table."""
    return f"pilotfish {explorer}"


def working_set_bytes(n_modules: int, n_features: int) -> int:
    """Return the bytes that one decision must read: half of K symmetric [d, d] matrices, K · d² / 2 numbers."""
    return n_modules * n_features * n_features * BYTES_PER_NUMBER // 2


def is_memory_bound(n_modules: int, n_features: int, l2_bytes: int) -> bool:
    """Whether the matrices do not fit the second-level cache, so that memory sets the pace and not arithmetic."""
    return working_set_bytes(n_modules, n_features) > l2_bytes
