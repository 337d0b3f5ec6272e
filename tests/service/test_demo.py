"""The demo, played short: the real server, the real client, real requests."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pilotfish.client import AsyncClient
from pilotfish.simulate.demonstration import drawn
from pilotfish.simulate.hub import Hub, Served
from pilotfish.simulate.table import load_table

LIMIT = 200
NUMBERS = {
    "quality": {"random", "best_fixed", "baseline", "policy", "policy_last_third", "oracle"},
    "latency_ms": {"p50", "p99"},
}


def run_demo(directory: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "pilotfish", "demo", *arguments],
        cwd=directory,
        env=os.environ | {"MPLCONFIGDIR": str(directory)} | settings,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


class Played:
    """What one short pass printed and wrote."""

    def __init__(self, directory: Path) -> None:
        self.plot = directory / "curve.svg"
        json_file = directory / "figures.json"
        # A deadline that no busy machine misses: these claims are about figures, not about speed.
        self.run = run_demo(
            directory,
            *("--limit", str(LIMIT), "--seed", "3", "--deadline-ms", "2000"),
            *("--json", str(json_file), "--plot", str(self.plot)),
        )
        assert self.run.returncode == 0, self.run.stdout + self.run.stderr
        self.figures: dict[str, Any] = json.loads(json_file.read_text())


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return Played(tmp_path_factory.mktemp("demo"))


@pytest.mark.parametrize("group", NUMBERS)
def test_json_groups_hold_their_numbers(played: Played, group: str) -> None:
    assert played.figures[group].keys() == NUMBERS[group]
    assert all(isinstance(value, float) for value in played.figures[group].values())


def test_every_decision_and_outcome_is_counted(played: Played) -> None:
    assert (played.figures["decisions"], played.figures["outcomes"]) == (LIMIT, LIMIT)
    assert played.figures["fallbacks"] == 0
    assert played.figures["seed"] == 3
    assert played.figures["decisions_per_second"] > 0.0


def test_qualities_lie_between_nothing_and_the_oracle(played: Played) -> None:
    quality = played.figures["quality"]

    assert all(0.0 < value <= 1.0 for value in quality.values())
    assert max(quality["random"], quality["best_fixed"], quality["baseline"], quality["policy"]) <= quality["oracle"]


def test_served_modules_match_their_propensities(played: Played) -> None:
    calibration = played.figures["calibration"]

    assert sum(calibration["observed"]) == LIMIT
    assert sum(calibration["expected"]) == pytest.approx(LIMIT)
    assert len(calibration["expected"]) == len(calibration["observed"]) == len(calibration["bin_edges"]) - 1
    # The sidecar's draws are new in every run; an exact propensity fails here once in a million runs.
    assert calibration["p_value"] > 1e-6


@pytest.mark.parametrize(
    "text",
    ["oracle: best module of each request", "baseline heuristic", "One decision explained", "Propensity calibration"],
)
def test_the_report_shows_what_it_should(played: Played, text: str) -> None:
    assert text in played.run.stdout


def test_the_learning_curve_is_kept_where_it_says(played: Played) -> None:
    assert f"Learning curve: {played.plot}" in played.run.stdout
    assert "</svg>" in played.plot.read_text()


def test_a_sidecar_that_refuses_to_start_is_quoted(tmp_path: Path) -> None:
    run = run_demo(tmp_path, "--limit", "1", PILOTFISH_SERVER__BACKEND="sideways")

    assert run.returncode == 1
    assert "the sidecar does not serve (ended with code 64)" in run.stderr
    assert "sideways" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_demo_that_is_stopped_takes_its_sidecar_with_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "pilotfish", "demo"],
        cwd=tmp_path,
        env=os.environ | {"MPLCONFIGDIR": str(tmp_path), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        said = re.search(r"process (\d+)", demo.stdout.readline())
        assert said is not None
        demo.terminate()
        demo.stdout.read()

    assert demo.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.glob("pilotfish-demo-*")) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(said[1]), 0)


async def test_a_hub_without_a_sidecar_counts_its_fallbacks(tmp_path: Path) -> None:
    table = drawn(load_table(), seed=0).first(20)
    seen: list[int] = []

    def note(number: int, _: Served) -> None:
        seen.append(number)

    async with AsyncClient(tmp_path / "nobody.sock") as client:
        hub = Hub(client, table, in_flight=3)
        served = await hub.run(note)

    assert sorted(seen) == list(range(20))
    assert all(s.decision.is_fallback for s in served)
    assert [s.quality for s in served] == [request.qualities[0] for request in table.requests]
    assert (hub.acknowledged, hub.unacknowledged) == (0, {"local_fallback": 20})


def test_the_same_seed_draws_the_same_orders() -> None:
    table = load_table()

    assert drawn(table, 1) == drawn(table, 1)
    assert drawn(table, 1).modules != drawn(table, 2).modules
    assert drawn(table, 1).oracle_quality() == pytest.approx(table.oracle_quality())
