"""How a policy is rolled out: stages, guardrails and what they must show."""

import math
from itertools import pairwise
from typing import Final

import msgspec

from pilotfish.exceptions import InvalidInputError
from pilotfish.rewards import SIGNAL_NAMES

METRICS: Final = ("reward", *SIGNAL_NAMES)
"""What a guardrail may watch: the reward, or the utility of one signal; each in [0, 1], more is better."""

LARGEST_ALPHA: Final = 0.5
"""Above it the words "rarely wrong" mean nothing."""

LONGEST_SETTLE_S: Final = 86_400.0
"""A day: who waits longer is not watching."""


class RolloutSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The plan of a rollout.

    Raises:
        InvalidInputError: A field breaks its rule; msgspec wraps it when it decodes a file.
    """

    stages: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 1.0)
    """Shares of units in (0, 1], rising. The first has shown nothing, so it risks little; then about twice as many each
    time. At 1 nobody is compared any more: end at 0.95 to keep the guardrails for ever."""
    automatic: bool = True
    """Whether a stage that has passed is followed by the next without an operator. Rollback is always automatic."""
    guardrails: dict[str, float] = msgspec.field(default_factory=lambda: {"reward": 0.02, "completion": 0.02})
    """Metric, `reward` or a signal's name, with the loss of utility in [0, 1] that is tolerated. The same margin
    decides on breach and pass. 0.02 because less is paid for with its square: where success is 0.9 an equal policy
    needs 1,000 to 8,000 of its own outcomes to pass, and one that is better by 0.05 some 200 to 700. 0 passes only what
    is better."""
    alpha: float = 0.05
    """Chance in (0, 0.5] that any guardrail of a stage is ever judged wrongly, however often it is looked at; shared
    equally among the guardrails. A stage that passes wrongly loses little more than the margin and is watched on."""
    srm_alpha: float = 0.01
    """Chance in (0, 0.5] that a sound stage is ever held for its sample ratio; shared by the ratio of units and those
    of each guardrail's outcomes. Small, because such a hold needs an operator to look."""
    min_outcomes: int = 200
    """Measured outcomes of the policy, at least 1, that each guardrail needs before a stage may pass. The intervals
    are valid from the first outcome; this guards against what they do not know, such as an hour that was easy."""
    min_stage_s: float = 3600.0
    """Seconds of traffic, >= 0, that a stage lasts at least: outcomes such as quality are expected within an hour."""
    settle_s: float = 0.5
    """Seconds in [0, 86400] for which an outcome waits so that outcomes are judged in the order of their decisions:
    else a side that fails fast or succeeds slowly would be judged by what comes first. Later outcomes count when they
    come. It delays a rollback by so much: half a second covers most calls, and a breach must end within a second."""
    outcome_window_s: float = 600.0
    """Seconds, >= 0 and at most `min_stage_s`, after which a decision's outcome is missing. Whether more are missing on
    one side is judged only then, since one side may be slower. 10 min, as for completion in the reward."""
    conservative_loss: float | None = None
    """If set, the share in (0, 1) of the baseline's cumulative reward that may be lost at any time (conservative
    exploration); while it might be more, everybody gets the baseline. None: the stages alone limit the loss."""

    def __post_init__(self) -> None:
        """Check what types cannot say."""
        self._check_stages()
        self._check_guardrails()
        loss = self.conservative_loss
        for name, holds, rule in (
            ("alpha", 0.0 < self.alpha <= LARGEST_ALPHA, f"in (0, {LARGEST_ALPHA}]"),
            ("srm_alpha", 0.0 < self.srm_alpha <= LARGEST_ALPHA, f"in (0, {LARGEST_ALPHA}]"),
            ("min_outcomes", self.min_outcomes >= 1, ">= 1"),
            ("min_stage_s", 0.0 <= self.min_stage_s < math.inf, "finite and >= 0"),
            ("settle_s", 0.0 <= self.settle_s <= LONGEST_SETTLE_S, f"in [0, {LONGEST_SETTLE_S:.0f}]"),
            (
                "outcome_window_s",
                0.0 <= self.outcome_window_s <= self.min_stage_s,
                f"in [0, min_stage_s == {self.min_stage_s}]",
            ),
            ("conservative_loss", loss is None or 0.0 < loss < 1.0, "in (0, 1) or absent"),
        ):
            if not holds:
                raise InvalidInputError(f"{name} == {getattr(self, name)}, must be {rule}")

    def _check_stages(self) -> None:
        if not self.stages or not all(0.0 < share <= 1.0 for share in self.stages):
            raise InvalidInputError(f"stages == {list(self.stages)}, must be at least one share in (0, 1]")
        if any(later <= earlier for earlier, later in pairwise(self.stages)):
            raise InvalidInputError(f"stages == {list(self.stages)}, must rise")

    def _check_guardrails(self) -> None:
        if not self.guardrails:
            raise InvalidInputError("guardrails == {}, must name at least one metric: nothing else lets a stage pass")
        for metric, margin in self.guardrails.items():
            if metric not in METRICS:
                raise InvalidInputError(f"guardrails.{metric} is unknown, must be one of {', '.join(METRICS)}")
            if not 0.0 <= margin <= 1.0:
                raise InvalidInputError(f"guardrails.{metric} == {margin}, must be in [0, 1]")

    def next_stage(self, share: float) -> float | None:
        """Return the least stage above a share; None after the last."""
        return next((stage for stage in self.stages if stage > share), None)
