"""From a plain mapping to the contract's typed maps."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from pilotfish import v1
from pilotfish.exceptions import InvalidInputError

Feature: TypeAlias = float | str | bool | Sequence[float]
Features: TypeAlias = Mapping[str, Feature]


def fill_features(message: v1.Features, features: Features) -> None:
    """Copy features into a message, each into the map of its type.

    NumPy's scalars and arrays are taken as the Python values that they hold.

    Raises:
        InvalidInputError: A value is of none of the types.
    """
    numbers, labels, flags = message.numbers, message.labels, message.flags
    # Setting one key at a time on the three maps beats building three dicts first: 2.4 against 4.9 µs for 20 features.
    for name, value in features.items():
        kind = type(value)
        if kind is float or kind is int:
            numbers[name] = value  # type: ignore[assignment]  # mypy does not narrow on `type(x) is`
        elif kind is str:
            labels[name] = value  # type: ignore[assignment]
        elif kind is bool:
            flags[name] = value  # type: ignore[assignment]
        else:
            _fill_unusual(message, name, value)


def _fill_unusual(message: v1.Features, name: str, value: Any) -> None:  # noqa: ANN401 - it tells the types apart
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, bool):
        message.flags[name] = value
    elif isinstance(value, int | float):
        message.numbers[name] = value
    elif isinstance(value, str):
        message.labels[name] = value
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        message.vectors[name].values.extend(value)
    else:
        raise InvalidInputError(
            f"features[{name!r}] is a {type(value).__name__}, must be a number, a text, a bool or a list of numbers",
            reason="MALFORMED_MESSAGE",
        )
