"""A module that fails fast, under a real engine with a clock of its own: how soon is it out, and how soon is it back?

Each case is a number of modules, a mode, a rate of decisions and a delay of outcomes. All modules are well for a while;
then one fails every call, in 1 ms; then it is well again. In another run of the case every module fails, some only most
of the time: these are the least bad.

"Within 100 calls" counts from the first call whose outcome can be known: what is served while the first failure is
still on its way cannot be known to be wrong by anybody.
"""

import itertools
import random
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from heapq import heappop, heappush
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple
from unittest import mock

from benches.learning.figure import Figure
from pilotfish.codes import Mode, Reason, Signal
from pilotfish.engine import engine as engine_module
from pilotfish.engine import recording
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.exceptions import StateError
from pilotfish.request import Module, Outcome, Request, Task
from pilotfish.safety.breakers import BreakerSettings, State
from pilotfish.safety.settings import SafetySettings

CAMPAIGN: Final = "breaker"
DECLARED: Final = "off, declared"
"""The hub's own choice is the module that will fail, so that nothing but the breaker keeps it out."""
MODES: Final = {
    "on": (Mode.ON, 1.0),
    "rollout 5 %": (Mode.ROLLOUT, 0.05),
    "off": (Mode.OFF, 0.0),
    DECLARED: (Mode.OFF, 0.0),
}
WITHIN: Final = 100
MOST_SHARE: Final = 0.02
LEAST_CALLS: Final = 500
"""Of failing: below it a share of 2 % is a handful of calls."""
FAST: Final = 1000.0
"""Decisions per second from which times out are halved and failing is short: a case is 20,000 calls even so."""
SICK: Final = "m0"


class Case(NamedTuple):
    """What is played."""

    n_modules: int
    mode: str
    rate: float
    """Decisions per second."""
    delay_s: float
    seed: int

    @property
    def breakers(self) -> BreakerSettings:
        """The default ones."""
        return BreakerSettings(open_s=5.0) if self.rate >= FAST else BreakerSettings()

    @property
    def failing_s(self) -> float:
        """How long the module fails: one or two probations."""
        return (1.4 if self.rate >= FAST else 2.5) * self.breakers.open_s


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        """Return the seconds."""
        return self.now_s


class Stand:
    """An engine, its clock and the outcomes that are on their way.

    Args:
        case: What is played.
        engine: The engine.
        clock: Its clock.
    """

    def __init__(self, case: Case, engine: Engine, clock: Clock) -> None:
        self._case = case
        self._engine = engine
        self._clock = clock
        self._rng = random.Random(case.seed)
        self._modules = tuple(Module(f"m{i}", {"place": float(i)}) for i in range(case.n_modules))
        self._waiting: list[tuple[float, int, str, str, bool]] = []
        self.success: dict[str, float] = {module.name: 1.0 for module in self._modules}
        self.refused = 0
        self.calls = 0
        self.on_outcome: Callable[..., None] = lambda *_, **__: None

    @property
    def now_s(self) -> float:
        """The clock's seconds."""
        return self._clock.now_s

    def state(self, module: str) -> State:
        """Return a module's state."""
        view = self._engine.safeguards.breakers.snapshot(self.now_s).get(module)
        return State.CLOSED if view is None else view.state

    def follow(self, rates: "Rates") -> None:
        """Tell it of outcomes and returns."""
        self.on_outcome = rates.came
        self._engine.safeguards.breakers._on_transition = rates.moved  # noqa: SLF001  told in the order of events

    def are_all_out(self) -> bool:
        """Return whether every module is out just now, none on probation."""
        views = self._engine.safeguards.breakers.snapshot(self.now_s)
        return len(views) == len(self._modules) and all(view.state is State.OPEN for view in views.values())

    def call(self, *, before_outcome: bool = False) -> tuple[str, frozenset[int]]:
        """Let a decision's time pass, decide, and return who was served and why; "" if it was refused.

        Args:
            before_outcome: Whether an outcome that comes at once waits for `settle`.
        """
        self._clock.now_s += 1.0 / self._case.rate
        self.settle()
        request = Request(
            Task("scan"),
            self._modules,
            baseline_module=SICK if self._case.mode == DECLARED else "",
            unit_id=f"{self._rng.getrandbits(40):x}",
        )
        self.calls += 1
        try:
            decision = self._engine.decide(request)
        except StateError:
            self.refused += 1
            return "", frozenset()
        works = self._rng.random() < self.success[decision.module]
        heappush(
            self._waiting, (self.now_s + self._case.delay_s, self.calls, decision.decision_id, decision.module, works)
        )
        if not before_outcome:
            self.settle()
        return decision.module, frozenset(decision.reasons)

    def settle(self) -> None:
        """Report the outcomes that have come by now."""
        while self._waiting and self._waiting[0][0] <= self.now_s:
            _, _, decision_id, module, works = heappop(self._waiting)
            self.on_outcome(module, self.now_s, failed=not works)
            signals: dict[int, float] = {Signal.COMPLETION: float(works), Signal.LATENCY_MS: 50.0 if works else 1.0}
            self._engine.record_outcome(Outcome(signals, decision_id=decision_id))


@contextmanager
def stand(case: Case) -> Iterator[Stand]:
    """Open an engine whose every look at the monotonic clock is ours."""
    mode, share = MODES[case.mode]
    settings = EngineSettings(
        mode=mode,
        rollout_share=share,
        growth="off",
        id_seed=f"breaker {case.seed}",
        safety=SafetySettings(breakers=case.breakers),
    )
    clock = Clock()
    fake = SimpleNamespace(monotonic=clock.monotonic)
    with (
        tempfile.TemporaryDirectory() as directory,
        mock.patch.object(engine_module, "time", fake),
        mock.patch.object(recording, "time", fake),
    ):
        engine = Engine(Path(directory), settings)
        engine._decider._clock = clock.monotonic  # noqa: SLF001  the engine offers real time only
        try:
            yield Stand(case, engine, clock)
        finally:
            engine.close()


def one_fails(case: Case) -> dict[str, float]:
    """Return the sick module's share once it could be known, and how long it took to come back, in open times."""
    with stand(case) as play:
        for _ in range(100 + round(case.delay_s * case.rate)):
            play.call()
        play.success[SICK] = 0.0
        known = None  # calls since the failure could be known
        served: list[str] = []
        began_s, first_s = play.now_s, None
        while play.now_s < began_s + case.failing_s or len(served) < LEAST_CALLS:
            module, _ = play.call()
            if module == SICK and first_s is None:
                first_s = play.now_s
            if first_s is not None and play.now_s >= first_s + case.delay_s:
                known = 0 if known is None else known + 1
            if known is not None and known > WITHIN:
                served.append(module)
            if first_s is None and play.now_s > began_s + case.failing_s:
                break  # nobody sends it anything: it harms nobody
        share = served.count(SICK) / len(served) if served else 0.0
        play.success[SICK] = 1.0
        healed_s = play.now_s
        breaker = play._engine.safeguards.breakers._breakers.get(SICK)  # noqa: SLF001  the length of its time out
        was_out = play.state(SICK) is not State.CLOSED
        open_s = case.breakers.open_s if breaker is None or not was_out else breaker.open_until_s - breaker.opened_s
        while play.state(SICK) is not State.CLOSED and play.now_s < healed_s + 20.0 * open_s:
            play.call()
        back = (play.now_s - healed_s) / open_s
        return {"share": share, "was_out": was_out, "return": back, "refused": play.refused, "calls": play.calls}


class Rates:
    """Failure rates of the latest outcomes, counted anew: a module's lies between those of 90 and 100 % of the window.

    Args:
        window_s: Length of the window.
    """

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._came: dict[str, deque[tuple[float, bool]]] = {}
        self._last: dict[str, float] = {}

    def came(self, module: str, now_s: float, *, failed: bool) -> None:
        """Take in an outcome."""
        self._came.setdefault(module, deque()).append((now_s, failed))
        self._last[module] = self._rate(module, now_s, self._window_s)

    def moved(self, module: str, before: State, after: State) -> None:
        """Take in a change of state: with its return a module's failures are over."""
        del before
        if after is State.CLOSED:
            self._came.pop(module, None)
            self._last.pop(module, None)

    def between(self, module: str, now_s: float) -> tuple[float, float]:
        """Return the least and the largest rate that a window in tenths may give."""
        came = self._came.get(module, deque())
        while came and came[0][0] <= now_s - self._window_s:
            came.popleft()
        calls = failures = 0
        rates: list[float] = []
        for came_s, failed in reversed(came):
            if came_s <= now_s - 0.9 * self._window_s:
                # It may have been forgotten; of an empty window the last known rate stands.
                rates.append(failures / calls if calls else self._last[module])
            calls, failures = calls + 1, failures + failed
        rates.append(failures / calls if calls else self._last.get(module, 0.0))
        return min(rates), max(rates)

    def _rate(self, module: str, now_s: float, window_s: float) -> float:
        failures = [failed for came_s, failed in self._came.get(module, ()) if came_s > now_s - window_s]
        return sum(failures) / len(failures) if failures else self._last.get(module, 0.0)


def all_fail(case: Case) -> dict[str, float]:
    """Return how often, while all were out, somebody was served who was certainly not of the least bad."""
    n = case.n_modules
    kept = n - max(1, int(case.breakers.max_ejected_share * n + 1e-9))
    with stand(case) as play:
        rates = Rates(case.breakers.window_s)
        play.follow(rates)
        for _ in range(50):
            play.call()
        play.success = {name: 0.3 * place / n for place, name in enumerate(play.success)}
        panics = bad = looked = 0
        began_s = play.now_s
        while play.now_s < began_s + 1.3 * case.breakers.open_s + case.delay_s or play.calls < LEAST_CALLS:
            module, reasons = play.call(before_outcome=True)
            if int(Reason.PANIC) in reasons and play.are_all_out():
                panics += 1
                if panics % max(1, round(case.rate / 100.0)) == 0:  # counting anew is slow
                    looked += 1
                    least, _ = rates.between(module, play.now_s)
                    better = sum(rates.between(name, play.now_s)[1] < least for name in play.success)
                    bad += better >= kept
            play.settle()
        return {"panics": panics, "looked": looked, "bad": bad, "refused": play.refused}


def parts(scale: float) -> list[Case]:
    """Return the cases, those of one grid, once or more often; below scale 1 only some of them."""
    grid = list(itertools.product((2, 3, 10), MODES, (10.0, 100.0, 1000.0), (0.0, 0.1, 2.0)))
    if scale < 1.0:
        grid = grid[:: max(1, round(1.0 / scale))]
    return [Case(*case, seed) for seed in range(max(1, round(scale))) for case in grid]


def campaign(case: Case) -> dict[str, Any]:
    """Play one case."""
    return {"case": case._asdict(), "one": one_fails(case), "all": all_fail(case)}


def figures(results: Sequence[dict[str, Any]]) -> list[Figure]:
    """Return the worst of all cases."""

    def worst(key: str) -> tuple[float, str]:
        result = max(results, key=lambda each: float(each["one"][key]))
        case = result["case"]
        named = f"{case['n_modules']} modules, {case['mode']}, {case['rate']:g}/s, outcomes after {case['delay_s']:g} s"
        return float(result["one"][key]), named

    share, share_case = worst("share")
    back, back_case = worst("return")
    panics = sum(result["all"]["panics"] for result in results)
    looked = sum(result["all"]["looked"] for result in results)
    bad = sum(result["all"]["bad"] for result in results)
    refused = sum(result[run]["refused"] for result in results for run in ("one", "all"))
    late = sum(result["one"]["return"] > 2.0 for result in results)
    out = sum(result["one"]["was_out"] for result in results)
    return [
        Figure(CAMPAIGN, "cases", len(results), detail=f"in {out} of them the module was out when it healed"),
        Figure(CAMPAIGN, "largest share after 100 calls", share, None, "<", MOST_SHARE, share_case),
        Figure(CAMPAIGN, "longest return ÷ open time", back, None, "<=", 2.0, f"{back_case}; {late} cases late"),
        Figure(CAMPAIGN, "refused", refused, None, "<=", 0.0),
        Figure(CAMPAIGN, "decisions while all are out", panics, None, ">=", 1.0),
        Figure(CAMPAIGN, "not by the least bad", bad, None, "<=", 0.0, f"of {looked:,} that were looked at"),
    ]
