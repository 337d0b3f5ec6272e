"""What the demo found out, as numbers."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from pilotfish.simulate.calibration import Calibration, calibrate
from pilotfish.simulate.hub import USUAL_DEADLINE_MS, Served
from pilotfish.simulate.table import Table, TableModule
from pilotfish.v1 import ExplainDecisionResponse


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one pass; qualities and costs are means per request."""

    quality: dict[str, float]
    cost_usd: dict[str, float]
    best_fixed_module: str
    calibration: Calibration
    decisions: int
    outcomes: int
    fallbacks: dict[str, int]
    """Decisions that fell back, by reason; they count in all other figures too."""
    decisions_per_second: float
    latency_ms: dict[str, float]
    late: int
    """Decisions that took longer than the client's default deadline."""
    seed: int

    def as_json(self) -> dict[str, Any]:
        """Return the figures as `--json` writes them."""
        return {
            "quality": self.quality,
            "cost_usd": self.cost_usd,
            "calibration": {
                "bin_edges": list(self.calibration.edges),
                "expected": list(self.calibration.expected),
                "observed": list(self.calibration.observed),
                "p_value": self.calibration.p_value,
            },
            "decisions": self.decisions,
            "outcomes": self.outcomes,
            "late": self.late,
            "fallbacks": sum(self.fallbacks.values()),
            "decisions_per_second": self.decisions_per_second,
            "latency_ms": self.latency_ms,
            "seed": self.seed,
        }


def figures_of(
    table: Table,
    served: Sequence[Served],
    logged: Sequence[ExplainDecisionResponse | None],
    *,
    outcomes: int,
    elapsed_s: float,
    seed: int,
) -> Figures:
    """Compare a pass with the table's yardsticks.

    Args:
        table: As it was sent: its requests in the order of `served`.
        served: Every request as the hub lived it.
        logged: For each the sidecar's log record; None if the decision was the client's own fallback.
        outcomes: How many were acknowledged.
        elapsed_s: Wall-clock time of the pass.
        seed: What the orders were drawn with.
    """
    best_fixed, best_fixed_quality = table.best_fixed()
    index_of = {module.name: i for i, module in enumerate(table.modules)}
    # Without a log record the client's local default served, and that is the baseline of the moment.
    baseline = [
        index_of[s.decision.module if record is None else record.explanation.baseline_module]
        for s, record in zip(served, logged, strict=True)
    ]
    last_third = served[len(served) - len(served) // 3 :] or served

    def mean_cost(choose: Callable[[int], TableModule]) -> float:
        return fmean(choose(i).cost_usd(request.query) for i, request in enumerate(table.requests))

    modules = table.modules
    return Figures(
        quality={
            "random": table.random_quality(),
            "best_fixed": best_fixed_quality,
            "baseline": fmean(r.qualities[i] for r, i in zip(table.requests, baseline, strict=True)),
            "policy": fmean(s.quality for s in served),
            "policy_last_third": fmean(s.quality for s in last_third),
            "oracle": table.oracle_quality(),
        },
        cost_usd={
            "random": fmean(mean_cost(lambda _, module=module: module) for module in modules),  # type: ignore[misc]
            "best_fixed": mean_cost(lambda _: best_fixed),
            "baseline": mean_cost(lambda i: modules[baseline[i]]),
            "policy": fmean(s.cost_usd for s in served),
            "policy_last_third": fmean(s.cost_usd for s in last_third),
            "oracle": mean_cost(lambda i: _cheapest_best(table, i)),
        },
        best_fixed_module=best_fixed.name,
        calibration=calibrate(
            ({row.module: row.probability for row in record.explanation.ranking}, record.decision.module)
            for record in logged
            if record is not None
        ),
        decisions=len(served),
        outcomes=outcomes,
        fallbacks=dict(Counter(_why(s) for s in served if s.decision.is_fallback)),
        decisions_per_second=len(served) / elapsed_s,
        latency_ms={f"p{q}": percentile([s.select_ms for s in served], q / 100.0) for q in (50, 99)},
        late=sum(s.select_ms > USUAL_DEADLINE_MS for s in served),
        seed=seed,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def running_mean(values: Sequence[float]) -> list[float]:
    """Return the mean of the first value, of the first two, and so on."""
    total, means = 0.0, []
    for count, value in enumerate(values, start=1):
        total += value
        means.append(total / count)
    return means


def _why(served: Served) -> str:
    return ", ".join(served.decision.reasons) or "no reason given"


def _cheapest_best(table: Table, number: int) -> TableModule:
    request = table.requests[number]
    best = max(request.qualities)
    equals = [m for m, quality in zip(table.modules, request.qualities, strict=True) if quality == best]
    return min(equals, key=lambda module: module.cost_usd(request.query))
