"""When a budget is used up and when it is free again."""

import math
import threading
import time

import msgspec
import pytest

from pilotfish.safety import spending
from pilotfish.safety.budgets import Budget, Budgets, BudgetSettings, BudgetUse, BudgetView

COST, CALLS, CONCURRENT = "budget.cost_usd_per_hour", "budget.calls_per_minute", "budget.concurrent_calls"


def budgets(
    cost_usd_per_hour: float | None = None, calls_per_minute: int | None = None, concurrent_calls: int | None = None
) -> Budgets:
    """The same limits for each module."""
    budget = Budget(
        cost_usd_per_hour=cost_usd_per_hour, calls_per_minute=calls_per_minute, concurrent_calls=concurrent_calls
    )
    return Budgets(BudgetSettings(modules={"*": budget}))


def call(used: Budgets, call_id: bytes, now_s: float, cost_usd: float | None = None, module: str = "m") -> None:
    """A call that is over at once."""
    used.reserve(module, call_id, now_s)
    used.record(module, call_id, cost_usd=cost_usd, now_s=now_s)


@pytest.mark.parametrize(
    ("modules", "is_active"),
    [({}, False), ({"*": Budget()}, False), ({"a": Budget(), "b": Budget(calls_per_minute=1)}, True)],
)
def test_budgets_are_active_if_there_is_any_limit(modules: dict[str, Budget], is_active: bool) -> None:  # noqa: FBT001
    assert Budgets(BudgetSettings(modules=modules)).is_active == is_active


def test_what_has_no_limit_is_never_spent_nor_remembered() -> None:
    used = Budgets(BudgetSettings(modules={"other": Budget(calls_per_minute=1)}))

    for number in range(100):
        call(used, bytes([number]), 0.0, cost_usd=1e6)

    assert used.spent(["m"], 0.0) == {}
    assert used.snapshot(0.0).keys() == {"other"}


def test_the_last_call_of_the_minute_is_free_again_exactly_a_minute_after_the_first() -> None:
    used = budgets(calls_per_minute=3)
    for call_id, now_s in ((b"a", 1.0), (b"b", 20.0), (b"c", 20.0)):
        assert used.spent(["m"], now_s) == {}
        call(used, call_id, now_s)

    assert used.spent(["n", "m"], 60.999) == {1: CALLS}
    assert used.spent(["n", "m"], 61.0) == {}
    call(used, b"d", 61.0)
    assert used.spent(["m"], 79.999) == {0: CALLS}
    assert used.spent(["m"], 80.0) == {}


def test_calls_under_way_are_limited_until_their_outcomes_come() -> None:
    used = budgets(concurrent_calls=2)
    used.reserve("m", b"a", 0.0)
    used.reserve("m", b"b", 1.0)
    assert used.spent(["m"], 2.0) == {0: CONCURRENT}

    used.record("m", b"a", cost_usd=None, now_s=3.0)

    assert used.spent(["m"], 3.0) == {}
    used.reserve("m", b"c", 3.0)
    used.record("m", b"a", cost_usd=None, now_s=3.0)  # a second part of the same outcome ends nothing more
    assert used.spent(["m"], 3.0) == {0: CONCURRENT}


def test_a_call_without_an_outcome_is_over_when_patience_is() -> None:
    used = budgets(concurrent_calls=1)
    used.reserve("m", b"a", 0.0)

    assert used.spent(["m"], 59.999) == {0: CONCURRENT}
    assert used.spent(["m"], 60.0) == {}
    used.reserve("m", b"b", 60.0)
    used.record("m", b"a", cost_usd=None, now_s=61.0)
    assert used.spent(["m"], 61.0) == {0: CONCURRENT}


def test_cost_of_the_last_hour_is_limited_and_reaching_the_limit_is_enough() -> None:
    used = budgets(cost_usd_per_hour=1.0)
    for number in range(10):
        assert used.spent(["m"], number) == {}
        call(used, bytes([number]), float(number), cost_usd=0.1)  # ten times 0.1 is below 1 in floats

    assert used.spent(["m"], 3599.9) == {0: COST}
    assert used.spent(["m"], 3600.0) == {}
    call(used, b"x", 3600.0, cost_usd=0.1)
    assert used.spent(["m"], 3600.9) == {0: COST}


def test_calls_whose_cost_is_not_known_yet_count_at_the_mean() -> None:
    used = budgets(cost_usd_per_hour=1.0)
    call(used, b"a", 0.0, cost_usd=0.3)
    call(used, b"b", 0.0, cost_usd=0.1)

    for number in range(3):
        assert used.spent(["m"], 1.0) == {}
        used.reserve("m", bytes([number]), 1.0)  # 0.4 + n · 0.2

    assert used.spent(["m"], 1.0) == {0: COST}
    used.record("m", bytes([0]), cost_usd=None, now_s=2.0)
    assert used.spent(["m"], 2.0) == {0: COST}  # over, but its cost may still come
    used.record("m", bytes([0]), cost_usd=0.0, now_s=2.0)
    assert used.spent(["m"], 2.0) == {}
    used.reserve("m", b"c", 2.0)
    assert used.spent(["m"], 2.0) == {}  # 0.4 + 3 · 0.4 / 3 = 0.8
    used.reserve("m", b"d", 2.0)
    used.reserve("m", b"e", 2.0)
    assert used.spent(["m"], 60.9) == {0: COST}
    assert used.spent(["m"], 61.0) == {}  # two of them have been silent for too long


def test_cost_that_comes_after_the_completion_counts_once() -> None:
    used = budgets(cost_usd_per_hour=1.0)
    used.reserve("m", b"a", 0.0)
    used.record("m", b"a", cost_usd=None, now_s=1.0)
    used.record("m", b"a", cost_usd=0.6, now_s=2.0)
    used.record("m", b"a", cost_usd=0.6, now_s=3.0)

    assert used.snapshot(3.0)["m"].cost_usd_per_hour == BudgetUse(0.6, 1.0)


def test_cost_of_a_call_that_is_not_remembered_counts() -> None:
    used = budgets(cost_usd_per_hour=1.0)
    used.record("m", b"before the restart", cost_usd=0.6, now_s=-100.0)
    used.reserve("m", b"a", 0.0)
    used.record("m", b"a", cost_usd=0.6, now_s=100.0)

    assert used.snapshot(100.0)["m"].cost_usd_per_hour == BudgetUse(1.2, 1.0)


@pytest.mark.parametrize("cost_usd", [-1.0, math.nan, math.inf, -math.inf])
def test_what_is_no_amount_of_money_is_nothing(cost_usd: float) -> None:
    used = budgets(cost_usd_per_hour=1.0)
    call(used, b"a", 0.0, cost_usd=0.5)

    call(used, b"b", 0.0, cost_usd=cost_usd)

    assert used.snapshot(0.0)["m"].cost_usd_per_hour == BudgetUse(0.5, 1.0)


def test_a_cost_beyond_every_limit_leaves_with_its_hour() -> None:
    used = budgets(cost_usd_per_hour=1.0)
    call(used, b"a", 0.0, cost_usd=1e300)
    used.reserve("m", b"b", 1.0)
    used.record("m", b"b", cost_usd=0.1, now_s=1.0)

    assert used.spent(["m"], 3599.0) == {0: COST}
    assert used.spent(["m"], 3600.0) == {}
    assert used.snapshot(3600.0)["m"].cost_usd_per_hour == BudgetUse(0.1, 1.0)


def test_a_reservation_that_is_released_never_was() -> None:
    used = budgets(cost_usd_per_hour=1.0, calls_per_minute=2, concurrent_calls=2)
    call(used, b"a", 0.0, cost_usd=0.5)
    for number in range(10):
        assert used.spent(["m"], 1.0) == {}
        used.reserve("m", bytes([number]), 1.0)
        assert used.spent(["m"], 1.0) == {0: COST}
        used.release(bytes([number]), 1.0)

    assert used.snapshot(1.0)["m"] == BudgetView(BudgetUse(0.5, 1.0), BudgetUse(1, 2), BudgetUse(0, 2))


def test_releasing_what_is_over_or_unknown_changes_nothing() -> None:
    used = budgets(calls_per_minute=1, concurrent_calls=1)
    call(used, b"a", 0.0)

    used.release(b"a", 0.0)
    used.release(b"unknown", 0.0)

    assert used.snapshot(0.0)["m"] == BudgetView(None, BudgetUse(1, 1), BudgetUse(0, 1))


def test_a_call_that_is_reserved_twice_is_one() -> None:
    used = budgets(calls_per_minute=5, concurrent_calls=5)
    used.reserve("m", b"a", 0.0)
    used.reserve("m", b"a", 1.0)

    assert used.snapshot(1.0)["m"] == BudgetView(None, BudgetUse(1, 5), BudgetUse(1, 5))


def test_forced_calls_are_counted() -> None:
    used = budgets(calls_per_minute=2)
    for number in range(5):
        used.reserve("m", bytes([number]), 10.0 * number)

    used.release(bytes([0]), 40.0)  # long pushed out by later ones: takes no other's place

    assert used.spent(["m"], 89.9) == {0: CALLS}  # 30 s and 40 s
    assert used.spent(["m"], 90.0) == {}


def test_the_budget_that_lasts_longest_is_named() -> None:
    used = budgets(cost_usd_per_hour=1.0, calls_per_minute=1, concurrent_calls=1)
    call(used, b"a", 0.0, cost_usd=1.0)
    assert used.spent(["m"], 0.0) == {0: COST}

    used = budgets(calls_per_minute=1, concurrent_calls=1)
    used.reserve("m", b"a", 0.0)
    assert used.spent(["m"], 0.0) == {0: CALLS}


def test_the_star_is_a_budget_for_each_and_an_own_entry_replaces_it_whole() -> None:
    settings = BudgetSettings(modules={"*": Budget(calls_per_minute=1), "own": Budget(concurrent_calls=1)})
    used = Budgets(settings)
    for module in ("a", "own"):
        call(used, module.encode(), 0.0, module=module)

    assert used.spent(["a", "b", "own"], 0.0) == {0: CALLS}
    used.reserve("own", b"x", 0.0)
    assert used.spent(["a", "b", "own"], 0.0) == {0: CALLS, 2: CONCURRENT}


def test_time_that_runs_backwards_stands_still() -> None:
    used = budgets(calls_per_minute=1)
    used.reserve("m", b"a", 100.0)
    assert used.spent(["m"], 160.0) == {}

    used.reserve("m", b"b", 159.0)  # read the clock before it waited for the lock

    assert used.spent(["m"], 219.5) == {0: CALLS}


def test_modules_and_calls_that_are_long_over_are_forgotten() -> None:
    used = budgets(cost_usd_per_hour=1.0, calls_per_minute=1, concurrent_calls=1)
    for number in range(1000):
        used.reserve(f"m{number}", str(number).encode(), 0.0)
    assert len(used.snapshot(3599.9)) == 1000

    used.record("m", b"x", cost_usd=0.0, now_s=3600.0)

    assert used.snapshot(3600.0).keys() == {"m"}
    assert len(used._tight) == len(used._calls) == 0  # noqa: SLF001 - nothing else shows it


def test_a_module_that_is_used_again_outlives_later_ones() -> None:
    used = budgets(calls_per_minute=1)
    for module, now_s in (("a", 0.0), ("b", 1.0), ("a", 3000.0)):
        call(used, str(now_s).encode(), now_s, module=module)

    assert used.snapshot(3700.0).keys() == {"a"}


def test_a_module_that_is_free_again_is_not_looked_at_any_more() -> None:
    used = budgets(calls_per_minute=1)
    call(used, b"a", 0.0)

    used.spent(["m"], 60.0)

    assert used._tight == {}  # noqa: SLF001 - the fast path, which nothing else shows


def test_memory_is_bounded_by_the_limit_and_costs_are_merged_only_in_busy_hours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spending, "MAX_EXACT_COSTS", 50)
    used = spending.Spending(Budget(cost_usd_per_hour=1.0, calls_per_minute=7))
    reports = [(number * 0.1, 0.001) for number in range(1000)]
    for now_s, cost_usd in reports:
        used.begin(now_s)
        used.pay(cost_usd, now_s)

    assert len(used._costs) == 50 + 95  # noqa: SLF001 - one for each second from 5 s to 99 s
    assert len(used._starts) == 7  # noqa: SLF001
    for now_s in (3599.0, 3600.05, 3604.85, 3605.3, 3650.0, 3698.95):
        exact = math.fsum(cost_usd for at_s, cost_usd in reports if at_s > now_s - 3600.0)
        earlier = math.fsum(cost_usd for at_s, cost_usd in reports if at_s > now_s - 3601.0)
        cost_usd = used.usage(now_s)[0]
        assert exact - 1e-9 <= cost_usd <= earlier + 1e-9
    assert used.usage(3700.0)[0] == 0.0


def test_two_decisions_cannot_both_take_the_last_call() -> None:
    used = budgets(calls_per_minute=100, concurrent_calls=100)
    taken: list[bytes] = []

    def work(worker: int) -> None:
        for number in range(100):
            call_id = f"{worker} {number}".encode()
            with used.lock:
                if used.spent(["m"], 0.0):
                    continue
                time.sleep(0)  # lets the others in, if anything does
                used.reserve("m", call_id, 0.0)
            taken.append(call_id)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) == 100


@pytest.mark.parametrize(
    "wrong",
    [
        {"modules": {"m": {"calls_per_minute": 0}}},
        {"modules": {"m": {"cost_usd_per_hour": 0.0}}},
        {"modules": {"m": {"concurrent_calls": -1}}},
        {"modules": {"m": {"calls_per_hour": 1}}},
        {"concurrent_patience_s": 0.0},
        {"concurrent_patience_s": 3601.0},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, BudgetSettings)
