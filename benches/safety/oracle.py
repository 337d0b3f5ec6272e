"""Whether an answer broke something, told from the request, the configuration and what was served before.

Nothing of the code under test is asked.
"""

import math
from collections import defaultdict, deque
from collections.abc import Iterator

from benches.safety.world import keeps_rule
from pilotfish.codes import Reason
from pilotfish.engine.deciding import Decision
from pilotfish.request import Module, Request, Task
from pilotfish.safety.breakers import State
from pilotfish.safety.settings import SafetySettings

HOUR_S, MINUTE_S = 3600.0, 60.0


def broken_rules(settings: SafetySettings, request: Request, module: Module) -> Iterator[str]:
    """Yield each rule of request and configuration that a module breaks, whatever the moment."""
    task, name = request.task, module.name
    size, deadline_s = task.data_size_bytes, task.deadline_s
    banned = {*settings.bans.get("*", ()), *settings.bans.get(task.type, ())}
    checks = {
        "repeated": task.non_idempotent and task.attempt > 1,
        "denied": name in request.denied_modules or name in settings.denied_modules,
        "not allowed": bool(request.allowed_modules and name not in request.allowed_modules)
        or bool(settings.allowed_modules and name not in settings.allowed_modules),
        "capability": not set(task.required_capabilities) <= set(module.capabilities),
        "feature": not set(module.required_features) <= set(task.features),
        "size": size is not None
        and (
            (module.max_data_size_bytes is not None and size > module.max_data_size_bytes)
            or size > settings.max_data_size_bytes.get(name, size)
        ),
        "ban": name in banned,
        "deadline": deadline_s is not None and deadline_s < settings.min_deadline_s.get(name, 0.0),
    }
    yield from (what for what, is_broken in checks.items() if is_broken)
    yield from (f"rule {rule}" for rule in settings.rules if not keeps_rule(rule, task, module))


def is_critical(settings: SafetySettings, task: Task) -> bool:
    """Return whether nothing may be explored."""
    priority = round(10 * float(task.features.get("task.priority", 0.0)))  # type: ignore[arg-type]
    return task.critical or task.type in settings.critical_task_types or priority >= settings.critical_priority


class Ledger:
    """What was served and reported, as a person would keep it; times never run backwards.

    Args:
        settings: The configuration.
    """

    def __init__(self, settings: SafetySettings) -> None:
        self._settings = settings
        self._starts: defaultdict[str, deque[float]] = defaultdict(deque)
        self._costs: defaultdict[str, deque[tuple[float, float]]] = defaultdict(deque)
        self._running: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self.states: dict[str, State] = {}

    def faults(self, decision: Decision, now_s: float) -> Iterator[str]:
        """Yield what is wrong with an answer that leaves now."""
        record, reasons = decision.record, set(decision.reasons)
        request = record.request
        module = next((module for module in request.candidates if module.name == decision.module), None)
        if module is None:
            yield "not a candidate"
            return
        yield from broken_rules(self._settings, request, module)
        if not (0.0 < decision.propensity <= 1.0 + 1e-9 and math.isfinite(decision.propensity)):
            yield f"propensity {decision.propensity}"
        if int(Reason.SAFE_DEFAULT) in reasons:
            if module.name != self._settings.safe_default:
                yield "not the safe default"
            return
        yield from self._spent(module.name, now_s)
        if self.states.get(module.name) is State.OPEN and int(Reason.PANIC) not in reasons:
            yield "breaker open"
        if is_critical(self._settings, request.task):
            if int(Reason.PROBE) in reasons:
                yield "a probe on a critical task"
            if record.policy_pmf and max(memoryview(record.policy_pmf).cast("d")) != 1.0:
                yield "explored on a critical task"

    def _spent(self, name: str, now_s: float) -> Iterator[str]:
        budgets = self._settings.budgets
        budget = budgets.modules.get(name, budgets.modules.get("*"))
        if budget is None:
            return
        starts, costs, running = self._starts[name], self._costs[name], self._running[name]
        while starts and starts[0] <= now_s - MINUTE_S:
            starts.popleft()
        while costs and costs[0][0] <= now_s - HOUR_S:
            costs.popleft()
        for call in [call for call, start in running.items() if start <= now_s - budgets.concurrent_patience_s]:
            del running[call]
        if budget.calls_per_minute is not None and len(starts) >= budget.calls_per_minute:
            yield "calls per minute"
        if budget.concurrent_calls is not None and len(running) >= budget.concurrent_calls:
            yield "concurrent calls"
        if budget.cost_usd_per_hour is not None and math.fsum(c for _, c in costs) >= budget.cost_usd_per_hour + 1e-9:
            yield "cost per hour"

    def served(self, decision: Decision, now_s: float) -> None:
        """Take in an answer that left."""
        self._starts[decision.module].append(now_s)
        self._running[decision.module][decision.decision_id] = now_s

    def reported(self, decision: Decision, cost_usd: float | None, now_s: float) -> None:
        """Take in an outcome."""
        self._running[decision.module].pop(decision.decision_id, None)
        if cost_usd is not None:
            self._costs[decision.module].append((now_s, cost_usd))
