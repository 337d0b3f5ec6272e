"""What the rollout is told: that a unit was put on a side, and what came of it."""

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from pilotfish.exceptions import InvalidInputError
from pilotfish.experiments.settings import METRICS


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A decision that the sticky hash put on one side. What no hash decided is none: mode off, a closed gate."""

    visit: int
    """Number of the stage in which it was taken (`RolloutState.visit`), by its place in the log and not by its time."""
    decision_id: str
    unit_id: str
    """What the rollout randomises; "" if the request brought none, so that the decision is a unit of its own."""
    decided_us: int
    """Time of the decision on the log, in microseconds."""
    in_treatment: bool
    """Whether the policy's side was to serve it, also where the policy failed and the baseline stood in."""

    @property
    def unit(self) -> str:
        """A name that tells units from one another, and units from decisions."""
        return f"u{self.unit_id}" if self.unit_id else f"d{self.decision_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation(Assignment):
    """What has been joined to a decision, once or in several parts.

    Raises:
        InvalidInputError: A probability or utility is not in [0, 1], a metric is unknown, or the side that served
            cannot have chosen the action.
    """

    joined_us: int
    """Time on the log at which the outcome came, in microseconds."""
    policy_probability: float
    """Probability in [0, 1] with which the policy's side serves the action that was served; with everything that
    happens on that side: probes, breakers, and the baseline standing in for a policy that failed."""
    control_probability: float
    """The same for the control's side."""
    utilities: Mapping[str, float]
    """Utility in [0, 1] by metric, of what this part brings."""
    assumed: AbstractSet[str] = field(default_factory=frozenset)
    """Metrics whose value was not measured: a default, or the middle of what a lower bound leaves possible."""

    def __post_init__(self) -> None:
        """Refuse what must not reach a test."""
        for name, probability in (
            ("policy_probability", self.policy_probability),
            ("control_probability", self.control_probability),
        ):
            if not 0.0 <= probability <= 1.0:  # NaN fails the comparison too
                raise InvalidInputError(f"{name} == {probability}, must be in [0, 1]")
        if not (self.policy_probability if self.in_treatment else self.control_probability):
            side = "policy" if self.in_treatment else "control"
            raise InvalidInputError(f"{side}_probability == 0, must be > 0 for the side that served")
        for metric, utility in self.utilities.items():
            if metric not in METRICS:
                raise InvalidInputError(f"utilities.{metric} is unknown, must be one of {', '.join(METRICS)}")
            if not (math.isfinite(utility) and 0.0 <= utility <= 1.0):
                raise InvalidInputError(f"utilities.{metric} == {utility}, must be in [0, 1]")

    def contrast(self, share: float) -> float:
        """Return r = (π_policy(a) − π_control(a)) / p(a), in [−1 / (1 − share), 1 / share], of mean 0.

        p(a) = share · π_policy(a) + (1 − share) · π_control(a) > 0: the probability with which the action was served,
        over the draw of the unit's side and the side's own draw.

        Args:
            share: The policy's share of units in the stage, (0, 1).
        """
        served = share * self.policy_probability + (1.0 - share) * self.control_probability
        return (self.policy_probability - self.control_probability) / served
