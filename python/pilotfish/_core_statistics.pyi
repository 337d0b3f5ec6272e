"""Part of the stub of `pilotfish._core`: statistics of a rollout. There is no such module at run time."""

from typing import final

from typing_extensions import Buffer

@final
class ConfidenceSequence:
    """Where the mean of bounded observations lies, whenever one looks.

    With probability 1 − alpha *every* interval ever returned holds the mean of the conditional means E[X_t | past] of
    the observations up to then: not asymptotic, whatever their distribution and dependence, however often one looks and
    whenever one stops (Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
    sequences", 2021, theorem 4). Intervals of different times are not intersected, so each is about its own time. The
    same observations in the same order give the same bits. Source and proof:
    `rust_core/kernel/src/statistics/confidence.rs`.

    For the difference policy − control at share s, observe (u − c) · (π_policy(a) − π_control(a)) / p(a) with p the pmf
    that was served and c a number fixed before the outcome, 1/2 or the mean utility so far: the mean does not depend on
    c, but the variance does, at a base rate of 1/2 by a factor of 2. Such observations are within
    ± max(c, 1 − c) · max(1 / s, 1 / (1 − s)), their means within ± 1.
    """

    def __new__(
        cls,
        low: float,
        high: float,
        mean_low: float,
        mean_high: float,
        alpha: float,
        expected_count: float | None = None,
        expected_deviation: float | None = None,
    ) -> ConfidenceSequence:
        """Make a sequence that has seen nothing.

        Args:
            low: Least observation, within ± 1e9.
            high: Largest observation, at least low + 1e-9, within ± 1e9.
            mean_low: Least conditional mean, [low, high).
            mean_high: Largest conditional mean, (mean_low, high].
            alpha: Chance of any interval ever being wrong, [1e-30, 1).
            expected_count: Number of observations at which the interval shall be tightest, [1, 1e12]; None: about alike
                from 50 to a million. A matter of tightness, never of validity.
            expected_deviation: Standard deviation of an observation, (0, high − low], likewise for tightness only: for
                the difference at share s, that of the utility times √(1 / s + 1 / (1 − s)). None: the largest to
                expect, √((high − low) · (mean_high − mean_low)) / 2.

        Raises:
            InvalidInputError: An argument is out of its range.
        """

    @staticmethod
    def from_state(state: bytes) -> ConfidenceSequence:
        """Restore a sequence to the bit, with its settings.

        Args:
            state: What `state` returned.

        Raises:
            StateError: The state is damaged, impossible or of another format.
        """

    def observe(self, x: float) -> None:
        """Take in one observation.

        Args:
            x: In [low, high].

        Raises:
            InvalidInputError: It is out of its range or not a number.
        """

    def first_excluding(self, values: Buffer, mean: float) -> int | None:
        """Take in observations up to the first after which `mean` is outside of the interval, and return its place.

        Without such a one all are taken in. Same as `observe` and `interval` for each, without working out intervals.

        Args:
            values: Observations, float64 [n], each in [low, high].
            mean: In [mean_low, mean_high].

        Raises:
            InvalidInputError: An argument is out of its range; no observation has been taken in.
        """

    def interval(self) -> tuple[float, float]:
        """Return both ends, within the range of the mean: all of that range when nothing has been observed.

        If observations contradict the range of the mean, both ends are at its nearer end.
        """

    def state(self) -> bytes:
        """Return the sequence as bytes: the same bytes for the same observations."""

    @property
    def count(self) -> int:
        """Observations so far."""

    @property
    def mean(self) -> float:
        """Mean of the observations, not clipped; the middle of the range of the mean when there are none."""

@final
class SampleRatio:
    """Whether as many units arrive in the treatment as were sent there, whenever one looks.

    The ratio of a Beta-binomial to the binomial likelihood (Lindon, Malek, "Anytime-valid inference for multinomial
    count data", 2022): under the expected share it ever reaches 1 / alpha with probability alpha at most. The prior is
    laid out for 2 % of one arm's records being lost, a part of it for 20 %. Observe each unit once. Source:
    `rust_core/kernel/src/statistics/sample_ratio.rs`.
    """

    def __new__(cls, expected_share: float, alpha: float) -> SampleRatio:
        """Make a test that has seen nothing.

        Args:
            expected_share: Chance of a unit to be in the treatment, [1e-6, 1 − 1e-6].
            alpha: Chance of ever raising a false alarm, [1e-30, 1).

        Raises:
            InvalidInputError: An argument is out of its range.
        """

    @staticmethod
    def from_state(state: bytes) -> SampleRatio:
        """Restore a test to the bit, with its settings.

        Args:
            state: What `state` returned.

        Raises:
            StateError: The state is damaged, impossible or of another format.
        """

    def observe(self, in_treatment: bool) -> None:
        """Take in one unit.

        Raises:
            InvalidInputError: 10¹² units have been taken in.
        """

    def observe_counts(self, treatment: int, control: int) -> None:
        """Take in so many units of each arm at once, and look once.

        Args:
            treatment: Units in the treatment, >= 0.
            control: Units in the control, >= 0.

        Raises:
            InvalidInputError: There would be more than 10¹² units; nothing has been taken in.
        """

    def state(self) -> bytes:
        """Return the test as bytes."""

    @property
    def mismatch(self) -> bool:
        """Whether the evidence has ever reached the threshold: once it has, this stays."""

    @property
    def evidence(self) -> float:
        """Natural logarithm of the ratio with all units so far; 0 without any. It may fall again."""

    @property
    def threshold(self) -> float:
        """ln(1 / alpha): the evidence at which there is a mismatch."""

    @property
    def expected_share(self) -> float:
        """Chance of a unit to be in the treatment."""

    @property
    def alpha(self) -> float:
        """Chance of ever raising a false alarm."""

    @property
    def count(self) -> int:
        """Units so far."""

    @property
    def treatment_count(self) -> int:
        """Units so far in the treatment."""
