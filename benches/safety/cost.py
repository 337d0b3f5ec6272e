"""What the safety stages cost a decision: legal set, limits of the moment and guard, beside the whole decision.

"Before" is the legal set of the releases that had no `safety/` yet: four closures over the request, and no guard of
rules, breakers and budgets. Each contender is timed in blocks that take turns, and the figure is the median over blocks
of the mean of a block: load that comes and goes hits all alike and moves no median.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from benches.learning.figure import Figure
from pilotfish.codes import Mode, Reason
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.experience.log import now_us
from pilotfish.request import Module, Request, Task
from pilotfish.safety.breakers import BreakerSettings
from pilotfish.safety.budgets import Budget, BudgetSettings
from pilotfish.safety.guard import fault_of_answer
from pilotfish.safety.legal_set import Asked
from pilotfish.safety.live import limit
from pilotfish.safety.safeguards import Safeguards
from pilotfish.safety.settings import SafetySettings

CAMPAIGN: Final = "cost"
BLOCKS: Final = 200
CALLS: Final = 200
"""Calls in a block, some 10 ms."""
MOST_US: Final = 40.0

RULES: Final = {
    "types": 'task.type == "ocr" || task.type == "asr"',
    "pages": "task.features.pages <= 100.0",
    "beta": '!module.name.startsWith("beta-")',
    "gpu": '!("gpu" in task.required_capabilities) || "gpu" in module.capabilities',
    "cost": 'module.features["cost_class"] != "high"',
    "region": 'has(module.features.region) && module.features.region == "eu"',
    "hours": "decision.hour >= 0 && decision.hour < 24",
    "priority": 'task.priority < 9 || !(module.name in ["fast"])',
    "size": "module.max_data_size_bytes == null || task.data_size_bytes <= module.max_data_size_bytes",
    "load": "module.features.load < 0.9 || task.critical",
}
"""Every one holds, so that none is spared."""

BUDGET: Final = Budget(calls_per_minute=1_000_000, concurrent_calls=1_000_000)


def request(n_modules: int = 10) -> Request:
    """Return a request of a usual size, which uses every part of a task."""
    modules = tuple(
        Module(
            f"module-{place}",
            {"cost_class": "low", "region": "eu", "load": 0.8 * place / n_modules, "vision": True},
            ("gpu", "ocr"),
            10_000_000,
        )
        for place in range(n_modules)
    )
    features: dict[str, Any] = {"pages": 12.0, "language": "de", "dpi": 300.0, "color": True, "task.priority": 0.5}
    task = Task(
        "ocr",
        "scan the invoice",
        features,
        required_capabilities=("gpu",),
        data_size_bytes=1_000,
        deadline_s=2.0,
    )
    return Request(task, modules, baseline_module="module-3", denied_modules=("module-9",), unit_id="unit")


def settings_of(*, rules: bool, budgets: bool) -> SafetySettings:
    """Return what is configured."""
    return SafetySettings(
        rules=RULES if rules else {},
        bans={"asr": ("module-1",)},
        breakers=BreakerSettings(),
        budgets=BudgetSettings(modules={"*": BUDGET} if budgets else {}),
    )


def stages(safety: SafetySettings) -> Callable[[Request], int]:
    """Return what the way of a decision calls of `safety`, in its order; the function gives the served index."""
    safeguards = Safeguards(safety)
    legality, budgets, breakers = safeguards.legality, safeguards.budgets, safeguards.breakers

    def run(asked_for: Request) -> int:
        asked = Asked(Mode.ON, now_us())
        is_critical = legality.is_critical(asked_for)
        permitted, removed = legality.split(asked_for, asked)
        live = limit(asked_for, permitted, budgets, breakers, 1.0, critical=is_critical)
        served = live.legal[-1]
        if fault := fault_of_answer(asked_for, served, 0.5, removed + live.removed, legality, asked):
            raise AssertionError(fault)
        return served

    return run


def before(asked_for: Request) -> int:
    """Do what the legal set did before there was a `safety/`: the last release's four closures."""
    denied, allowed = frozenset(asked_for.denied_modules), frozenset(asked_for.allowed_modules)
    required, size = asked_for.task.required_capabilities, asked_for.task.data_size_bytes
    rules: tuple[tuple[Reason, Callable[[Module], bool] | None], ...] = (
        (Reason.DENIED, (lambda module: module.name in denied) if denied else None),
        (Reason.NOT_ALLOWED, (lambda module: module.name not in allowed) if allowed else None),
        (
            Reason.MISSING_CAPABILITY,
            (lambda module: not all(name in module.capabilities for name in required)) if required else None,
        ),
        (
            Reason.DATA_TOO_LARGE,
            (lambda module: module.max_data_size_bytes is not None and size > module.max_data_size_bytes)
            if size is not None
            else None,
        ),
    )
    tests = [(reason, test) for reason, test in rules if test is not None]
    legal: list[int] = []
    removed: list[tuple[int, int]] = []
    for index, module in enumerate(asked_for.candidates):
        reason = next((reason for reason, breaks in tests if breaks(module)), None)
        if reason is None:
            legal.append(index)
        else:
            removed.append((index, int(reason)))
    return legal[-1]


def parts(scale: float) -> list[int]:
    """Return the number of blocks, as one part: two at a time would measure each other."""
    return [max(3, round(BLOCKS * scale))]


def campaign(blocks: int) -> dict[str, Any]:
    """Time every contender in turns.

    Returns:
        Medians over the blocks in µs by contender, the least block of each, and the served index, which must agree.
    """
    asked_for = request()
    contenders: dict[str, Callable[[Request], Any]] = {
        "before": before,
        "no rules": stages(settings_of(rules=False, budgets=False)),
        "10 rules": stages(settings_of(rules=True, budgets=False)),
        "10 rules and budgets": stages(settings_of(rules=True, budgets=True)),
    }
    served = {name: run(asked_for) for name, run in contenders.items()}
    with tempfile.TemporaryDirectory() as directory:
        engine = Engine(
            Path(directory),
            EngineSettings(mode=Mode.ON, growth="off", safety=settings_of(rules=True, budgets=False)),
        )
        contenders["whole decision"] = engine.decide
        try:
            times = _timed(contenders, asked_for, blocks)
        finally:
            engine.close()
    return {
        "served": served,
        "median_us": {name: statistics.median(each) for name, each in times.items()},
        "least_us": {name: min(each) for name, each in times.items()},
    }


def _timed(contenders: dict[str, Callable[[Request], Any]], asked_for: Request, blocks: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for block in range(blocks + 1):
        for name, run in contenders.items():
            start_ns = time.perf_counter_ns()
            for _ in range(CALLS):
                run(asked_for)
            if block:  # the first warms up
                times[name].append((time.perf_counter_ns() - start_ns) / 1000.0 / CALLS)
    return times


def figures(results: Sequence[dict[str, Any]]) -> list[Figure]:
    """Return the rows of the table."""
    (result,) = results
    median, least, served = result["median_us"], result["least_us"], result["served"]
    rows = [
        Figure(CAMPAIGN, f"safety stages, {name}: µs", median[name], detail=f"quietest block {least[name]:.1f}")
        for name in median
    ]
    rows[2] = rows[2]._replace(relation="<=", limit=MOST_US)
    rows.append(Figure(CAMPAIGN, "answers that differ", len(set(served.values())) - 1, None, "<=", 0.0))
    share = median["10 rules"] / median["whole decision"]
    return [*rows, Figure(CAMPAIGN, "share of a whole decision, 10 rules", share)]
