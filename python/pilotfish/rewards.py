"""From raw signals to a reward: version `reward-1`.

Each signal s has a utility u_s in [0, 1], a fixed monotone function of its raw value. The model learns one head per
utility, and a decision scores a module by

    reward(w) = Σ_s w_s · u_s / Σ_s w_s          over the signals s that have been observed at all,

so weights may change with every request and a log can be re-scored under other weights.

| signal       | raw range      | utility     | half_value | window | default | may be a lower bound |
|--------------|----------------|-------------|------------|--------|---------|----------------------|
| completion   | [0, 1]         | v           |            | 10 min | none    | no                   |
| latency_ms   | [0, 1e9] ms    | h / (h + v) | 1000 ms    | 10 min | none    | yes                  |
| cost_usd     | [0, 1e6] USD   | h / (h + v) | 0.01 USD   | 10 min | none    | yes                  |
| quality      | [0, 1]         | v           |            | 1 h    | none    | no                   |
| retry_count  | [0, 1e6]       | h / (h + v) | 1          | 10 min | none    | yes                  |
| recovery     | [0, 1]         | v           |            | 1 h    | none    | no                   |
| satisfaction | [0, 1]         | v           |            | 24 h   | none    | no                   |

**Range.** What is negative, not finite or above the range is refused at the door and changes nothing. Inside it a huge
value moves the model no further than the worst one: utilities are bounded. A hyperbola rather than a straight line for
the unbounded signals: it needs one number (where utility is one half), never clips, and keeps telling 10 s from 20 s.

**Missing is not zero.** A signal that was not reported teaches nothing, unless a default is configured: then, once the
window after the decision has passed without the signal, the default is logged and learned in its place. Whichever is
first on the log counts. A measurement that comes after its default is kept and counted, and not learned: sums cannot
forget the default. A fold for training may take it in time instead (`engine.folding.fold`, `late_in_time`).

**Censoring.** A value v that is only a lower bound (a call was cut off at a time-out) leaves utilities in
[0, h / (h + v)] possible. It teaches the middle, h / (2 (h + v)), so the error is at most that. Whether a value is a
bound is said with the value and never inferred from `completion == 0`: signals come in any order and in any number of
calls, and what has been learned must not depend on which came first.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from pilotfish.codes import Signal
from pilotfish.exceptions import InvalidInputError

REWARD_VERSION: Final = "reward-1"

SIGNAL_NAMES: Final = tuple(signal.name.lower() for signal in Signal)
"""Names of the model's heads, in head order; head i belongs to signal number i + 1."""

MAX_WINDOW_S: Final = 90 * 86_400.0
"""Longest window, in seconds."""


class SignalRule(NamedTuple):
    """What holds for one signal unless the configuration says otherwise."""

    maximum: float
    """Largest raw value; the smallest is 0."""
    weight: float
    """What it matters in [0, 1000] when neither the request nor the configuration says so."""
    window_s: float
    """Seconds after the decision within which it is expected."""
    half_value: float | None = None
    """Raw value at which utility is one half; None: the raw value is the utility, and more is better."""
    default: float | None = None
    """Raw value that is learned when the window has passed without the signal; None: nothing is learned."""


SIGNAL_RULES: Final[Mapping[Signal, SignalRule]] = MappingProxyType(
    {
        Signal.COMPLETION: SignalRule(maximum=1.0, weight=1.0, window_s=600.0),
        Signal.LATENCY_MS: SignalRule(maximum=1e9, weight=0.1, window_s=600.0, half_value=1000.0),
        Signal.COST_USD: SignalRule(maximum=1e6, weight=0.1, window_s=600.0, half_value=0.01),
        Signal.QUALITY: SignalRule(maximum=1.0, weight=1.0, window_s=3600.0),
        Signal.RETRY_COUNT: SignalRule(maximum=1e6, weight=0.1, window_s=600.0, half_value=1.0),
        Signal.RECOVERY: SignalRule(maximum=1.0, weight=0.1, window_s=3600.0),
        Signal.SATISFACTION: SignalRule(maximum=1.0, weight=0.5, window_s=86_400.0),
    }
)
"""The one table. What matters first is that the work is done well."""

MAXIMUM: Final[Mapping[Signal, float]] = MappingProxyType({s: rule.maximum for s, rule in SIGNAL_RULES.items()})
"""Largest raw value of each signal; the smallest is 0."""

DEFAULT_WEIGHTS: Final[Mapping[Signal, float]] = MappingProxyType({s: rule.weight for s, rule in SIGNAL_RULES.items()})
"""What matters when neither the request nor the configuration says otherwise."""

DEFAULT_HALF_VALUES: Final[Mapping[Signal, float]] = MappingProxyType(
    {signal: rule.half_value for signal, rule in SIGNAL_RULES.items() if rule.half_value is not None}
)
"""Raw value at which the utility of an unbounded signal is one half. These signals may be lower bounds."""


class RewardFunction:
    """Utilities, default weights, windows and defaults; frozen after construction.

    Windows and defaults are no part of the specification: what was learned for want of a value stands in the log.

    Args:
        weights: Weight of each signal, >= 0, at least one > 0; signals left out weigh 0. None: the table's.
        half_values: Value > 0 at which an unbounded signal's utility is one half, over the table's.
        windows_s: Seconds in [1, 90 days] within which a signal is expected, over the table's.
        defaults: Raw value in the signal's range that stands in for a signal whose window has passed, over the table's.

    Raises:
        InvalidInputError: A weight, half value, window or default breaks its rule; the message begins with its name.
    """

    __slots__ = ("_half_values", "defaults", "weights", "windows_s")

    def __init__(
        self,
        weights: Mapping[Signal, float] | None = None,
        half_values: Mapping[Signal, float] | None = None,
        windows_s: Mapping[Signal, float] | None = None,
        defaults: Mapping[Signal, float] | None = None,
    ) -> None:
        self.weights = weight_vector(DEFAULT_WEIGHTS if weights is None else weights)
        self._half_values = {**DEFAULT_HALF_VALUES, **(half_values or {})}
        table = {signal: rule.default for signal, rule in SIGNAL_RULES.items() if rule.default is not None}
        self.windows_s = {**{signal: rule.window_s for signal, rule in SIGNAL_RULES.items()}, **(windows_s or {})}
        self.defaults = {**table, **(defaults or {})}
        for signal, half_value in self._half_values.items():
            if signal not in DEFAULT_HALF_VALUES or not (math.isfinite(half_value) and half_value > 0.0):
                raise InvalidInputError(
                    f"half_values.{signal.name.lower()} == {half_value}, must be finite and > 0, for one of "
                    f"{', '.join(s.name.lower() for s in DEFAULT_HALF_VALUES)}"
                )
        for signal, window_s in self.windows_s.items():
            if not 1.0 <= window_s <= MAX_WINDOW_S:
                raise InvalidInputError(
                    f"windows_s.{signal.name.lower()} == {window_s}, must be in [1, {MAX_WINDOW_S:.0f}]"
                )
        for signal, value in self.defaults.items():
            if not 0.0 <= value <= MAXIMUM[signal]:
                raise InvalidInputError(
                    f"defaults.{signal.name.lower()} == {value}, must be in [0, {MAXIMUM[signal]:g}]"
                )

    def half_value(self, signal: Signal) -> float | None:
        """Return the raw value at which an unbounded signal's utility is one half; None: its value is its utility."""
        return self._half_values.get(signal)

    def utility(self, signal: Signal, value: float, *, censored: bool = False) -> float:
        """Return the utility in [0, 1] that a raw value teaches.

        Args:
            signal: What was measured.
            value: In `[0, MAXIMUM[signal]]`.
            censored: The value is a lower bound of an unbounded signal: the utility lies in [0, h / (h + v)], of which
                the middle is returned, so the error is at most h / (2 (h + v)).
        """
        half_value = self._half_values.get(signal)
        if half_value is None:
            return value
        utility = half_value / (half_value + value)
        return 0.5 * utility if censored else utility

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
