"""What a stage has shown about one metric."""

from collections.abc import Callable

from pilotfish.experiments.observation import Observation
from pilotfish.experiments.outcome_ratio import OutcomeRatio
from pilotfish.experiments.sequences import Sequence, largest_contrast, opening_length


class MetricEvidence:
    """The difference V(policy) − V(control) of one metric, by units that were drawn.

    Each observation gives

        X = (u − c) · r,   r = (π_policy(a) − π_control(a)) / p(a),   |X| <= B = max(1 / share, 1 / (1 − share)),

    with E[X | past] = V(policy) − V(control) for any c that is fixed before: E[r | past] = Σ_a (π_policy − π_control) =
    0. So c costs nothing and takes out most of the variance: it is the mean of earlier utilities weighted by r², which
    is where E[X²] is least; without it, a success rate of 0.9 at 5 % needs 10 times the outcomes.

    Args:
        name: One of `METRICS`.
        share: The policy's share of units, (0, 1).
        sequence: Makes one for values in [−B, B] whose mean is in [−1, 1], from the opening's (utility, contrast).
        ratio: Outcomes by side: whether those of one side are missing.
        margin: Tolerated loss of utility, >= 0.
    """

    __slots__ = (
        "_bound",
        "_lay_out",
        "_opening",
        "_share",
        "_sum",
        "_weight",
        "_weighted",
        "breach",
        "count",
        "margin",
        "measured",
        "name",
        "ratio",
        "sequence",
    )

    def __init__(
        self,
        name: str,
        share: float,
        sequence: Callable[[list[tuple[float, float]]], Sequence],
        ratio: OutcomeRatio,
        margin: float,
    ) -> None:
        self.name = name
        self.margin = margin
        self.breach: tuple[float, float, float] | None = None
        """Estimate, lower and upper end at the first moment at which the interval lay below the margin; it stays. The
        interval holds at all times at once, so that moment is as good as any, and a look that comes later must not miss
        it because luck has turned meanwhile."""
        self._share = share
        self._bound = largest_contrast(share)
        self.sequence: Sequence | None = None
        """None until the opening is over."""
        self._lay_out = sequence
        self._opening: list[tuple[float, float]] = []
        self.ratio = ratio
        self.measured = 0
        """Outcomes of the policy's side that were measured, and not assumed."""
        self.count = [0, 0]
        """Outcomes of the control's side and of the policy's."""
        self._sum = [0.0, 0.0]
        self._weight = 1.0
        self._weighted = 0.5

    def observe(self, observation: Observation, utility: float) -> None:
        """Take in the first outcome of a unit; utility in [0, 1]."""
        contrast = observation.contrast(self._share)
        if self.sequence is not None:
            value = (utility - self._weighted / self._weight) * contrast
            self.sequence.observe(min(max(value, -self._bound), self._bound))  # rounding must not leave the range
            if self.breach is None and self.sequence.mean < -self.margin:  # spares the interval of what goes well
                estimate, lower, upper = self.difference
                if upper < -self.margin:
                    self.breach = (estimate, lower, upper)
        else:
            self._opening.append((utility, contrast))
            if len(self._opening) == opening_length(self._share):
                self.sequence = self._lay_out(self._opening)
        self._weight += contrast * contrast
        self._weighted += contrast * contrast * utility
        side = int(observation.in_treatment)
        self.ratio.observe(observation)
        self.count[side] += 1
        self._sum[side] += utility
        if observation.in_treatment and self.name not in observation.assumed:
            self.measured += 1

    @property
    def difference(self) -> tuple[float, float, float]:
        """Estimate and interval of V(policy) − V(control); 0 and all that is possible before the first observation."""
        if self.sequence is None or not self.sequence.count:
            return 0.0, -1.0, 1.0
        return (self.sequence.mean, *self.sequence.interval())

    @property
    def policy_mean(self) -> float | None:
        """Mean utility of the policy's side, to look at; None before its first outcome."""
        return self._sum[1] / self.count[1] if self.count[1] else None

    @property
    def control_mean(self) -> float | None:
        """Mean utility of the control's side, to look at; None before its first outcome."""
        return self._sum[0] / self.count[0] if self.count[0] else None
