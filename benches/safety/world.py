"""A hostile world for a decider: models that answer anything, rules drawn at random, modules that come, fail and go."""

import random
from array import array
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Final

from pilotfish.request import Module, Request, Task
from pilotfish.safety.breakers import BreakerSettings
from pilotfish.safety.budgets import Budget, BudgetSettings
from pilotfish.safety.settings import SafetySettings

NAMES: Final = tuple(f"m{i}" for i in range(12))
TYPES: Final = ("scan", "ask", "pay")
TAGS: Final = ("fast", "gpu", "eu")

RULES: Final = {
    "pages": "task.features.pages <= 50",
    "no-odd": "!(module.name in ['m1', 'm3', 'm5'])",
    "tagged": "task.type != 'pay' || 'eu' in module.capabilities",
    "cheap": "!has(module.features.price) || module.features.price < 0.8",
    "priced": "module.features.price >= 0.0",
    "calm": "task.priority < 9 || 'fast' in module.capabilities",
    "retries": "task.attempt <= 3",
}


def keeps_rule(rule: str, task: Task, module: Module) -> bool:  # noqa: PLR0911  one return for each rule
    """Return what a rule means, in Python: the twin by which violations are found."""
    features, price = task.features, module.features.get("price")
    match rule:
        case "pages":
            return "pages" in features and float(features["pages"]) <= 50  # type: ignore[arg-type]
        case "no-odd":
            return module.name not in {"m1", "m3", "m5"}
        case "tagged":
            return task.type != "pay" or "eu" in module.capabilities
        case "cheap":
            return price is None or float(price) < 0.8  # type: ignore[arg-type]
        case "priced":
            return price is not None and float(price) >= 0.0  # type: ignore[arg-type]
        case "calm":
            return round(10 * float(features.get("task.priority", 0.0))) < 9 or "fast" in module.capabilities  # type: ignore[arg-type]
        case _:
            return task.attempt <= 3


def drawn_settings(rng: random.Random) -> SafetySettings:
    """Return a configuration, each part of it present in about half of all."""

    def some(names: Sequence[str], at_most: int) -> tuple[str, ...]:
        return tuple(rng.sample(names, rng.randint(0, at_most))) if rng.random() < 0.5 else ()

    budgets = {
        name: Budget(
            cost_usd_per_hour=rng.choice((None, 0.5, 5.0)),
            calls_per_minute=rng.choice((None, 5, 60)),
            concurrent_calls=rng.choice((None, 2, 20)),
        )
        for name in rng.sample((*NAMES, "*"), rng.choice((0, 0, 1, 4)))
    }
    return SafetySettings(
        denied_modules=some(NAMES, 2),
        allowed_modules=tuple(rng.sample(NAMES, 9)) if rng.random() < 0.2 else (),
        bans={kind: some(NAMES, 3) for kind in rng.sample((*TYPES, "*"), rng.randint(0, 2))},
        max_data_size_bytes={name: rng.randint(0, 100) for name in some(NAMES, 3)},
        min_deadline_s={name: rng.uniform(0, 5) for name in some(NAMES, 3)},
        critical_task_types=some(TYPES, 1),
        critical_priority=rng.choice((11, 11, 9)),
        rules={name: RULES[name] for name in some(tuple(RULES), 4)},
        breakers=BreakerSettings(
            open_s=rng.uniform(0.1, 2.0),
            max_open_s=rng.choice((2.0, 30.0)),
            min_calls=rng.choice((3, 10)),
            window_s=10.0,
            probe_share=rng.choice((0.2, 0.8)),
            probe_patience_s=rng.choice((0.5, 5.0)),
        ),
        budgets=BudgetSettings(modules=budgets),
        risk_cap=rng.choice((None, None, 0.5, 1.0)),
        safe_default=rng.choice(("", rng.choice(NAMES))),
    )


def drawn_request(rng: random.Random) -> Request:
    """Return a request over some of the modules."""
    features: dict[str, Any] = {"task.priority": rng.randint(0, 10) / 10.0}
    if rng.random() < 0.95:
        features["pages"] = rng.uniform(0, 60)
    modules = tuple(
        Module(
            name,
            {"price": rng.random()} if rng.random() < 0.7 else {},
            tuple(tag for tag in TAGS if rng.random() < 0.8),
            rng.choice((None, None, 50)),
            ("pages",) if rng.random() < 0.1 else (),
        )
        for name in rng.sample(NAMES, rng.randint(1, 12))
    )
    names = [module.name for module in modules]
    return Request(
        Task(
            rng.choice(TYPES),
            features=features,
            required_capabilities=tuple(tag for tag in TAGS if rng.random() < 0.05),
            data_size_bytes=rng.choice((None, None, rng.randint(0, 100))),
            attempt=rng.choice((1, 1, 1, 2, 5)),
            non_idempotent=rng.random() < 0.1,
            critical=rng.random() < 0.1,
            deadline_s=rng.choice((None, None, rng.uniform(0, 5))),
        ),
        modules,
        baseline_module=rng.choice(("", rng.choice(names))),
        allowed_modules=tuple(rng.sample(NAMES, 8)) if rng.random() < 0.1 else (),
        denied_modules=tuple(rng.sample(names, rng.randint(0, len(names)))) if rng.random() < 0.2 else (),
        unit_id=f"{rng.getrandbits(32):x}" if rng.random() < 0.5 else "",
    )


class HostileModel:
    """Answers with sound and unsound pmfs, raises, and prefers by its mood whatever is forbidden elsewhere.

    Args:
        rng: Its moods.
        version: The name that it goes by.
        evil: Share of answers that are unsound.
    """

    def __init__(self, rng: random.Random, version: str, evil: float) -> None:
        self._rng = rng
        self.version = version
        self._evil = evil

    def decide(
        self, seed: bytes, task: object, text: str, modules: Sequence[Any], weights: Sequence[float]
    ) -> SimpleNamespace:
        """Return something."""
        del task, text, weights
        rng, n = self._rng, len(modules)
        scores = [rng.uniform(-2, 2) for _ in modules]
        uncertainties = [rng.random() for _ in modules]
        masses = [rng.random() ** 8 for _ in modules]
        total = sum(masses)
        pmf = [mass / total for mass in masses]
        drawn = random.Random(seed).choices(range(n), pmf)[0]
        if rng.random() < self._evil:
            match rng.randrange(8):
                case 0:
                    raise RuntimeError("out of mood")
                case 1:
                    pmf[rng.randrange(n)] = float("nan")
                case 2:
                    pmf[rng.randrange(n)] += 0.1
                case 3:
                    pmf = [-mass for mass in pmf]
                case 4:
                    drawn = rng.choice((-1, n, n + 5))
                case 5:
                    pmf = pmf[:-1]
                case 6:
                    pmf = [float("inf"), *pmf[1:]]
                case _:
                    pmf = [0.0] * n
        columns = [array("d", column).tobytes() for column in (pmf, scores, uncertainties)]
        return SimpleNamespace(
            index=drawn, pmf=columns[0], scores=columns[1], uncertainties=columns[2], learned_count=7
        )
