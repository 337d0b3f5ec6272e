"""Measures by hand, the bars, and one whole run."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benches.quality import __main__ as command
from benches.quality import report
from benches.quality import run as jobs_of
from benches.quality.play import Track, inverse_propensity, play, references, summary
from benches.quality.plots import draw, spread_labels
from benches.quality.policy import Decision, drawn
from benches.quality.run import Result, chosen, jobs
from benches.quality.stream import Arm, Floats, Outcome, Round, Scenario, Step, Stream
from benches.quality.table import markdown


def tiny(expected: list[list[float]], cost: list[list[float]] | None = None) -> Stream:
    arms = [Arm(name) for name in "abc"]

    def steps() -> Iterator[Step]:
        for row, means in enumerate(expected):
            own: Floats = np.array(cost[row]) if cost else np.empty(0)
            shown = Round("", {"row": float(row)}, "", arms[: len(means)])
            yield Step(shown, np.array(means), np.array(means), {"quality": np.array(means)}, own)

    return Stream(len(expected), 3, fixed_arms=False, steps=steps)


class Always:
    """Serves the first module and keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Round, Decision, Outcome]] = []

    def decide(self, _round: Round) -> Decision:
        return Decision(0, 0.5, 2, 4.0)

    def learn(self, round_: Round, decision: Decision, outcome: Outcome) -> None:
        self.told.append((round_, decision, outcome))


def test_a_pass_is_measured_as_by_hand() -> None:
    policy = Always()
    figures = play(tiny([[0.25, 1.0], [0.5, 0.0], [0.0, 0.75]], [[1, 2], [3, 4], [5, 9]]), policy)

    assert figures["regret"] == pytest.approx((0.75 + 0.0 + 0.75) / 3)
    assert figures["reward"] == pytest.approx(0.25)
    assert figures["last_third_reward"] == 0.0
    assert figures["cost"] == 3.0
    assert figures["curve"] == [0.75, 0.0, 0.75]
    assert figures["inverse_propensity"] == 1.0
    assert [outcome for _, _, outcome in policy.told] == [Outcome(v, {"quality": v}) for v in (0.25, 0.5, 0.0)]


def test_references_are_exact() -> None:
    known = references(tiny([[0.0, 0.5, 1.0], [0.5, 0.25, 0.0]]))

    assert known["random"]["reward"] == pytest.approx((0.5 + 0.25) / 2)
    assert known["best fixed"]["reward"] == pytest.approx(0.5)
    assert known["oracle"]["reward"] == pytest.approx(0.75)
    assert known["oracle"]["regret"] == 0.0


def test_the_best_fixed_module_is_the_best_of_those_offered_and_by_own_cost() -> None:
    known = references(tiny([[0.9, 0.1], [0.9, 0.1, 0.5]], [[2.0, 3.0], [4.0, 3.0, 1.0]]))

    # Mean costs: a 3, b 3, c 1. The first round offers a and b (a stands first), the second c as well.
    assert known["best fixed"]["cost"] == pytest.approx((2.0 + 1.0) / 2)
    assert known["oracle"]["cost"] == pytest.approx((2.0 + 1.0) / 2)
    assert known["random"]["cost"] == pytest.approx((2.5 + 8 / 3) / 2)


def test_a_curve_has_50_points_whose_mean_is_the_regret() -> None:
    best = np.ones(1_000)
    figures = summary(Track(best * np.linspace(0.0, 1.0, 1_000), best, np.empty(0)))

    assert len(figures["curve"]) == 50
    assert np.mean(figures["curve"]) == pytest.approx(figures["regret"])
    assert figures["cost"] is None


def test_inverse_propensities_sum_to_the_support_and_tell_a_wrong_one() -> None:
    rng, pmf = np.random.default_rng(1), np.array([0.7, 0.2, 0.095, 0.005])
    served = rng.choice(4, p=pmf, size=20_000).tolist()
    honest, error = inverse_propensity([drawn(index, pmf) for index in served])
    wrong, wrong_error = inverse_propensity([drawn(index, np.array([0.4, 0.3, 0.2, 0.1])) for index in served])

    # Var(1/p) = 1/0.7 + 1/0.2 + 1/0.095 − 3².
    assert error == pytest.approx((20_000 * (1 / 0.7 + 1 / 0.2 + 1 / 0.095 - 9)) ** 0.5 / 60_000)
    assert honest == pytest.approx(1.0, abs=4 * (error or 0.0))
    assert abs((wrong or 0.0) - 1.0) > 10 * (wrong_error or 0.0)
    assert inverse_propensity([]) == inverse_propensity([Decision(0)]) == (None, None)


def test_propensities_whose_rare_module_was_never_drawn_are_not_suspicious() -> None:
    ratio, error = inverse_propensity([drawn(0, np.array([0.98, 0.02]))] * 50)

    assert ratio == pytest.approx(1 / 0.98 / 2)
    assert abs((ratio or 0.0) - 1.0) < 2 * (error or 0.0)


def results(regrets: dict[str, float], cost: dict[str, float] | None = None) -> list[Result]:
    track = summary(Track(np.zeros(2), np.ones(2), np.empty(0)))
    return [
        Result("s", name, permutation, {**track, "regret": regret + 0.01 * permutation, "cost": (cost or {}).get(name)})
        for name, regret in {"random": 0.5, "oracle": 0.0, **regrets}.items()
        for permutation in range(2)
    ]


def told(regrets: dict[str, float], family: str = "synthetic", cost: dict[str, float] | None = None) -> dict[str, Any]:
    scenario = Scenario("s", family, "", lambda _: tiny([[0.0]]))
    return report.stream_report(scenario, results(regrets, cost))


def test_means_errors_and_the_tuned_width() -> None:
    stream = told({"LinUCB 0.1": 0.2, "LinUCB 1": 0.1, "pilotfish": 0.15})
    tuned = stream["policies"]["LinUCB tuned"]

    assert tuned["setting"] == "LinUCB 1"
    assert tuned["regret"] == {"mean": pytest.approx(0.105), "error": pytest.approx(0.005)}
    assert stream["comparison"]["lin_ucb"]["ratio"] == pytest.approx(0.16 / 0.11)
    assert stream["comparison"]["lin_ucb"]["passed"]
    assert stream["comparison"]["vw"] is None


def test_lin_ucb_is_tuned_by_the_own_cost_where_there_is_one() -> None:
    cost = {"random": 9.0, "oracle": 0.0, "LinUCB 0.1": 2.0, "LinUCB 1 scaled": 3.0}
    stream = told({"LinUCB 0.1": 0.2, "LinUCB 1 scaled": 0.1}, "aslib", cost)

    assert stream["policies"]["LinUCB tuned"]["setting"] == "LinUCB 0.1"


@pytest.mark.parametrize(("ours", "passed"), [(0.115, True), (0.121, False)])
def test_the_bar_of_vw_is_its_best_explorer(ours: float, *, passed: bool) -> None:
    # Means over two permutations add 0.005: the bar is 1.15 × 0.105 + 0.005 = 0.12575.
    stream = told({"pilotfish": ours, "VW RegCB adf": 0.1, "VW SquareCB": 0.3, "VW SquareCB std": 0.05})
    versus = stream["comparison"]

    assert versus["vw"]["peer"] == "VW RegCB adf"
    assert versus["vw"]["passed"] is passed
    assert versus["vw_any"]["peer"] == "VW SquareCB std"
    assert not versus["vw_any"]["passed"]


def test_the_mean_ratio_is_over_streams_that_compare_regret() -> None:
    streams = [
        told({"pilotfish": 0.1, "VW RegCB adf": 0.2}),
        told({"pilotfish": 0.2, "VW RegCB adf": 0.2}),
        told(
            {"pilotfish": 0.4, "best fixed": 0.4},
            "aslib",
            {"random": 10.0, "oracle": 0.0, "pilotfish": 4.0, "best fixed": 5.0},
        ),
    ]
    claims = report.overall(streams)

    assert claims["vw"]["streams"] == 2
    assert claims["vw"]["mean_ratio"] == pytest.approx((0.11 / 0.21 + 1.0) / 2)
    assert claims["vw"]["mean_passed"]
    assert claims["lin_ucb"]["mean_ratio"] is None
    assert claims["gap_closed"]["aslib"]["mean"]["pilotfish"] == pytest.approx(0.6)
    assert claims["gap_closed"]["aslib"]["ours_above_both"] == 1
    assert claims["gap_closed"]["wsdream"] is None
    assert [(bar["figure"], bar["mean"], bar["passed"]) for bar in claims["bars"]] == [
        ("gap_closed", pytest.approx(0.6), True),
        ("above_both", 1.0, True),
    ]


def test_the_bars_of_ours_alone_apply_to_their_stream_only() -> None:
    stream = {**told({"pilotfish": 0.04}), "name": "synthetic/logistic"}
    (bar,) = report.absolute_bars([stream, told({"pilotfish": 0.9})])

    assert (bar["figure"], bar["mean"], bar["passed"]) == ("regret", pytest.approx(0.045), True)
    assert not report.absolute_bars([{**told({"pilotfish": 0.06}), "name": "synthetic/logistic"}])[0]["passed"]


def test_wrong_propensities_raise_an_alarm_and_honest_ones_none() -> None:
    def played(ratio: float) -> dict[str, Any]:
        return {"permutations": [{"inverse_propensity": ratio, "inverse_propensity_error": 0.02}] * 2}

    # Two permutations of error 0.02: z = 2 · 0.1 / (0.02 · √2) = 7.07.
    stream = {"name": "s", "policies": {"wrong": played(1.1), "honest": played(1.05), "plain": {"permutations": [{}]}}}

    assert report.propensity_alarms([stream]) == [
        {"stream": "s", "policy": "wrong", "z": pytest.approx(7.071, abs=1e-3)}
    ]


def test_a_table_is_markdown() -> None:
    assert markdown(["a", "bb"], [["one", "2"]]) == "| a   | bb |\n|-----|---:|\n| one |  2 |"


def test_labels_do_not_overlap_and_keep_their_order() -> None:
    assert spread_labels([0.5, 0.1, 0.12], 0.1) == pytest.approx([0.5, 0.1, 0.2])


def test_a_policy_pattern_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    assert [entry.name for entry in chosen(["LinUCB 0.1", "LinUCB 0.5"])] == ["LinUCB 0.1", "LinUCB 0.5"]
    with pytest.raises(ValueError, match="policies == nobody, must match one of pilotfish, "):
        list(jobs(tmp_path, ["synthetic/*"], ["nobody"], permutations=1, seed=0, limit=1))


def test_peers_with_fixed_actions_are_left_out_where_modules_change(tmp_path: Path) -> None:
    work = list(jobs(tmp_path, ["synthetic/hub*", "synthetic/new*"], ["VW Sq*"], permutations=2, seed=0, limit=5))
    played = {(job.scenario.split("/")[1][:3], job.policy) for job in work if job.policy != "references"}

    assert played == {
        ("hub", "VW SquareCB"), ("hub", "VW SquareCB std"), ("hub", "VW SquareCB adf"), ("hub", "VW SquareCB adf std"),
        ("new", "VW SquareCB adf"), ("new", "VW SquareCB adf std"),
    }  # fmt: skip
    assert len(work) == 2 * (1 + 4) + 2 * (1 + 2)


def run(folder: Path, *words: str) -> dict[str, Any]:
    options = ["--data", str(folder), "--scenarios", "synthetic/hub*", "synthetic/linear", "--limit", "60"]
    return command.report(command.arguments([*options, "--policies", "pilotfish", "LinUCB 0.5", *words]))


def without_times(measured: dict[str, Any]) -> str:
    for stream in measured["streams"]:
        for policy in stream["policies"].values():
            for figures in (policy, *policy["permutations"]):
                figures.pop("decide_us", None)
                figures.pop("learn_us", None)
    return json.dumps(measured["streams"])


def test_a_run_is_repeatable_however_many_processes_share_it_and_another_seed_is_another(tmp_path: Path) -> None:
    alone = run(tmp_path, "--permutations", "2", "--jobs", "1")
    shared = run(tmp_path, "--permutations", "2", "--jobs", "2")
    other = run(tmp_path, "--permutations", "2", "--jobs", "1", "--seed", "1")

    assert without_times(alone) == without_times(shared) != without_times(other)
    assert [stream["name"] for stream in alone["streams"]] == ["synthetic/linear", "synthetic/hub_modules"]


def test_peers_are_kept_and_ours_is_played_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "peers"
    options = ("--permutations", "1", "--jobs", "1", "--peers", str(file))
    before = run(tmp_path, *options)
    played: list[str] = []
    monkeypatch.setattr(command, "told", lambda _: nullcontext(lambda job: played.append(job.policy)))
    monkeypatch.setattr(jobs_of, "play", lambda *_: pytest.fail("a peer was played again"))
    with pytest.raises(pytest.fail.Exception):
        run(tmp_path, *options)  # ours
    monkeypatch.undo()

    assert without_times(run(tmp_path, *options)) == without_times(before)
    assert {"LinUCB 0.5", "references"} == set(played)
    assert sorted({json.loads(line)[0][1] for line in file.read_text().splitlines()}) == ["LinUCB 0.5", "references"]


def test_a_file_that_is_none_of_peers_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "peers"
    file.write_text('{"a": 1}\n')
    with pytest.raises(ValueError, match=r"peers == .*, must be a file that `--peers` has written"):
        run(tmp_path, "--permutations", "1", "--jobs", "1", "--peers", str(file))


def test_the_command_prints_writes_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", str(tmp_path), "--scenarios", "synthetic/hub*", "--limit", "40", "--permutations", "2"]
    outputs = ["--json", str(tmp_path / "out.json"), "--plots", str(tmp_path / "plots")]
    monkeypatch.setattr(
        "sys.argv", ["quality", *options, *outputs, "--jobs", "1", "--policies", "pilotfish", "LinUCB 1"]
    )
    command.main()

    printed = capsys.readouterr()
    assert "| pilotfish" in printed.out
    assert "mean ratio to tuned LinUCB" in printed.out
    assert "only the first 40 rounds of each stream were played" in printed.out
    assert "[2/2]" in printed.err
    measured = json.loads((tmp_path / "out.json").read_text())
    assert measured["streams"][0]["policies"]["pilotfish"]["permutations"][1]["rounds"] == 40
    assert (tmp_path / "plots" / "synthetic-hub_modules.png").stat().st_size > 10_000


def test_a_picture_needs_no_interval(tmp_path: Path) -> None:
    measured = run(tmp_path, "--permutations", "1", "--jobs", "1")
    draw(measured["streams"], tmp_path)

    assert {path.name for path in tmp_path.glob("*.png")} == {"synthetic-linear.png", "synthetic-hub_modules.png"}


def test_numbers_below_one_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.arguments(["--data", "x", "--permutations", "0"])

    assert "permutations == 0, must be >= 1" in capsys.readouterr().err
