"""What the rollout needs of the core's anytime-valid statistics."""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from pilotfish._core import ConfidenceSequence, SampleRatio


class Sequence(Protocol):
    """An interval for the running mean that holds at all times at once; see `ConfidenceSequence`."""

    @property
    def count(self) -> int: ...  # noqa: D102

    @property
    def mean(self) -> float: ...  # noqa: D102

    def observe(self, x: float) -> None: ...  # noqa: D102

    def interval(self) -> tuple[float, float]: ...  # noqa: D102


class Ratio(Protocol):
    """A test, valid at all times, that a share of units is as expected; see `SampleRatio`."""

    @property
    def count(self) -> int: ...  # noqa: D102

    @property
    def treatment_count(self) -> int: ...  # noqa: D102

    @property
    def mismatch(self) -> bool: ...  # noqa: D102

    def observe(self, in_treatment: bool) -> None: ...  # noqa: D102, FBT001


class Statistics(NamedTuple):
    """Where sequences and ratios come from: the core, unless a test brings a twin."""

    sequence: Callable[[float, float, float, float, float], Sequence] = ConfidenceSequence
    """Makes one of (low, high, mean_low, mean_high, alpha): values in [low, high], their mean in the other range."""
    ratio: Callable[[float, float], Ratio] = SampleRatio
    """Makes one of (expected_share, alpha)."""


CORE: Final = Statistics()
"""Those of the core."""
