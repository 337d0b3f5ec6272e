"""The safety stage: what breakers and budgets cost each decision and each outcome, 10 candidates.

A round is 100 calls, since one is hardly longer than reading the clock; so there is no p99. idle: nothing is out or
used up. elsewhere: a module is out that is no candidate. busy: three of ten modules are out, one is on probation and
three have used up a budget. worst: all ten are out and have used up a budget.
"""

import itertools
from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pilotfish.safety.breakers import Breakers, BreakerSettings, State
from pilotfish.safety.budgets import Budget, Budgets, BudgetSettings

NAMES = [f"module-{index}" for index in range(10)]
ROUNDS = 500
CALLS = 100
NOW_S = 1000.0


def measure(benchmark: BenchmarkFixture, call: Callable[[], object]) -> None:
    benchmark.pedantic(call, rounds=ROUNDS, iterations=CALLS, warmup_rounds=10)


def trip(breakers: Breakers, names: list[str], at_s: float) -> None:
    for name in names:
        for _ in range(5):
            breakers.record(name, failed=True, latency_ms=1.0, now_s=at_s)


def breakers_in(state: str) -> Breakers:
    breakers = Breakers(BreakerSettings())
    for name in NAMES:
        breakers.record(name, failed=False, latency_ms=50.0, now_s=NOW_S - 20.0)
    if state == "elsewhere":
        trip(breakers, ["not a candidate"], NOW_S)
    elif state == "busy":
        trip(breakers, NAMES[3:4], NOW_S - 15.0)
        trip(breakers, NAMES[4:7], NOW_S - 1.0)
    elif state == "worst":
        trip(breakers, NAMES, NOW_S - 1.0)
    return breakers


def budgets_in(state: str) -> Budgets:
    budget = Budget(cost_usd_per_hour=1.0, calls_per_minute=100, concurrent_calls=10)
    budgets = Budgets(BudgetSettings(modules={"*": budget}))
    n_spent = {"idle": 0, "busy": 3, "worst": 10}[state]
    for index, name in enumerate(NAMES):
        for call in range(10 if index < n_spent else 5):
            budgets.reserve(name, f"{name} {call}".encode(), NOW_S)
    return budgets


@pytest.mark.parametrize(("state", "n_ejected"), [("idle", 0), ("elsewhere", 0), ("busy", 3), ("worst", 8)])
def test_eject(state: str, n_ejected: int, benchmark: BenchmarkFixture) -> None:
    breakers = breakers_in(state)

    measure(benchmark, lambda: breakers.eject(NAMES, NOW_S))

    ejection = breakers.eject(NAMES, NOW_S)
    assert len(ejection.ejected) == n_ejected
    assert ejection.panic == (state == "worst")
    assert ejection.probing == ((3,) if state == "busy" else ())


@pytest.mark.parametrize(("state", "n_spent"), [("idle", 0), ("busy", 3), ("worst", 10)])
def test_spent(state: str, n_spent: int, benchmark: BenchmarkFixture) -> None:
    budgets = budgets_in(state)

    measure(benchmark, lambda: budgets.spent(NAMES, NOW_S))

    assert len(budgets.spent(NAMES, NOW_S)) == n_spent


@pytest.mark.parametrize("state", ["idle", "busy", "worst"])
def test_eject_and_spent(state: str, benchmark: BenchmarkFixture) -> None:
    """What a decision asks, the budgets' lock held as it must be."""
    breakers, budgets = breakers_in(state), budgets_in(state)

    def ask() -> None:
        breakers.eject(NAMES, NOW_S)
        with budgets.lock:
            budgets.spent(NAMES, NOW_S)

    measure(benchmark, ask)


def test_breakers_record(benchmark: BenchmarkFixture) -> None:
    breakers = breakers_in("idle")
    clock = itertools.count()

    measure(
        benchmark,
        lambda: breakers.record(NAMES[0], failed=False, latency_ms=50.0, now_s=NOW_S + next(clock) / 1e3),
    )

    assert breakers.snapshot(NOW_S)[NAMES[0]].state == State.CLOSED


def test_budgets_reserve_and_record(benchmark: BenchmarkFixture) -> None:
    """1,000 calls/s to one module, whose hour is so full of costs that they are merged."""
    budget = Budget(cost_usd_per_hour=1e6, calls_per_minute=100_000, concurrent_calls=1000)
    budgets = Budgets(BudgetSettings(modules={"*": budget}))
    clock = itertools.count()

    def call() -> None:
        number = next(clock)
        now_s, call_id = NOW_S + number / 1e3, number.to_bytes(16, "big")
        budgets.reserve(NAMES[0], call_id, now_s)
        budgets.record(NAMES[0], call_id, cost_usd=0.01, now_s=now_s)

    measure(benchmark, call)

    used = budgets.snapshot(NOW_S)[NAMES[0]].concurrent_calls
    assert used is not None
    assert used.used == 0
