"""The parts of `benches.latency` that measure nothing: quantiles, families, verdicts, tables, the NumPy references."""

from array import array

import numpy as np
import pytest

from benches.latency.command import parse
from benches.latency.contender import OPERATIONS, Contender, Work
from benches.latency.families import FAMILIES, FLOOR, MEANS_FLOOR, is_memory_bound, our_name, working_set_bytes
from benches.latency.numpy_linear import trained
from benches.latency.ours import contenders as our_contenders
from benches.latency.table import cell, conclusion, tables
from benches.latency.timing import Timing, quantile, summary, time_contenders
from benches.latency.verdict import Figure, speedups, verdicts
from benches.latency.world import World, make_world

L2_BYTES = 1 << 20
DEFAULT = our_name("information_ratio")


def figure(contender: str, family: str, p50_us: float | None, size: tuple[int, int] = (3, 20)) -> Figure:
    return Figure(*size, contender, family, "pmf", "decide", p50_us, None, 10, 1, None if p50_us else 2e5)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([7.0], 0.5, 7.0),
        ([1.0, 2.0], 0.5, 1.0),
        ([1.0, 2.0, 3.0], 0.5, 2.0),
        ([float(i) for i in range(1, 101)], 0.99, 99.0),
    ],
)
def test_a_quantile_is_the_smallest_value_that_the_share_does_not_exceed(
    values: list[float], share: float, expected: float
) -> None:
    assert quantile(values, share) == expected


def test_figures_are_medians_over_blocks_so_that_one_disturbed_block_does_not_count() -> None:
    quiet = array("q", [1_000] * 400)
    disturbed = array("q", [9_000] * 400)

    assert summary([quiet, disturbed, quiet]) == Timing(1.0, 1.0, 1_200, 3)


def test_a_p99_needs_a_thousand_calls_and_a_hundred_in_each_block() -> None:
    assert summary([array("q", [1_000] * 999)]).p99_us is None
    assert summary([array("q", [1_000] * 99)] * 20).p99_us is None
    assert summary([array("q", [1_000] * 100)] * 10).p99_us == 1.0


def test_every_operation_is_timed_in_its_blocks_with_its_own_arguments() -> None:
    decided: list[int] = []
    learned: list[int] = []
    contender = Contender("x", "LinTS", "pmf", Work(decided.append, [(1,), (2,)]), Work(learned.append, [(3,)]))

    timings = time_contenders([contender], n_blocks=3, budget_ms=1e6, block_ms=0.0)

    assert set(decided) == {1, 2}
    assert set(learned) == {3}
    assert {key: (timing.n_calls, timing.n_blocks) for key, timing in timings.items()} == {
        ("x", operation): (3, 3) for operation in OPERATIONS
    }


def test_what_is_slower_than_the_budget_is_skipped_and_says_how_slow_it_was() -> None:
    def slow() -> int:
        return sum(range(20_000))

    contender = Contender("slow", "LinTS", "pmf", Work(slow, [()]), Work(slow, [()]))

    timing = time_contenders([contender], n_blocks=2, budget_ms=1e-6)["slow", "decide"]

    assert timing.p50_us is None
    assert timing.skipped_us is not None
    assert timing.skipped_us > 0.001


def test_memory_is_the_bound_where_half_the_matrices_exceed_the_cache() -> None:
    assert working_set_bytes(200, 64) == 200 * 64 * 64 * 4
    assert not is_memory_bound(50, 64, L2_BYTES)
    assert is_memory_bound(200, 64, L2_BYTES)


def test_a_peer_is_compared_with_our_explorer_of_its_family() -> None:
    figures = [
        figure(DEFAULT, "LinTS", 3.0),
        figure(our_name("soft_ucb"), "LinUCB", 2.0),
        figure(our_name("inverse_gap"), "SquareCB", 4.0),
        figure("peer UCB", "LinUCB", 10.0),
        figure("peer SquareCB", "SquareCB", 10.0),
        figure("skipped", "LinTS", None),
    ]

    assert speedups(figures) == {(3, 20, "decide", "peer UCB"): 5.0, (3, 20, "decide", "peer SquareCB"): 2.5}


def test_in_cache_the_rule_is_the_speed_up_over_each_peer_and_the_floor_is_none() -> None:
    figures = [
        figure(DEFAULT, "LinTS", 2.0),
        figure("good", "LinTS", 5.0),
        figure("NumPy LinTS", "LinTS", 4.9),
        figure(FLOOR, "LinUCB", 0.5),
    ]

    judged = verdicts(figures, L2_BYTES)

    assert [(v.rule, v.other, v.value, v.is_met, v.floors) for v in judged] == [
        ("× faster (library)", "good", 2.5, True, 10.0),
        ("× faster (NumPy)", "NumPy LinTS", 2.45, False, 9.8),
    ]


def test_beyond_the_cache_the_rule_is_the_distance_to_the_floor() -> None:
    size = (200, 128)
    figures = [
        figure(DEFAULT, "LinTS", 301.0, size),
        figure("faster than ours", "LinTS", 100.0, size),
        figure(FLOOR, "LinUCB", 200.0, size),
    ]

    judged = verdicts(figures, L2_BYTES)

    assert [(v.rule, v.ours, v.other, v.value, v.is_met) for v in judged] == [
        ("× the floor", DEFAULT, FLOOR, 1.505, False)
    ]


def test_means_fit_where_matrices_do_not_so_that_decisions_by_means_are_held_to_the_speed_up() -> None:
    size = (200, 128)
    ours, peer = figure(our_name("inverse_gap"), "SquareCB", 20.0, size), figure("peer", "SquareCB", 60.0, size)
    floor, means_floor = figure(FLOOR, "LinUCB", 10.0, size), figure(MEANS_FLOOR, "ε-greedy", 4.0, size)
    figures = [f._replace(operation=o) for f in (ours, peer, floor, means_floor) for o in OPERATIONS]

    judged = verdicts(figures, L2_BYTES)

    assert working_set_bytes(*size, MEANS_FLOOR) == 200 * 128 * 8
    assert [(v.rule, v.operation, v.other, v.value, v.floors) for v in judged] == [
        ("× the floor", "learn", FLOOR, 2.0, None),
        ("× faster (library)", "decide", "peer", 3.0, 15.0),
    ]


def test_the_size_with_limits_in_microseconds_is_held_to_them() -> None:
    figures = [figure(DEFAULT, "LinTS", 2.6, (10, 20))._replace(p99_us=6.0)]

    judged = verdicts(figures, L2_BYTES)

    assert [(v.rule, v.value, v.limit, v.is_met) for v in judged] == [
        ("p50 in µs", 2.6, 2.5, False),
        ("p99 in µs", 6.0, 6.0, True),
    ]


def test_a_cell_shows_p50_p99_and_ratio_or_why_there_are_none() -> None:
    measured = figure("x", "LinTS", 2.0)

    assert cell(measured, 12.34) == "2.00 / – · 12.3 ×"
    assert cell(measured._replace(p99_us=1234.0), None) == "2.00 / 1,234"
    assert cell(figure("x", "LinTS", None), None) == "skipped (200 ms)"
    assert cell(None, None) == ""


def test_the_tables_hold_each_contender_in_its_family_and_mark_what_is_beyond_the_cache() -> None:
    figures = [
        figure(DEFAULT, "LinTS", 2.0),
        figure("peer", "LinTS", 5.0),
        figure(DEFAULT, "LinTS", 200.0, (200, 128)),
        figure(FLOOR, "LinUCB", 100.0, (200, 128)),
    ]

    lines = list(tables(figures, L2_BYTES))

    assert "|  | 3 × 20 | 200 × 128* |" in lines
    assert lines.count(f"| {DEFAULT} | 2.00 / – | 200 / – |") == 1
    assert "| peer | 5.00 / – · 2.50 × |  |" in lines
    assert f"| decide, {DEFAULT} |  | 2.00 |" in lines
    assert all(f"| **{name}**: {family.what} | | |" in lines for name, family in FAMILIES.items())


def test_the_conclusion_counts_and_names_what_is_not_met() -> None:
    figures = [figure(DEFAULT, "LinTS", 2.0), figure("good", "LinTS", 6.0), figure("near", "LinTS", 3.0)]

    lines = list(conclusion(verdicts(figures, L2_BYTES)))

    assert "- × faster (library): 1 of 2 met" in lines
    assert [line for line in lines if "not met" in line] == [
        f"  - not met: decide 3 × 20, {DEFAULT} against near: 1.50 × faster (library), must be 2.5"
    ]


def test_the_conclusion_says_where_the_floor_itself_would_miss() -> None:
    figures = [figure(DEFAULT, "LinTS", 2.0), figure("near", "LinTS", 2.0), figure(FLOOR, "LinUCB", 1.0)]

    lines = list(conclusion(verdicts(figures, L2_BYTES)))

    assert "- × faster (library): 0 of 1 met; the floor itself would miss 1 of the others" in lines
    assert lines[-1].endswith("1.00 × faster (library), must be 2.5 (floor 2.00)")


def closed_form(world: World, module: int) -> tuple[np.ndarray, np.ndarray]:
    rows = [(world.contexts[e.context], e.utility) for e in world.history if e.module == module]
    x = np.array([context for context, _ in rows])
    covariance = np.linalg.inv(np.eye(world.n_features) + x.T @ x)
    return covariance, covariance @ x.T @ np.array([utility for _, utility in rows])


def test_the_numpy_reference_is_ridge_regression_per_module() -> None:
    world = make_world(3, 5)
    policy = trained(world)
    x = np.array(world.contexts[0])

    means, deviations = policy.moments(x)

    for module in range(3):
        covariance, theta = closed_form(world, module)
        assert means[module] == pytest.approx(x @ theta, rel=1e-9)
        assert deviations[module] == pytest.approx(np.sqrt(x @ covariance @ x), rel=1e-9)
    assert policy.upper_bound(x) == int(np.argmax(means + deviations))


def test_the_numpy_reference_draws_each_module_by_its_deviation() -> None:
    world = make_world(2, 3)
    policy = trained(world)
    x = np.array(world.contexts[0])
    means, deviations = (part.copy() for part in policy.moments(x))

    share = np.mean([policy.thompson(x) for _ in range(4_000)])

    draws = np.random.default_rng(2).normal(means, deviations, (100_000, 2))
    # Standard deviation of the share: at most 0.5 / √4,000 = 0.008; four of them.
    assert share == pytest.approx(np.mean(draws.argmax(axis=1)), abs=0.032)


def test_a_world_is_seeded_and_teaches_every_module() -> None:
    assert make_world(4, 3) == make_world(4, 3)
    assert make_world(4, 3, seed=2) != make_world(4, 3)
    world = make_world(200, 3)
    assert {event.module for event in world.history} == set(range(200)) == {e.module for e in world.to_learn}
    assert all(context[0] == 1.0 for context in world.contexts)


def test_our_contenders_are_the_explorers_of_the_families_and_run() -> None:
    contenders = our_contenders(make_world(3, 4))

    assert {contender.name for contender in contenders} == {our_name(family.ours) for family in FAMILIES.values()}
    for contender in contenders:
        assert contender.family in FAMILIES
        contender.learn.function(*contender.learn.arguments[0])
        assert 0 <= contender.decide.function(*contender.decide.arguments[0]).index < 3


def test_a_size_below_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--k", "0"])

    assert "--k [0] --d [20, 64, 128] --repeat 30: each must be >= 1" in capsys.readouterr().err
