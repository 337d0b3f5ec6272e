"""Budgets against a twin that remembers everything and decides from the definitions."""

import random
from fractions import Fraction

import pytest

from pilotfish.safety.budgets import Budget, Budgets, BudgetSettings

PATIENCE_S = 45.0
MODULES = {
    "cheap": Budget(calls_per_minute=5),
    "slow": Budget(concurrent_calls=3),
    "dear": Budget(cost_usd_per_hour=2.0),
    "all": Budget(cost_usd_per_hour=3.0, calls_per_minute=8, concurrent_calls=4),
    "free": Budget(),
}
NAMES = [*MODULES, "unlisted", "unlisted too"]
OTHER = Budget(calls_per_minute=6, concurrent_calls=5)


class Twin:
    """Lists of what happened; nothing is ever thrown away."""

    def __init__(self) -> None:
        self.now_s = float("-inf")
        self.starts: list[tuple[str, bytes, float]] = []
        self.ended: set[bytes] = set()
        self.priced: set[bytes] = set()
        self.costs: list[tuple[str, float, Fraction]] = []
        self.means: dict[str, Fraction] = {}
        self.used_s: dict[str, float] = {}

    def at(self, now_s: float) -> None:
        self.now_s = max(now_s, self.now_s)
        self.means = {name: mean for name, mean in self.means.items() if self.used_s[name] > self.now_s - 3600.0}

    def reserve(self, module: str, call_id: bytes) -> None:
        self.starts.append((module, call_id, self.now_s))
        self.used_s[module] = self.now_s

    def release(self, call_id: bytes) -> None:
        if call_id not in self.ended | self.priced:
            fresh = self.now_s - PATIENCE_S
            self.starts = [start for start in self.starts if start[1] != call_id or start[2] <= fresh]

    def record(self, module: str, call_id: bytes, cost_usd: float | None) -> None:
        self.ended.add(call_id)
        is_fresh = any(start[1] == call_id and start[2] > self.now_s - PATIENCE_S for start in self.starts)
        if cost_usd is not None and not (is_fresh and call_id in self.priced):
            self.costs.append((module, self.now_s, Fraction(round(cost_usd * 10**12), 10**12)))
            self.priced.add(call_id)
            self.used_s[module] = self.now_s
            hour = [cost for name, at_s, cost in self.costs if name == module and at_s > self.now_s - 3600.0]
            self.means[module] = sum(hour, Fraction()) / len(hour)

    def calls(self, module: str) -> int:
        return sum(name == module and at_s > self.now_s - 60.0 for name, _, at_s in self.starts)

    def running(self, module: str) -> int:
        return len(self.fresh(module) - self.ended)

    def fresh(self, module: str) -> set[bytes]:
        return {id_ for name, id_, at_s in self.starts if name == module and at_s > self.now_s - PATIENCE_S}

    def cost(self, module: str) -> Fraction:
        return sum(
            (cost for name, at_s, cost in self.costs if name == module and at_s > self.now_s - 3600.0), Fraction()
        )

    def fault(self, module: str) -> str:
        budget = MODULES.get(module, OTHER)
        expected = self.cost(module) + len(self.fresh(module) - self.priced) * self.means.get(module, Fraction())
        if budget.cost_usd_per_hour is not None and expected >= Fraction(budget.cost_usd_per_hour):
            return "budget.cost_usd_per_hour"
        if budget.calls_per_minute is not None and self.calls(module) >= budget.calls_per_minute:
            return "budget.calls_per_minute"
        if budget.concurrent_calls is not None and self.running(module) >= budget.concurrent_calls:
            return "budget.concurrent_calls"
        return ""


@pytest.mark.parametrize("seed", range(40))
def test_what_is_refused_is_what_the_definitions_refuse(seed: int) -> None:
    random_ = random.Random(seed)
    budgets = Budgets(BudgetSettings(modules={"*": OTHER, **MODULES}, concurrent_patience_s=PATIENCE_S))
    twin, ids, now_s, n_refused = Twin(), list[tuple[str, bytes]](), random_.uniform(-1e4, 1e4), 0
    pace_s = random_.choice([0.5, 2.0, 15.0])
    for step in range(600):
        now_s += random_.choice([0.0, pace_s * random_.random(), pace_s * random_.expovariate(1.0)])
        if random_.random() < 0.005:
            now_s += random_.choice([60.0, 3000.0, 3600.0])
        seen_s = now_s - (random_.random() if random_.random() < 0.1 else 0.0)
        twin.at(seen_s)
        names = random_.sample(NAMES, random_.randint(1, len(NAMES)))

        refused = budgets.spent(names, seen_s)

        assert refused == {index: fault for index, name in enumerate(names) if (fault := twin.fault(name))}
        n_refused += len(refused)
        legal = [name for index, name in enumerate(names) if index not in refused]
        action = random_.random()
        if action < 0.6 and legal:
            module, call_id = random_.choice(legal), str(step).encode()
            budgets.reserve(module, call_id, seen_s)
            twin.reserve(module, call_id)
            ids.append((module, call_id))
        elif action < 0.65 and ids:
            call_id = random_.choice(ids[-5:])[1]
            budgets.release(call_id, seen_s)
            twin.release(call_id)
        elif ids:
            module, call_id = random_.choice(ids[-20:])
            cost_usd = random_.choice([None, 0.1, 0.3, random_.random()])
            budgets.record(module, call_id, cost_usd=cost_usd, now_s=seen_s)
            twin.record(module, call_id, cost_usd)
        check_usage(budgets, twin)
    assert n_refused > 0


def check_usage(budgets: Budgets, twin: Twin) -> None:
    """What is shown is what is used, and calls never exceed their limits."""
    shown = budgets.snapshot(twin.now_s)
    for module in NAMES:
        budget = MODULES.get(module, OTHER)
        view = shown.get(module)
        if budget.calls_per_minute is not None:
            assert twin.calls(module) <= budget.calls_per_minute
            assert (view.calls_per_minute.used if view and view.calls_per_minute else 0) == twin.calls(module)
        if budget.concurrent_calls is not None:
            assert twin.running(module) <= budget.concurrent_calls
            assert (view.concurrent_calls.used if view and view.concurrent_calls else 0) == twin.running(module)
        if budget.cost_usd_per_hour is not None:
            used = view.cost_usd_per_hour.used if view and view.cost_usd_per_hour else 0.0
            assert used == float(twin.cost(module))


@pytest.mark.parametrize("seed", range(5))
def test_any_minute_holds_at_most_the_limit(seed: int) -> None:
    random_ = random.Random(seed)
    budgets = Budgets(BudgetSettings(modules={"*": Budget(calls_per_minute=10)}))
    taken: list[float] = []
    now_s = 0.0
    for step in range(5000):
        now_s += random_.expovariate(1.0)
        if not budgets.spent(["m"], now_s):
            budgets.reserve("m", str(step).encode(), now_s)
            taken.append(now_s)

    fullest = max(sum(start <= other < start + 60.0 for other in taken) for start in taken)
    assert fullest == 10  # nor less: what could be allowed was


@pytest.mark.parametrize("seed", range(5))
def test_an_hour_costs_at_most_the_limit_and_one_call_where_calls_cost_the_same(seed: int) -> None:
    random_ = random.Random(seed)
    budgets = Budgets(BudgetSettings(modules={"*": Budget(cost_usd_per_hour=1.0)}))
    due: list[tuple[float, bytes]] = []
    paid: list[float] = []
    now_s, cost_usd = 0.0, 0.03
    budgets.record("m", b"first", cost_usd=cost_usd, now_s=0.0)
    for step in range(3000):
        now_s += random_.expovariate(0.2)
        while due and due[0][0] <= now_s:
            at_s, call_id = due.pop(0)
            budgets.record("m", call_id, cost_usd=cost_usd, now_s=at_s)
            paid.append(at_s)
        if not budgets.spent(["m"], now_s):
            budgets.reserve("m", str(step).encode(), now_s)
            due.append((now_s + 50.0, str(step).encode()))  # ten in flight at any time

    fullest = max(sum(start <= other < start + 3600.0 for other in paid) for start in paid)
    assert fullest * cost_usd <= 1.0 + cost_usd
    assert fullest * cost_usd >= 1.0
