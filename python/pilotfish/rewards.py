"""From raw signals to a reward: version `reward-1`.

Each signal s has a utility u_s in [0, 1], a fixed monotone function of its raw value. The model learns one head per
utility, and a decision scores a module by

    reward(w) = Σ_s w_s · u_s / Σ_s w_s          over the signals s that have been observed at all,

so weights may change with every request and a log can be re-scored under other weights. Utilities are bounded: a huge
latency or cost moves the model no further than the worst value does. A signal that was not reported teaches nothing;
missing is not zero.

| signal       | raw range      | utility                | half_value |
|--------------|----------------|------------------------|------------|
| completion   | [0, 1]         | v                      |            |
| latency_ms   | [0, 1e9] ms    | h / (h + v)            | 1000 ms    |
| cost_usd     | [0, 1e6] USD   | h / (h + v)            | 0.01 USD   |
| quality      | [0, 1]         | v                      |            |
| retry_count  | [0, 1e6]       | h / (h + v)            | 1          |
| recovery     | [0, 1]         | v                      |            |
| satisfaction | [0, 1]         | v                      |            |

A hyperbola rather than a straight line for the unbounded signals: it needs one number (where utility is one half),
never clips, and keeps telling 10 s from 20 s.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pilotfish.codes import Signal
from pilotfish.exceptions import InvalidInputError

REWARD_VERSION: Final = "reward-1"

SIGNAL_NAMES: Final = tuple(signal.name.lower() for signal in Signal)
"""Names of the model's heads, in head order; head i belongs to signal number i + 1."""

MAXIMUM: Final[Mapping[Signal, float]] = MappingProxyType(
    {
        Signal.COMPLETION: 1.0,
        Signal.LATENCY_MS: 1e9,
        Signal.COST_USD: 1e6,
        Signal.QUALITY: 1.0,
        Signal.RETRY_COUNT: 1e6,
        Signal.RECOVERY: 1.0,
        Signal.SATISFACTION: 1.0,
    }
)
"""Largest raw value of each signal; the smallest is 0."""

DEFAULT_WEIGHTS: Final[Mapping[Signal, float]] = MappingProxyType(
    {
        Signal.COMPLETION: 1.0,
        Signal.LATENCY_MS: 0.1,
        Signal.COST_USD: 0.1,
        Signal.QUALITY: 1.0,
        Signal.RETRY_COUNT: 0.1,
        Signal.RECOVERY: 0.1,
        Signal.SATISFACTION: 0.5,
    }
)
"""What matters when neither the request nor the configuration says otherwise: first that the work is done well."""

DEFAULT_HALF_VALUES: Final[Mapping[Signal, float]] = MappingProxyType(
    {Signal.LATENCY_MS: 1000.0, Signal.COST_USD: 0.01, Signal.RETRY_COUNT: 1.0}
)
"""Raw value at which the utility of an unbounded signal is one half."""


class RewardFunction:
    """Utilities and default weights; frozen after construction.

    Args:
        weights: Weight of each signal, >= 0, at least one > 0; signals left out weigh 0. None: the defaults.
        half_values: Value > 0 at which an unbounded signal's utility is one half, over the defaults.

    Raises:
        InvalidInputError: A weight or half value breaks its rule.
    """

    __slots__ = ("_half_values", "weights")

    def __init__(
        self, weights: Mapping[Signal, float] | None = None, half_values: Mapping[Signal, float] | None = None
    ) -> None:
        self.weights = weight_vector(DEFAULT_WEIGHTS if weights is None else weights)
        self._half_values = {**DEFAULT_HALF_VALUES, **(half_values or {})}
        for signal, half_value in self._half_values.items():
            if signal not in DEFAULT_HALF_VALUES or not (math.isfinite(half_value) and half_value > 0.0):
                raise InvalidInputError(
                    f"half_values.{signal.name.lower()} == {half_value}, must be finite and > 0, for one of "
                    f"{', '.join(s.name.lower() for s in DEFAULT_HALF_VALUES)}"
                )

    def utility(self, signal: Signal, value: float) -> float:
        """Return the utility in [0, 1] of a raw value within `[0, MAXIMUM[signal]]`."""
        half_value = self._half_values.get(signal)
        return value if half_value is None else half_value / (half_value + value)

    def specification(self) -> dict[str, object]:
        """Return what fixes the utilities, for the model's frozen specification."""
        return {
            "version": REWARD_VERSION,
            "half_values": {signal.name.lower(): value for signal, value in sorted(self._half_values.items())},
        }


def weight_vector(weights: Mapping[Signal, float]) -> tuple[float, ...]:
    """Return the weights in head order.

    Raises:
        InvalidInputError: A weight is not finite, negative or above 1000, or none is above 0.
    """
    for signal, weight in weights.items():
        if not 0.0 <= weight <= 1000.0:  # noqa: PLR2004  the limit stands in policy.proto; NaN fails the comparison too
            raise InvalidInputError(f"weights.{signal.name.lower()} == {weight}, must be in [0, 1000]")
    vector = tuple(float(weights.get(signal, 0.0)) for signal in Signal)
    if not any(vector):
        raise InvalidInputError("weights are all 0, at least one must be above 0")
    return vector
