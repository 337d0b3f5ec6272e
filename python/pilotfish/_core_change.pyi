"""Part of the stub of `pilotfish._core`: the detection of change. There is no such module at run time."""

from typing import final

@final
class Alarm:
    """That, where and since when something has changed."""

    @property
    def evidence(self) -> float:
        """ln(1 + M) at the alarm, see `ChangeDetector`."""

    @property
    def n_after(self) -> int:
        """How many of the latest observations came after the change, as estimated; at least 1, this one."""

    @property
    def modules(self) -> list[str]:
        """Modules whose own evidence is at least √(1/alpha), in the order of names; empty if any may have changed.

        That is where none shows it alone, or where all residuals together show more than the modules one by one.
        """

@final
class ChangeDetector:
    """Raises an alarm when outcomes leave what was predicted, with a stated rate of false alarms.

    An e-detector (Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change detection",
    2023): M is the mean of the evidence in all residuals and of the sum of each module's; the alarm is at
    M >= 1 / alpha. While the expected residual, given the past and the module, is within ±(slack + uncertainty / 2),
    the mean number of observations to an alarm is at least 1 / alpha, whatever the distribution and the number of
    modules. The same observations in the same order give the same bits. Source and proof:
    `rust_core/kernel/src/statistics/change.rs`.
    """

    def __new__(cls, alpha: float = 1e-6, slack: float = 0.05) -> ChangeDetector:
        """Make a detector that has seen nothing.

        Args:
            alpha: One over the least mean number of observations between false alarms, [1e-30, 1].
            slack: Mean residual that is no change, [0, 1].

        Raises:
            InvalidInputError: An argument is out of its range.
        """

    @staticmethod
    def from_state(state: bytes) -> ChangeDetector:
        """Restore a detector to the bit, with its settings.

        Args:
            state: What `state` returned.

        Raises:
            StateError: The state is damaged, impossible or of another format.
        """

    def observe(
        self, residual: float, module: str, uncertainty: float = 0.0, utility: float | None = None
    ) -> Alarm | None:
        """Take in one learned outcome, in the order of the log, and say whether it raises the alarm.

        After an alarm all evidence is gone and the detector starts anew.

        Args:
            residual: Utility − prediction, the prediction clipped to [0, 1] and made before this outcome was learned;
                in [-1, 1].
            module: The name of the module that ran.
            uncertainty: Standard deviation of that prediction, >= 0; 0 if it has none.
            utility: In [0, 1]. With it the prediction is known, and so how far the residual could have fallen and risen
                (predictable bounds on the bets): a change is found in a third of the time. None: it could have been
                anything in [-1, 1].

        Raises:
            InvalidInputError: An argument is out of its range.
        """

    def start_anew(self) -> None:
        """Forget all evidence, as after an alarm: for when the model was replaced. The count goes on."""

    def state(self) -> bytes:
        """Return the detector as bytes: the same bytes for the same observations."""

    @property
    def evidence(self) -> float:
        """ln(1 + M), >= 0; 0 when nothing has been seen since the last alarm."""

    @property
    def threshold(self) -> float:
        """ln(1 + 1 / alpha): the evidence at which the alarm is raised."""

    @property
    def alpha(self) -> float:
        """One over the least mean number of observations between false alarms."""

    @property
    def slack(self) -> float:
        """Mean residual that is no change."""

    @property
    def count(self) -> int:
        """Observations so far, over all alarms."""
