"""The figures of a pass, worked by hand."""

import inspect
import json

import pytest

from pilotfish import v1
from pilotfish.client import AsyncClient, Decision
from pilotfish.simulate.figures import Figures, figures_of, percentile, running_mean
from pilotfish.simulate.hub import USUAL_DEADLINE_MS, Served
from pilotfish.simulate.table import Table, TableModule, TableRequest

CHEAP = TableModule("cheap", "7B", 0.0, 1.0)
DEAR = TableModule("dear", "51B", 0.0, 4.0)
TABLE = Table(
    (CHEAP, DEAR),
    (
        TableRequest("t", "q", (0.0, 1.0)),
        TableRequest("t", "q", (1.0, 1.0)),
        TableRequest("t", "q", (0.5, 0.0)),
    ),
)
TOKENS_IN_MILLIONS = 256 / 1e6


def served(module: TableModule, quality: float, select_ms: float, *reasons: str) -> Served:
    decision = Decision("" if reasons else "0" * 32, module.name, 0.5, "fallback" if reasons else "policy", reasons)
    return Served(decision, quality, module.cost_usd("q"), select_ms, select_ms + 1.0)


def logged(module: TableModule, baseline: TableModule) -> v1.ExplainDecisionResponse:
    ranking = [v1.RankedModule(module=m.name, probability=0.5) for m in (CHEAP, DEAR)]
    return v1.ExplainDecisionResponse(
        decision=v1.Decision(module=module.name),
        explanation=v1.Explanation(ranking=ranking, baseline_module=baseline.name),
    )


@pytest.fixture
def figures() -> Figures:
    return figures_of(
        TABLE,
        [served(DEAR, 1.0, 1.0), served(CHEAP, 1.0, 30.0), served(CHEAP, 0.5, 2.0, "circuit_open")],
        [logged(DEAR, CHEAP), logged(CHEAP, DEAR), None],
        outcomes=2,
        elapsed_s=0.5,
        seed=7,
    )


def test_qualities_are_means_over_the_pass(figures: Figures) -> None:
    assert figures.quality == pytest.approx(
        {
            "random": 3.5 / 6,
            "best_fixed": 2.0 / 3,
            "baseline": (0.0 + 1.0 + 0.5) / 3,
            "policy": 2.5 / 3,
            "policy_last_third": 0.5,
            "oracle": 2.5 / 3,
        }
    )
    assert figures.best_fixed_module == "dear"


def test_costs_are_means_over_the_pass(figures: Figures) -> None:
    in_prices = {name: cost / TOKENS_IN_MILLIONS for name, cost in figures.cost_usd.items()}

    # The oracle takes the cheaper of equals: dear, cheap, cheap.
    assert in_prices == pytest.approx(
        {"random": 2.5, "best_fixed": 4.0, "baseline": 2.0, "policy": 2.0, "policy_last_third": 1.0, "oracle": 2.0}
    )


def test_a_fallback_is_counted_with_its_reason(figures: Figures) -> None:
    assert figures.fallbacks == {"circuit_open": 1}
    assert figures.decisions == 3


def test_only_decisions_on_the_log_are_calibrated(figures: Figures) -> None:
    assert sum(figures.calibration.observed) == 2


def test_speed_is_of_the_whole_pass(figures: Figures) -> None:
    assert figures.decisions_per_second == pytest.approx(6.0)
    assert figures.latency_ms == {"p50": 2.0, "p99": 30.0}


def test_late_is_what_the_clients_default_deadline_would_cut_off(figures: Figures) -> None:
    assert figures.late == 1
    assert inspect.signature(AsyncClient).parameters["deadline_ms"].default == USUAL_DEADLINE_MS


def test_json_holds_every_figure_and_nothing_that_json_cannot(figures: Figures) -> None:
    written = json.loads(json.dumps(figures.as_json(), allow_nan=False))

    assert written.keys() >= {
        "quality",
        "calibration",
        "decisions",
        "outcomes",
        "decisions_per_second",
        "latency_ms",
        "seed",
    }
    assert written["fallbacks"] == 1
    assert written["seed"] == 7


@pytest.mark.parametrize(("share", "value"), [(0.5, 2.0), (0.51, 3.0), (0.99, 4.0), (0.0, 1.0)])
def test_percentile_is_a_value_that_occurred(share: float, value: float) -> None:
    assert percentile([4.0, 2.0, 1.0, 3.0], share) == value


def test_running_mean_counts_all_so_far() -> None:
    assert running_mean([1.0, 0.0, 0.5]) == pytest.approx([1.0, 0.5, 0.5])
