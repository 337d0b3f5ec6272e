"""What one stage of the rollout has shown so far."""

from functools import partial
from heapq import heappop, heappush
from typing import Final

from pilotfish.experiments.metric import MetricEvidence
from pilotfish.experiments.observation import Assignment, Observation
from pilotfish.experiments.outcome_ratio import OutcomeRatio
from pilotfish.experiments.sequences import CORE, Ratio, Statistics, difference_of_sides
from pilotfish.experiments.settings import RolloutSettings
from pilotfish.experiments.units import MAX_UNITS, Units

MAX_WAITING: Final = 1 << 16
"""Outcomes that may wait for earlier decisions' outcomes, about 30 MB; past it the earliest is judged at once."""

LEAST_SIDE: Final = 1e-6
"""Share of the smaller side from which on sides are compared; below it a stage would last for years."""

_TREATMENT, _CONTROL, _METRICS = 1, 2, 2
"""Flags of a unit: seen on the policy's side, on the control's; from bit 2 on, one for each guardrail's outcome."""

_GAP_SHARE: Final = 0.1
"""Largest share of `min_stage_s` that the time between two decisions counts for: neither silence nor a clock that jumps
makes a stage old."""


class Evidence:
    """The evidence of one stage: a confidence sequence and a sample ratio by guardrail, and checks of the assignment.

    Each unit counts once, with its first decision that has an outcome: the hash is sticky, so whoever has seen a unit
    knows its side, and only the first draw is a draw. Decisions of another stage count for nothing. At a share of 0 or
    1 nobody is compared, and no evidence is gathered.

    Feeding the same calls in the same order gives the same state; `settle` may be called in between at any time.

    Args:
        visit: Number of the stage's visit, as in `RolloutState`.
        share: The policy's share of units, [0, 1].
        settings: Guardrails and levels.
        statistics: Where tests come from.
        max_units: Units to remember, at least 1.
    """

    def __init__(
        self,
        visit: int,
        share: float,
        settings: RolloutSettings,
        statistics: Statistics = CORE,
        max_units: int = MAX_UNITS,
    ) -> None:
        self.visit = visit
        self.share = share
        self.settings = settings
        self.metrics: tuple[MetricEvidence, ...] = ()
        self.unit_ratio: Ratio | None = None
        """Units by side at decision time; None at a share of 0 or 1."""
        self.exposed_twice = 0
        """Units that were seen on both sides: the hash did not decide, or decided differently."""
        self.n_decisions = 0
        """Decisions of this stage."""
        self.n_foreign = 0
        """What was fed of decisions of another stage, and did not count."""
        self._units = Units(max_units)
        self._waiting: list[tuple[int, int, Observation]] = []
        self._n_observed = 0
        self._clock_us: int | None = None
        self._last_us: int | None = None
        self._active_us = 0
        if LEAST_SIDE <= share <= 1.0 - LEAST_SIDE:
            alpha = settings.srm_alpha / (1 + len(settings.guardrails))
            self.unit_ratio = statistics.ratio(share, alpha)
            self.metrics = tuple(
                MetricEvidence(
                    metric,
                    share,
                    partial(
                        difference_of_sides,
                        share,
                        settings.alpha / len(settings.guardrails),
                        margin,
                        statistics=statistics,
                    ),
                    OutcomeRatio(statistics.ratio(share, alpha), settings.outcome_window_s),
                    margin,
                )
                for metric, margin in settings.guardrails.items()
            )

    @property
    def active_s(self) -> float:
        """Seconds of traffic: the time between decisions, each gap counted up to a tenth of `min_stage_s`."""
        return self._active_us / 1e6

    @property
    def n_waiting(self) -> int:
        """Outcomes that wait for those of earlier decisions."""
        return len(self._waiting)

    @property
    def sampled_share(self) -> float:
        """Share of units that still counts: 1, or less when there are more units than can be remembered."""
        return self._units.sampled_share

    def decided(self, assignment: Assignment) -> None:
        """Take in a decision, in the order of the log. Feed each once."""
        if assignment.visit != self.visit:
            self.n_foreign += 1
            return
        self.n_decisions += 1
        self._age(assignment.decided_us)
        if self.unit_ratio is not None and self._flag(assignment) == 0:
            self.unit_ratio.observe(assignment.in_treatment)

    def observe(self, observation: Observation) -> None:
        """Take in what was joined to a decision, in the order of the log; it is judged once it has settled."""
        if observation.visit != self.visit:
            self.n_foreign += 1
            return
        # By the log's own time and before this one: so the order is the same when the log is fed again, in one go.
        self.settle(observation.joined_us)
        if self.metrics:
            self._n_observed += 1
            heappush(self._waiting, (observation.decided_us, self._n_observed, observation))
            if len(self._waiting) > MAX_WAITING:
                self._judge(heappop(self._waiting)[2])

    def settle(self, now_us: int) -> None:
        """Judge what has waited long enough, in the order of decisions.

        Args:
            now_us: The log's time; one that is earlier than before changes nothing.
        """
        self._clock_us = now_us if self._clock_us is None else max(self._clock_us, now_us)
        until_us = self._clock_us - round(self.settings.settle_s * 1e6)
        while self._waiting and self._waiting[0][0] <= until_us:
            self._judge(heappop(self._waiting)[2])
        for metric in self.metrics:
            metric.ratio.settle(self._clock_us)

    def faults(self) -> list[str]:
        """Return what is wrong with the experiment itself, in words; while anything is, no stage passes."""
        faults = []
        if self.exposed_twice:
            faults.append(f"exposure: {self.exposed_twice} units were served by both sides")
        if self.unit_ratio is not None and self.unit_ratio.mismatch:
            faults.append(f"sample ratio: {_counted(self.unit_ratio)} units on the policy's side, not {self.share:g}")
        faults.extend(
            f"{metric.name}: {_counted(metric.ratio.test)} outcomes are of the policy's side, not {self.share:g}"
            for metric in self.metrics
            if metric.ratio.test.mismatch
        )
        return faults

    def _judge(self, observation: Observation) -> None:
        flagged = ((1 << i, metric) for i, metric in enumerate(self.metrics, _METRICS))
        brought = [(flag, metric) for flag, metric in flagged if metric.name in observation.utilities]
        before = self._flag(observation, sum(flag for flag, _ in brought))
        if before is None:
            return
        for flag, metric in brought:
            if not before & flag:
                metric.observe(observation, observation.utilities[metric.name])

    def _flag(self, assignment: Assignment, flags: int = 0) -> int | None:
        """Add the side and other flags to the unit; return those it had, None if it does not count."""
        side, other = (_TREATMENT, _CONTROL) if assignment.in_treatment else (_CONTROL, _TREATMENT)
        before = self._units.flag(assignment.unit, side | flags)
        if before is not None and before & (side | other) == other:
            self.exposed_twice += 1
        return before

    def _age(self, decided_us: int) -> None:
        largest_us = round(_GAP_SHARE * self.settings.min_stage_s * 1e6)
        if self._last_us is None or decided_us < self._last_us - largest_us:
            self._last_us = decided_us  # the clock was put back: go on from there
            return
        self._active_us += min(max(decided_us - self._last_us, 0), largest_us)
        self._last_us = max(self._last_us, decided_us)


def _counted(ratio: Ratio) -> str:
    return f"{ratio.treatment_count} of {ratio.count}"
