"""The circuit: whether it makes sense to ask the sidecar at all."""

import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pilotfish.exceptions import InvalidInputError


@dataclass(frozen=True, slots=True)
class CircuitSettings:
    """When to stop asking a sidecar that does not answer, and for how long.

    Args:
        failure_threshold: Failures in a row after which the circuit opens.
        first_pause_ms: Longest first pause; each pause is drawn between half of its length and the whole, so that the
            hubs of one machine do not come back together.
        max_pause_ms: Longest pause. By default the channel's own reconnect (at most 120 ms), this pause and half of a
            second one, in case the first answer of a cold sidecar comes too late, fit into the 600 ms after which a
            restarted sidecar must have been found.
        growth: What a failed probe multiplies the pause by.
    """

    failure_threshold: int = 5
    first_pause_ms: float = 200.0
    max_pause_ms: float = 250.0
    growth: float = 1.5

    def __post_init__(self) -> None:
        if self.failure_threshold < 1:
            raise InvalidInputError(f"failure_threshold == {self.failure_threshold}, must be at least 1")
        if not 0.0 < self.first_pause_ms <= self.max_pause_ms < math.inf:
            raise InvalidInputError(
                f"first_pause_ms == {self.first_pause_ms}, max_pause_ms == {self.max_pause_ms}, "
                "must be 0 < first_pause_ms <= max_pause_ms"
            )
        if not 1.0 <= self.growth < math.inf:
            raise InvalidInputError(f"growth == {self.growth}, must be at least 1")


class Circuit:
    """Closed until several calls in a row have failed; then open, and one probe passes after each pause.

    Threads may share it. The way of a healthy call takes no lock.

    Args:
        settings: The numbers.
        clock: Seconds, monotonic.
        draw: A number in [0, 1) for the jitter.
    """

    def __init__(
        self,
        settings: CircuitSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._draw = draw
        self._lock = threading.Lock()
        self._failures = 0
        self._longest_pause_s = settings.first_pause_ms / 1e3
        self._opened_at = -math.inf
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are being held back at this moment."""
        return self._open_until > 0.0 and self._clock() < self._open_until

    def admits(self) -> bool:
        """Return whether this call may go out. If the circuit is open and its pause is over, this call is the probe."""
        if self._open_until == 0.0:
            return True
        with self._lock:
            now = self._clock()
            if now < self._open_until:
                return False
            if self._open_until > 0.0:
                # The others wait for one more pause, and no longer: a probe that is cancelled or never reports back
                # must not keep the circuit open for ever.
                self._open_until = now + self._pause_s()
            return True

    def succeeded(self) -> None:
        """Note that the sidecar answered."""
        if self._failures == 0:
            return
        with self._lock:
            self._failures = 0
            self._open_until = 0.0
            self._longest_pause_s = self._settings.first_pause_ms / 1e3

    def failed(self, asked_at: float) -> None:
        """Note that the sidecar did not answer a call.

        Args:
            asked_at: The clock's time when the call went out. What went out before the circuit opened says nothing
                new: without this rule a burst of concurrent calls would be counted as many failed probes.
        """
        with self._lock:
            if asked_at < self._opened_at:
                return
            self._failures += 1
            if self._failures < self._settings.failure_threshold:
                return
            if self._open_until > 0.0:
                longer_s = self._longest_pause_s * self._settings.growth
                self._longest_pause_s = min(longer_s, self._settings.max_pause_ms / 1e3)
            self._opened_at = self._clock()
            self._open_until = self._opened_at + self._pause_s()

    def _pause_s(self) -> float:
        return self._longest_pause_s * (0.5 + 0.5 * self._draw())
