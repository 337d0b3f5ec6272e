"""Prometheus metrics of the rollout and of what holds just now. Modules are labels only where one is troubled."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from pilotfish.experience.log import now_us
from pilotfish.experiments.conductor import Conductor
from pilotfish.experiments.verdict import Judgement
from pilotfish.safety.breakers import State
from pilotfish.training.registry import Registry

MODULES_MAX: Final = 100
"""Modules that get a label of their own, the worst first."""


def rollout_metrics(conductor: Conductor, registry: Registry) -> Iterator[Metric]:
    """Yield what is in force, what its stage has shown, breakers, budgets and kept versions."""
    exposure, verdict, evidence = conductor.verdict()
    yield InfoMetricFamily(
        "pilotfish_exposure",
        "What serves the policy's units, and what the others get.",
        {"policy": exposure.policy or "live", "control": exposure.control or "baseline"},
    )
    judged = GaugeMetricFamily("pilotfish_rollout_verdict", "1 for the stage's verdict.", labels=["verdict"])
    for judgement in Judgement:
        judged.add_metric([str(judgement)], float(bool(verdict.rows) and verdict.judgement is judgement))
    yield judged
    for name, help_text, value in (
        ("exposure_share_ratio", "Share of units that the policy serves now.", exposure.share),
        ("exposure_changes", "Changes of what is in force.", exposure.number),
        ("rollout_held", "1 while nothing is promoted automatically.", exposure.held),
        ("learning_paused", "1 while outcomes are kept and not learned.", exposure.paused),
        ("stage_decisions", "Decisions of the stage.", evidence.n_decisions),
        (
            "stage_faults",
            "What is wrong with the experiment itself; no stage passes meanwhile.",
            len(evidence.faults()),
        ),
        ("model_versions_kept", "Kept model versions.", len(registry)),
    ):
        yield GaugeMetricFamily(f"pilotfish_{name}", help_text, float(value))
    columns = {
        "difference": "Policy − control in utility, propensity-weighted.",
        "lower_bound": "Lower end of the difference's confidence sequence.",
        "upper_bound": "Upper end of the difference's confidence sequence.",
        "margin": "Loss of utility that is tolerated.",
        "policy_mean": "Mean utility of the policy's units.",
        "control_mean": "Mean utility of the control's units.",
    }
    for name, help_text in columns.items():
        family = GaugeMetricFamily(f"pilotfish_guardrail_{name}", help_text, labels=["metric"])
        for row in verdict.rows:
            shown = {
                "difference": row.estimate,
                "lower_bound": row.lower,
                "upper_bound": row.upper,
                "margin": row.margin,
                "policy_mean": row.policy_mean,
                "control_mean": row.control_mean,
            }
            if shown[name] is not None:
                family.add_metric([row.metric], float(shown[name] or 0.0))
        yield family
    outcomes = CounterMetricFamily("pilotfish_stage_outcomes", "Outcomes of the stage.", labels=["metric", "side"])
    for row in verdict.rows:
        outcomes.add_metric([row.metric, "policy"], row.policy_count)
        outcomes.add_metric([row.metric, "control"], row.control_count)
    yield outcomes
    yield from _safeguards(conductor)


def _safeguards(conductor: Conductor) -> Iterator[Metric]:
    safeguards, now_s = conductor.engine.safeguards, time.monotonic()
    views = safeguards.breakers.snapshot(now_s)
    counts = Counter(view.state for view in views.values())
    states = GaugeMetricFamily("pilotfish_breakers", "Breakers by state.", labels=["state"])
    for state in State:
        states.add_metric([state.name.lower()], counts[state])
    yield states
    failing = GaugeMetricFamily(
        "pilotfish_breaker_failure_ratio", "Failures in the window of a breaker that is not closed.", labels=["module"]
    )
    worst = sorted(views.items(), key=lambda entry: (entry[1].state is State.CLOSED, -entry[1].failure_rate, entry[0]))
    for module, view in worst[:MODULES_MAX]:
        if view.state is not State.CLOSED:
            failing.add_metric([module], view.failure_rate)
    yield failing
    used = GaugeMetricFamily("pilotfish_budget_used_ratio", "Used share of a budget.", labels=["module", "rule"])
    if safeguards.budgets.is_active:
        for module, budget in sorted(safeguards.budgets.snapshot(now_s).items())[:MODULES_MAX]:
            for rule, use in zip(budget._fields, budget, strict=True):
                if use is not None:
                    used.add_metric([module, rule], use.used / use.limit if use.limit else 1.0)
    yield used
    born_us = conductor.engine.live_since_us
    yield GaugeMetricFamily(
        "pilotfish_model_age_seconds", "Time since the live model was born.", max(0.0, (now_us() - born_us) / 1e6)
    )
