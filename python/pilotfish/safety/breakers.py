"""Which modules are failing so much that they are left out for a while."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from pilotfish.safety.breaker import Breaker, BreakerSettings, State

__all__ = ["BreakerSettings", "BreakerView", "Breakers", "Ejection", "State"]

FORGET_S: Final = 3600.0
"""A module of which nothing was heard for this long, with `max_open_s` and `probe_patience_s` added, is forgotten,
failures in a row and an unfinished probation included: should it come back, it is a new one. Names come and go for as
long as the process lives."""
MAX_MODULES: Final = 10_000
"""Modules that are remembered, about 1 kB each; of more the one that was heard of longest ago is forgotten."""


class Ejection(NamedTuple):
    """What the breakers say about the candidates of one request."""

    ejected: tuple[int, ...]
    """Indices that must not be served, ascending."""
    probing: tuple[int, ...]
    """Indices on probation with a probe to spare, ascending; legal. Whoever serves one calls `begin_probe`."""
    panic: bool
    """Whether some are legal only because the breakers may not remove so many."""


class BreakerView(NamedTuple):
    """One module's breaker, for people and metrics."""

    state: State
    failure_rate: float
    """Share of failures in the window, [0, 1]; of an empty window the last known, 0 if there never was one."""
    calls: int
    """Calls in the window."""
    open_until_s: float | None
    """When its probation begins; None unless it is open."""
    trips: int
    """How often it opened since it is remembered, failed probations included."""


NOTHING: Final = Ejection((), (), False)  # noqa: FBT003 - a named tuple on the hot path is built by position


def _ignore(module: str, before: State, after: State) -> None:
    """Do nothing."""


class Breakers:
    """One breaker per module. Threads may share it; while no module is out, asking takes no lock.

    After a restart the same state is arrived at by repeating `begin_probe` and `record` with their times in order. Of
    outcomes alone the state is the same up to the first probation; a module is then on probation at worst.

    Args:
        settings: The numbers.
        on_transition: Is told each change of state: module, before, after. It is called after the lock is released, so
            it may take its time and ask back; changes by different threads may be told out of order.
    """

    def __init__(self, settings: BreakerSettings, on_transition: Callable[[str, State, State], None] = _ignore) -> None:
        self._settings = settings
        self._on_transition = on_transition
        self._lock = threading.Lock()
        self._forget_s = FORGET_S + settings.max_open_s + settings.probe_patience_s
        self._breakers: OrderedDict[str, Breaker] = OrderedDict()  # what was heard of last stands last
        self._out: dict[str, Breaker] = {}  # those that are not closed; read without the lock
        self._untold: list[tuple[str, State, State]] = []

    def record(
        self, module: str, *, failed: bool, latency_ms: float | None, now_s: float, probe_id: bytes = b""
    ) -> None:
        """Note an outcome, once for each call.

        Args:
            module: Who was called.
            failed: Whether the call failed, by the caller's rule.
            latency_ms: How long it took; None if unknown. Only ever counts against the module.
            now_s: When the outcome came, monotonic seconds.
            probe_id: What `begin_probe` was given. An id that is not of the present probation, such as a late one or
                that of an ordinary call, is as good as none.
        """
        settings = self._settings
        if not settings.enabled:
            return
        slow = settings.slow_ms is not None and latency_ms is not None and latency_ms >= settings.slow_ms
        with self._lock:
            self._forget(now_s)
            breaker = self._breakers.get(module) or self._new(module)
            self._breakers.move_to_end(module)
            breaker.record(failed=failed, slow=slow, now_s=now_s, probe_id=probe_id)
            told = self._take_untold()
        self._tell(told)

    def begin_probe(self, module: str, probe_id: bytes, now_s: float) -> None:
        """Note that a decision serves a module on probation; `withdraw_probe` if it then is not answered.

        Threads that ask at the same moment may see the same free probe; then both are noted and both count.
        """
        if module not in self._out:
            return
        with self._lock:
            self._forget(now_s)
            breaker = self._out.get(module)
            if breaker is not None:
                breaker.begin_probe(probe_id, now_s)
                self._breakers.move_to_end(module)
            told = self._take_untold()
        self._tell(told)

    def withdraw_probe(self, module: str, probe_id: bytes) -> None:
        """Forget a probe that was not sent: silence about it must not count as a failure."""
        if module not in self._out:
            return
        with self._lock:
            breaker = self._out.get(module)
            if breaker is not None:
                breaker.withdraw_probe(probe_id)

    def eject(self, names: Sequence[str], now_s: float) -> Ejection:
        """Say which of a request's otherwise legal candidates must not be served.

        Of n >= 2 candidates at most max(1, floor(max_ejected_share · n)) are ejected and never all; of one, none. Those
        kept instead are the least bad: lowest failure rate in the window, then longest since the trip, then first.

        Args:
            names: Modules in declared order, a list or tuple.
            now_s: Monotonic seconds.
        """
        out = self._out
        if not out or out.keys().isdisjoint(names):
            return NOTHING
        with self._lock:
            self._forget(now_s)
            bad: list[tuple[int, Breaker]] = []
            probing: list[int] = []
            for index, name in enumerate(names):
                breaker = out.get(name)
                if breaker is None:
                    continue
                breaker.advance(now_s)
                if breaker.state == State.HALF_OPEN and breaker.has_permit:
                    probing.append(index)
                else:
                    bad.append((index, breaker))
            surplus = len(bad) - self._most_ejected(len(names))
            if surplus > 0:
                bad.sort(key=lambda entry: (entry[1].failure_rate(now_s), entry[1].opened_s, entry[0]))
                bad = sorted(bad[surplus:], key=lambda entry: entry[0])
            told = self._take_untold()
        self._tell(told)
        return Ejection(tuple(index for index, _ in bad), tuple(probing), surplus > 0)

    def snapshot(self, now_s: float) -> dict[str, BreakerView]:
        """Return what is known of each module, by name."""
        with self._lock:
            self._forget(now_s)
            views: dict[str, BreakerView] = {}
            for name, breaker in self._breakers.items():
                breaker.advance(now_s)
                rate = breaker.failure_rate(now_s)
                open_until_s = breaker.open_until_s if breaker.state == State.OPEN else None
                views[name] = BreakerView(breaker.state, rate, breaker.window.calls, open_until_s, breaker.trips)
            told = self._take_untold()
        self._tell(told)
        return views

    def reset(self, module: str) -> None:
        """Forget a module, as an operator may wish who knows that it is well."""
        with self._lock:
            breaker = self._breakers.pop(module, None)
            if breaker is not None:
                self._drop(module, breaker)
            told = self._take_untold()
        self._tell(told)

    def _most_ejected(self, n_candidates: int) -> int:
        if n_candidates < 2:  # noqa: PLR2004 - the only candidate
            return 0
        # The tiny summand undoes the rounding of products such as 0.29 · 100, which is below 29.
        share = int(self._settings.max_ejected_share * n_candidates + 1e-9)
        return min(max(1, share), n_candidates - 1)

    def _new(self, module: str) -> Breaker:
        breaker = Breaker(self._settings, lambda before, after: self._note(module, before, after))
        self._breakers[module] = breaker
        if len(self._breakers) > MAX_MODULES:
            self._drop(*self._breakers.popitem(last=False))
        return breaker

    def _forget(self, now_s: float) -> None:
        breakers = self._breakers
        while breakers:
            module = next(iter(breakers))
            if now_s - breakers[module].heard_s <= self._forget_s:
                return
            self._drop(module, breakers.pop(module))

    def _drop(self, module: str, breaker: Breaker) -> None:
        if breaker.state != State.CLOSED:
            self._note(module, breaker.state, State.CLOSED)

    def _note(self, module: str, before: State, after: State) -> None:
        self._untold.append((module, before, after))
        if after == State.CLOSED:
            del self._out[module]
        elif before == State.CLOSED:
            self._out[module] = self._breakers[module]

    def _take_untold(self) -> Sequence[tuple[str, State, State]]:
        if not self._untold:  # nearly always
            return ()
        told, self._untold = self._untold, []
        return told

    def _tell(self, told: Sequence[tuple[str, State, State]]) -> None:
        for module, before, after in told:
            self._on_transition(module, before, after)
