"""The safety stage: ten mixed rules on ten modules, from Python, conversion included."""

from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pilotfish._core import RuleSet

ROUNDS = 20_000
RULES = [
    ("types", 'task.type == "ocr" || task.type == "asr"'),
    ("pages", "task.features.pages <= 100.0"),
    ("beta", '!module.name.startsWith("beta-")'),
    ("gpu", '!("gpu" in task.required_capabilities) || "gpu" in module.capabilities'),
    ("cost", 'module.features["cost_class"] != "high"'),
    ("region", 'has(module.features.region) && module.features.region == "eu"'),
    ("hours", "decision.hour >= 8 && decision.hour < 20"),
    ("priority", 'task.priority < 9 || !(module.name in ["fast"])'),
    ("size", "module.max_data_size_bytes == null || task.data_size_bytes <= module.max_data_size_bytes"),
    ("load", "module.features.load < 0.9 || task.critical"),
]
TASK: dict[str, Any] = {
    "type": "ocr",
    "description": "scan the invoice",
    "features": {"pages": 12.0, "language": "de", "dpi": 300, "color": True, "embedding": [0.1] * 8},
    "required_capabilities": ("gpu",),
    "data_size_bytes": 1_000,
    "priority": 5,
    "deadline_s": 2.0,
    "attempt": 1,
    "idempotent": True,
    "critical": False,
}
DECISION = {"mode": "on", "policy_share": 0.5, "baseline": "m", "hour": 10, "weekday": 2, "unit_id": "u"}


@pytest.mark.parametrize("n_modules", [10, 100, 1000])
def test_ten_rules(n_modules: int, benchmark: BenchmarkFixture) -> None:
    modules: list[Any] = []
    for place in range(n_modules):
        features = {"cost_class": "low", "region": "eu", "load": 0.8 * place / n_modules, "vision": True}
        modules.append((f"module-{place}", features, ("gpu", "ocr"), 10_000_000))
    rules = RuleSet(RULES)
    # Every rule holds, so that none of them is spared.
    assert rules.violations(TASK, modules, DECISION) == [-1] * n_modules
    benchmark.pedantic(
        rules.violations, args=(TASK, modules, DECISION), rounds=ROUNDS * 10 // n_modules, warmup_rounds=100
    )
