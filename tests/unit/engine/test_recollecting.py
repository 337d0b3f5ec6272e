"""What breakers and budgets knew before a restart, they know after it."""

import time
from pathlib import Path

import pytest

from pilotfish.codes import Mode, Signal
from pilotfish.engine import recollecting
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.request import Module, Outcome, Request, Task
from pilotfish.safety.breakers import State
from pilotfish.safety.budgets import Budget, BudgetSettings
from pilotfish.safety.settings import SafetySettings

ONLY_A = Request(Task("t"), (Module("a"),))
BUDGETS = BudgetSettings(modules={"a": Budget(calls_per_minute=100, cost_usd_per_hour=50.0, concurrent_calls=50)})


def opened(state_dir: Path) -> Engine:
    safety = SafetySettings(budgets=BUDGETS)
    return Engine(state_dir, EngineSettings(mode=Mode.ON, growth="off", safety=safety))


def fail(engine: Engine, times: int) -> None:
    for _ in range(times):
        decision = engine.decide(ONLY_A)
        values: dict[int, float] = {Signal.COMPLETION: 0.0, Signal.COST_USD: 0.5}
        engine.record_outcome(Outcome(values, decision_id=decision.decision_id))


def test_open_breaker_and_used_budgets_survive_a_restart(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    fail(engine, 8)
    for _ in range(3):
        engine.decide(ONLY_A)
    now_s = time.monotonic()
    before = engine.safeguards.breakers.snapshot(now_s)["a"], engine.safeguards.budgets.snapshot(now_s)["a"]
    assert before[0].state is State.OPEN
    engine.close()
    again = opened(tmp_path)
    after = again.safeguards.breakers.snapshot(now_s)["a"], again.safeguards.budgets.snapshot(now_s)["a"]
    assert (after[0].state, after[0].calls, after[0].trips) == (before[0].state, before[0].calls, before[0].trips)
    assert after[1] == before[1]
    again.close()


def test_what_lies_too_far_back_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = opened(tmp_path)
    fail(engine, 8)
    engine.close()
    monkeypatch.setattr(recollecting, "EVENTS_MAX", 0)
    again = opened(tmp_path)
    assert again.safeguards.breakers.snapshot(time.monotonic()).get("a") is None
    again.close()


def test_wall_clock_that_was_put_back_does_not_put_anything_in_the_future(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened(tmp_path)
    fail(engine, 8)
    engine.close()
    monkeypatch.setattr("pilotfish.engine.engine.now_us", lambda: 1_000_000)
    again = opened(tmp_path)
    view = again.safeguards.breakers.snapshot(time.monotonic())["a"]
    assert view.state is State.OPEN
    assert view.open_until_s is not None
    assert view.open_until_s <= time.monotonic() + 10.0
    again.close()
