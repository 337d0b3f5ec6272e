"""Which contender is compared with which: algorithms that do the same arithmetic per decision."""

from typing import NamedTuple

FLOOR = "C LinUCB (floor)"
MEANS_FLOOR = "C greedy (floor)"
REQUIRED_SPEEDUP = 2.5
FLOOR_LIMIT = 1.5
BYTES_PER_NUMBER = 8


class Family(NamedTuple):
    """An algorithm class.

    Args:
        what: What a decision computes of each module.
        ours: Our explorer of the class.
        reads_matrices: Whether a decision reads a [d, d] matrix of each module, or its mean [d] alone.
    """

    what: str
    ours: str
    reads_matrices: bool


# Soft UCB ranks by LinUCB's bound and makes a pmf of the gaps; inverse_gap stands here with a gamma that grows with √n,
# as VW's does, because one that follows the uncertainties is of another class: it has to compute them. Information
# ratio is the default; it computes what Thompson's probabilities need, and a little more.
FAMILIES = {
    "LinTS": Family("mean and variance of each module, a random draw", "information_ratio", reads_matrices=True),
    "LinUCB": Family("mean and variance of each module, the largest bound", "soft_ucb", reads_matrices=True),
    "SquareCB": Family("mean of each module, inverse-gap weighting", "inverse_gap", reads_matrices=False),
    "ε-greedy": Family("mean of each module, the best or any", "epsilon_greedy", reads_matrices=False),
}


def floor_of(family: str, operation: str) -> str:
    """Return the floor under an operation; all families learn alike."""
    return FLOOR if operation == "learn" or FAMILIES[family].reads_matrices else MEANS_FLOOR


def our_name(explorer: str) -> str:
    """Return the name under which an explorer of ours stands in the table."""
    return f"pilotfish {explorer}"


def working_set_bytes(n_modules: int, n_features: int, floor: str = FLOOR) -> int:
    """Return the bytes that a floor must read: half of K symmetric [d, d] matrices, or K means [d]."""
    numbers = n_modules * n_features
    return numbers * BYTES_PER_NUMBER if floor == MEANS_FLOOR else numbers * n_features * BYTES_PER_NUMBER // 2


def is_memory_bound(n_modules: int, n_features: int, l2_bytes: int, floor: str = FLOOR) -> bool:
    """Whether they do not fit the second-level cache, so that memory sets the pace and not arithmetic."""
    return working_set_bytes(n_modules, n_features, floor) > l2_bytes
