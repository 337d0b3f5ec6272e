"""Part of the stub of `pilotfish._core`: features, and outcomes kept whole. There is no such module at run time."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, TypedDict, final

Features: TypeAlias = Mapping[str, float | str | bool | Sequence[float]]
Module: TypeAlias = tuple[str, Features, Sequence[str]]

class Described(TypedDict):
    """What a feature of the tasks has been like: `name`, `kind`, `count`, and what belongs to the kind."""

    name: str
    count: int

@final
class DescribedNumber(Described):
    """A number; a flag is 0 or 1. Moments are (mean, standard deviation, skewness), of the population."""

    kind: Literal["number"]
    plain: tuple[float, float, float]
    """Moments of v; the deviation and the skewness are 0 where all are equal."""
    log: tuple[float, float, float]
    """Moments of sign(v) · ln(1 + |v|)."""

@final
class DescribedCategory(Described):
    """A text with at most 64 values."""

    kind: Literal["category"]
    labels: list[str]
    """Its values, ascending."""

@final
class DescribedVector(Described):
    """A vector whose length never changes."""

    kind: Literal["vector"]
    length: int
    """Number of elements."""
    scale: float
    """Root of the mean square of an element."""

@final
class History:
    """Outcomes kept whole, in the order in which they were learned, so that models can be trained on them again.

    A handle that threads may share. Names, labels and texts are kept once, however many rows use them.
    """

    def __new__(cls) -> History:
        """Make a history of nothing."""

    def __len__(self) -> int:
        """Return the number of rows."""

    @property
    def describes_modules(self) -> bool:
        """Whether any module that ran had features or capability tags."""

    def append(
        self,
        task: Features,
        text: str,
        module: Module,
        values: Sequence[tuple[int, float]],
        weight: float = 1.0,
    ) -> None:
        """Append what happened when a module took a task.

        Ranges are checked when a model is trained, because they depend on its specification.

        Args:
            task: As in `Model.decide`.
            text: As in `Model.decide`.
            module: The module that ran, with the features it had then.
            values: (signal, utility) of each signal that has a value, as in `Model.learn`.
            weight: As in `Model.learn`; of all values of the row.

        Raises:
            InvalidInputError: An argument is none of the types stated.
        """

    def describe(self) -> list[DescribedNumber | DescribedCategory | DescribedVector]:
        """Return what each feature of the tasks has been like, ascending by name, every row counting once.

        Left out: texts with more than 64 values, vectors of changing length, features that change their kind. Skewness
        is the mean of ((v − mean) / deviation)³, Fisher and Pearson's moment coefficient.
        """
