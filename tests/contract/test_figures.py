"""What `make bench JSON=FILE` reports is what was measured, in the unit it says."""

import json
from pathlib import Path

from benches.figures import Figure, criterion_figures, pytest_figures


def bench_report(folder: Path, *, iterations: int, seconds: list[float], extra: dict[str, object]) -> Path:
    stats = {"median": 2e-6, "iterations": iterations, "rounds": len(seconds), "data": seconds}
    bench = {"fullname": "benches/python/bench_x.py::test_decide", "stats": stats, "extra_info": extra}
    report = folder / "report.json"
    report.write_text(json.dumps({"benchmarks": [bench]}))
    return report


def test_criterion_nanoseconds_become_microseconds(tmp_path: Path) -> None:
    folder = tmp_path / "decide/10/new"
    folder.mkdir(parents=True)
    (folder / "benchmark.json").write_text(json.dumps({"full_id": "decide/10"}))
    (folder / "estimates.json").write_text(json.dumps({"median": {"point_estimate": 1500.0}}))

    assert list(criterion_figures(tmp_path)) == [Figure("decide/10", "p50", 1.5, "us", "criterion")]


def test_p99_is_that_of_single_calls(tmp_path: Path) -> None:
    seconds = [call * 1e-6 for call in range(1_001)]
    report = bench_report(tmp_path, iterations=1, seconds=seconds, extra={})

    figures = {figure.statistic: figure.value for figure in pytest_figures(report)}

    assert {name: round(value, 6) for name, value in figures.items()} == {"p50": 2.0, "p99": 990.0}


def test_rounds_of_several_calls_give_no_p99(tmp_path: Path) -> None:
    report = bench_report(tmp_path, iterations=8, seconds=[1e-6] * 2_000, extra={})

    assert [figure.statistic for figure in pytest_figures(report)] == ["p50"]


def test_a_benchs_own_figures_keep_their_unit(tmp_path: Path) -> None:
    extra: dict[str, object] = {"throughput": {"value": 4000, "unit": "1/s"}, "note": "not a figure"}
    report = bench_report(tmp_path, iterations=8, seconds=[1e-6], extra=extra)

    own = [figure for figure in pytest_figures(report) if figure.statistic != "p50"]
    assert own == [Figure("bench_x.py::test_decide", "throughput", 4000.0, "1/s", "pytest-benchmark")]
