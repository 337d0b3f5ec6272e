"""The rollout's metrics show what a known sequence of calls has led to, and their labels are bounded."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotfish.codes import Mode, Signal
from pilotfish.engine.deciding import Decision
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.experience.log import now_us
from pilotfish.experiments.conductor import Conductor
from pilotfish.experiments.settings import RolloutSettings
from pilotfish.experiments.verdict import Judgement
from pilotfish.request import Module, Outcome, Request, Task
from pilotfish.rewards import RewardFunction
from pilotfish.safety.breakers import BreakerSettings, State
from pilotfish.safety.budgets import Budget, BudgetSettings
from pilotfish.safety.settings import SafetySettings
from pilotfish.server.rollout_telemetry import MODULES_MAX, rollout_metrics
from pilotfish.training.registry import Registry

MODULES = (Module("good"), Module("bad"))
MARGINS = {"reward": 0.05, "completion": 0.1}
SAFETY = SafetySettings(
    breakers=BreakerSettings(min_calls=5),
    budgets=BudgetSettings(modules={"good": Budget(calls_per_minute=40), "none": Budget(concurrent_calls=0)}),
)


class Scraped:
    """An engine under its conductor, and its metrics as samples."""

    def __init__(self, directory: Path) -> None:
        self.engine = Engine(
            directory, EngineSettings(mode=Mode.ROLLOUT, rollout_share=0.5, growth="off", safety=SAFETY)
        )
        self.registry = Registry(directory / "models")
        plan = RolloutSettings(guardrails=MARGINS, settle_s=0.0, outcome_window_s=0.0)
        self.conductor = Conductor(self.engine, plan, RewardFunction(), self.registry)

    def serve(self, count: int) -> list[Decision]:
        """Decide for so many units, and report at once that whatever was served has succeeded."""
        decisions = []
        for unit in range(count):
            request = Request(Task("ocr"), MODULES, baseline_module="good", unit_id=f"u{unit}")
            decisions.append(self.engine.decide(request))
            self.engine.record_outcome(Outcome({Signal.COMPLETION: 1.0}, decisions[-1].decision_id))
        return decisions

    def fail(self, module: str) -> None:
        """Let as many calls of a module fail as trip its breaker."""
        for _ in range(5):
            self.engine.safeguards.breakers.record(module, failed=True, latency_ms=None, now_s=time.monotonic())

    def shown(self) -> dict[str, float]:
        """Return value by name and labels."""
        samples: dict[str, float] = {}
        for family in rollout_metrics(self.conductor, self.registry):
            for sample in family.samples:
                labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
                key = f"{sample.name.removeprefix('pilotfish_')}{{{labels}}}".removesuffix("{}")
                assert key not in samples
                samples[key] = sample.value
        return samples


@pytest.fixture
def scraped(tmp_path: Path) -> Iterator[Scraped]:
    opened = Scraped(tmp_path)
    yield opened
    opened.engine.close()


def test_what_is_in_force_is_shown_as_it_changes(scraped: Scraped) -> None:
    before = scraped.shown()
    assert before["exposure_info{control=baseline,policy=live}"] == 1.0
    assert before["exposure_share_ratio"] == 0.5
    assert (before["rollout_held"], before["learning_paused"], before["model_versions_kept"]) == (0.0, 0.0, 0.0)

    scraped.conductor.hold("ann", "", hold=True)
    assert (scraped.shown()["rollout_held"], scraped.shown()["learning_paused"]) == (1.0, 0.0)
    scraped.conductor.pause_learning("ann", "", pause=True)
    scraped.conductor.keep("", "ann")
    scraped.conductor.promote("ann", "", share=0.75, force=True)

    after = scraped.shown()
    assert after["exposure_share_ratio"] == 0.75
    assert after["exposure_changes"] == before["exposure_changes"] + 3
    assert after["learning_paused"] == 1.0
    assert after["model_versions_kept"] >= 1.0
    scraped.conductor.rollback("ann", "")
    assert (scraped.shown()["exposure_share_ratio"], scraped.shown()["rollout_held"]) == (0.0, 1.0)


def test_a_stage_shows_what_both_sides_got(scraped: Scraped) -> None:
    decisions = scraped.serve(40)
    by_policy = sum(decision.record.in_policy_share for decision in decisions)

    shown = scraped.shown()

    assert shown["stage_decisions"] == 40.0
    assert shown["stage_faults"] == 0.0
    for metric, margin in MARGINS.items():
        assert shown[f"stage_outcomes_total{{metric={metric},side=policy}}"] == by_policy
        assert shown[f"stage_outcomes_total{{metric={metric},side=control}}"] == 40 - by_policy
        assert shown[f"guardrail_margin{{metric={metric}}}"] == margin
        lower, upper = (shown[f"guardrail_{end}_bound{{metric={metric}}}"] for end in ("lower", "upper"))
        assert lower < shown[f"guardrail_difference{{metric={metric}}}"] < upper
    assert shown["guardrail_policy_mean{metric=completion}"] == 1.0
    assert shown["guardrail_control_mean{metric=completion}"] == 1.0
    assert {name: value for name, value in shown.items() if name.startswith("rollout_verdict")} == {
        f"rollout_verdict{{verdict={judgement}}}": float(judgement is Judgement.HOLD) for judgement in Judgement
    }


def test_before_the_first_outcome_no_mean_is_shown_and_where_nobody_is_compared_no_verdict(scraped: Scraped) -> None:
    assert not [name for name in scraped.shown() if "_mean{" in name]

    scraped.conductor.rollback("ann", "")

    shown = scraped.shown()
    assert not [name for name in shown if name.startswith(("guardrail", "stage_outcomes"))]
    assert all(shown[f"rollout_verdict{{verdict={judgement}}}"] == 0.0 for judgement in Judgement)


def test_breakers_are_counted_and_the_worst_have_names_up_to_a_limit(scraped: Scraped) -> None:
    scraped.serve(1)
    for number in range(MODULES_MAX + 20):
        scraped.fail(f"m{number:03}")

    shown = scraped.shown()

    assert shown["breakers{state=open}"] == MODULES_MAX + 20
    assert shown["breakers{state=closed}"] == 1.0
    assert {name for name in shown if name.startswith("breakers")} == {
        f"breakers{{state={state.name.lower()}}}" for state in State
    }
    named = {name: value for name, value in shown.items() if name.startswith("breaker_failure_ratio")}
    assert named == {f"breaker_failure_ratio{{module=m{number:03}}}": 1.0 for number in range(MODULES_MAX)}


def test_budgets_show_their_used_share(scraped: Scraped) -> None:
    good = sum(decision.module == "good" for decision in scraped.serve(20))

    shown = scraped.shown()

    assert {name: value for name, value in shown.items() if name.startswith("budget")} == {
        "budget_used_ratio{module=good,rule=calls_per_minute}": good / 40,
        "budget_used_ratio{module=none,rule=concurrent_calls}": 1.0,
    }


def test_the_live_model_s_age_is_told_in_seconds(scraped: Scraped) -> None:
    born_us = scraped.engine.live_since_us
    least_s = (now_us() - born_us) / 1e6

    assert least_s <= scraped.shown()["model_age_seconds"] <= (now_us() - born_us) / 1e6
