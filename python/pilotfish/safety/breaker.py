"""The breaker of one module: closed, open, or on probation.

Every change of state that time alone causes happens at its deadline, however much later somebody looks. So the state
follows from the outcomes, the probes and their times, and not from how often decisions asked; a restart that repeats
them in order arrives at the same state.
"""

import math
from collections.abc import Callable
from enum import IntEnum
from typing import Annotated

import msgspec

from pilotfish.exceptions import InvalidInputError
from pilotfish.safety.failure_window import FailureWindow

Share = Annotated[float, msgspec.Meta(gt=0.0, le=1.0)]
Seconds = Annotated[float, msgspec.Meta(gt=0.0, le=86_400.0)]
Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class State(IntEnum):
    """What may be sent to a module; the numbers are those of the metric."""

    CLOSED = 0
    """Everything."""
    OPEN = 1
    """Nothing, until its time is over."""
    HALF_OPEN = 2
    """Probes only: it is on probation."""


class BreakerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a module that fails is taken out, and how it comes back.

    Raises:
        InvalidInputError: max_open_s is below open_s.
    """

    enabled: bool = True
    """Whether modules are taken out at all. A policy learns to avoid what fails, but only after dozens of outcomes, and
    its exploration goes on serving it."""
    window_s: Seconds = 30.0
    """Length of the window in which failures are counted: min_calls at one call every 3 s, and short enough that an
    hour of health does not hide an outage."""
    min_calls: Count = 10
    """Calls in the window below which no rate is judged: of fewer, half fail by chance too often."""
    failure_rate: Share = 0.5
    """Share of failures in the window that trips. A task that is hard fails too, so a module is not broken because it
    fails sometimes: telling 10 % from 20 % is the policy's work."""
    consecutive_failures: Count = 5
    """Failures in a row that trip, whatever came before and however long ago. Trips a dead module before min_calls, and
    one that is called too rarely to have min_calls in a window. By chance 5 in a row are 3 % at half."""
    slow_ms: Annotated[float, msgspec.Meta(gt=0.0)] | None = None
    """Latency from which a call counts as slow. None: speed is not judged, what is slow depends on the task. Being fast
    never counts in a module's favour: one that fails in 1 ms is out as quickly as one that fails in 10 s."""
    slow_rate: Share = 0.8
    """Share of slow calls in the window, or in a probation, that trips. Above failure_rate: a slow answer is one."""
    open_s: Seconds = 10.0
    """How long a module is out after it tripped. A restart of a process takes about as long."""
    max_open_s: Seconds = 300.0
    """Each failed probation doubles the time, up to this: a module that is back is missed no longer than 5 minutes."""
    probe_count: Count = 3
    """Probes that must succeed before a module is back. One success is luck at half; three in a row are 12 %."""
    max_probes_in_flight: Count = 2
    """Probes that may be under way at once, after the first has succeeded. The first goes alone, so that a module that
    is still broken costs one call; two at once bring a module whose outcomes take seconds back in two rounds."""
    probe_patience_s: Seconds = 30.0
    """A probe without an outcome for this long has failed: silence is no evidence of health, and without this rule a
    module that hangs would keep its probation for ever. As long as the slowest call that is worth waiting for."""
    probe_share: Share = 0.2
    """Probability with which the policy's side serves a module on probation while a probe is allowed. It sets how soon
    the probes are sent and not how many: those are counted. At 10 calls/s with outcomes that take 2 s, three probes
    are through within open_s with probability 0.9998 (at 0.05: 0.58)."""
    max_ejected_share: Share = 0.8
    """Largest share of a request's candidates that breakers may remove, but always one and never all: if everything
    fails, the cause is more likely shared than everywhere, and then somebody must still be asked."""

    def __post_init__(self) -> None:
        if self.max_open_s < self.open_s:
            raise InvalidInputError(
                f"max_open_s == {self.max_open_s}, must be at least open_s == {self.open_s}",
                metadata={"field": "max_open_s", "value": str(self.max_open_s), "rule": "at least open_s"},
            )


class Breaker:
    """What is known about one module. Not thread-safe: `Breakers` holds a lock around every call.

    The time out is `open_s` at the first trip and doubles with every failed probation. A trip within `max_open_s` of
    the last return doubles it as well: closing does not wipe the slate, or a module that answers three probes and then
    fails again would come back after `open_s` every time. Once it has stayed closed for `max_open_s`, the time starts
    again at `open_s`.

    Outcomes while open, and outcomes of calls that are no probes of the present probation, are counted in the window
    (by which the least bad is found) and change no state: they were decided before the trip, or served because nobody
    better was left.

    Args:
        settings: The numbers.
        tell: Is told each change of state, with the breaker's lock held.
    """

    __slots__ = (
        "_closed_s",
        "_failures_in_a_row",
        "_last_rate",
        "_out_s",
        "_probes",
        "_settings",
        "_slow",
        "_successes",
        "_tell",
        "heard_s",
        "open_until_s",
        "opened_s",
        "state",
        "trips",
        "window",
    )

    def __init__(self, settings: BreakerSettings, tell: Callable[[State, State], None]) -> None:
        self._settings = settings
        self._tell = tell
        self.state = State.CLOSED
        self.window = FailureWindow(settings.window_s)
        self.heard_s = -math.inf  # when something was last learned of the module
        self.opened_s = -math.inf
        self.open_until_s = -math.inf
        self.trips = 0
        self._closed_s = -math.inf
        self._out_s = 0.0  # length of the latest time out
        self._failures_in_a_row = 0
        self._last_rate = 0.0
        self._probes: dict[bytes, float] = {}  # of this probation, without an outcome; when each began
        self._successes = 0
        self._slow = 0

    @property
    def has_permit(self) -> bool:
        """Whether a probe may be sent. On probation only; no more probes than are needed to close."""
        if self._successes == 0:
            return not self._probes
        missing = self._settings.probe_count - self._successes
        return len(self._probes) < min(self._settings.max_probes_in_flight, missing)

    def failure_rate(self, now_s: float) -> float:
        """Return the share of failures in the window; of an empty one, that of the last outcomes before it emptied."""
        self.window.advance(now_s)
        return self.window.failures / self.window.calls if self.window.calls else self._last_rate

    def advance(self, now_s: float) -> None:
        """Make the changes of state whose time has come by `now_s`, each as of its own time."""
        if self.state == State.HALF_OPEN and self._probes:
            impatient_s = min(self._probes.values()) + self._settings.probe_patience_s
            if now_s >= impatient_s:
                self._open(impatient_s)
        if self.state == State.OPEN and now_s >= self.open_until_s:
            self._successes = self._slow = 0
            self._enter(State.HALF_OPEN)

    def begin_probe(self, probe_id: bytes, now_s: float) -> None:
        """Note that a decision served the module on probation; in any other state nothing is noted."""
        self.advance(now_s)
        if self.state == State.HALF_OPEN:
            self.heard_s = max(self.heard_s, now_s)
            self._probes.setdefault(probe_id, now_s)

    def withdraw_probe(self, probe_id: bytes) -> None:
        """Forget a probe that was not sent after all; its permit is free again."""
        self._probes.pop(probe_id, None)

    def record(self, *, failed: bool, slow: bool, now_s: float, probe_id: bytes) -> None:
        """Note an outcome."""
        self.advance(now_s)
        self.heard_s = max(self.heard_s, now_s)
        window = self.window
        window.add(now_s, failed=failed, slow=slow)
        if window.calls:
            self._last_rate = window.failures / window.calls
        if self.state == State.CLOSED:
            self._failures_in_a_row = self._failures_in_a_row + 1 if failed else 0
            if self._is_failing():
                self._open(now_s)
        elif self.state == State.HALF_OPEN and self._probes.pop(probe_id, None) is not None:
            self._judge_probe(failed=failed, slow=slow, now_s=now_s)

    def _is_failing(self) -> bool:
        settings, window = self._settings, self.window
        if self._failures_in_a_row >= settings.consecutive_failures:
            return True
        if window.calls < settings.min_calls:
            return False
        return (
            window.failures / window.calls >= settings.failure_rate or window.slow / window.calls >= settings.slow_rate
        )

    def _judge_probe(self, *, failed: bool, slow: bool, now_s: float) -> None:
        if failed:
            self._open(now_s)
            return
        self._successes += 1
        self._slow += slow
        if self._successes < self._settings.probe_count:
            return
        if self._slow / self._successes >= self._settings.slow_rate:
            self._open(now_s)
        else:
            self._close(now_s)

    def _open(self, at_s: float) -> None:
        settings = self._settings
        is_again = self.state == State.HALF_OPEN or at_s < self._closed_s + settings.max_open_s
        self._out_s = min(2.0 * self._out_s, settings.max_open_s) if is_again else settings.open_s
        self.opened_s = at_s
        self.open_until_s = at_s + self._out_s
        self.trips += 1
        self._probes.clear()  # what they bring is late from now on
        self._enter(State.OPEN)

    def _close(self, at_s: float) -> None:
        self._closed_s = at_s
        self._failures_in_a_row = 0
        self._last_rate = 0.0
        self.window.clear()  # the failures that tripped it are over; with them it would trip again at once
        self._enter(State.CLOSED)

    def _enter(self, state: State) -> None:
        before, self.state = self.state, state
        self._tell(before, state)
