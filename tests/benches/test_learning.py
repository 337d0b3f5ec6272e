"""The figures of learning are what their names say: worlds, windows, ratios and verdicts, and a short run of each."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benches.learning import cold_start, drift, hub, new_module, stationary
from benches.learning.__main__ import arguments, main, table
from benches.learning.figure import Figure, mean_and_error, ratio_and_error, window_means
from benches.learning.passage import Passage, Watched, passage
from benches.learning.studies import STUDIES, jobs
from benches.quality.stream import generator
from benches.quality.synthetic import KINDS, World, plain_arms, stream


def flipping(n: int) -> World:
    """One of two modules always succeeds, the other never; they change places half-way."""
    expected = np.tile([1.0, 0.0], (n, 1))
    expected[n // 2 :] = 0.0, 1.0
    return World(lambda _: {"x": 1.0}, expected, expected, plain_arms(generator(1), 2))


def late_learner() -> tuple[Passage, Any, new_module.Sizes]:
    """Four decisions with old modules worth 0.5, then four with a sixth worth 1, which is served at the last two."""
    sizes = new_module.Sizes(added=4, after=4, judged=3, before=4, window=2)
    expected = np.concatenate((np.full((8, 5), 0.5), np.ones((8, 1))), axis=1)
    served = np.array([0, 0, 0, 0, 0, 0, 5, 5])
    earned = np.array([0.5, 0.5, 0.5, 0.5, 0.5, 0.4, 1.0, 1.0])
    return Passage(earned, np.ones(8), served, []), expected, sizes


def test_window_means_are_those_of_every_window() -> None:
    assert window_means(np.array([1.0, 2.0, 6.0]), 2).tolist() == [1.5, 4.0]
    with pytest.raises(ValueError, match=r"^width == 4, must be in \[1, 3\]$"):
        window_means(np.ones(3), 4)


def test_a_ratio_is_that_of_the_sums_and_its_error_that_of_leaving_one_out() -> None:
    ratio, error = ratio_and_error([1.0, 3.0], [2.0, 2.0])

    # Without the first 1.5, without the second 0.5: sqrt(1/2 · (0.5² + 0.5²)).
    assert ratio == pytest.approx(1.0)
    assert error == pytest.approx(0.5)
    assert ratio_and_error([3.0], [2.0]) == (1.5, None)


def test_a_mean_has_the_standard_error_of_its_seeds() -> None:
    mean, error = mean_and_error([1.0, 3.0])
    assert mean == pytest.approx(2.0)
    assert error == pytest.approx(1.0)
    assert mean_and_error([4.0]) == (4.0, None)


@pytest.mark.parametrize(
    ("value", "relation", "limit", "is_met"),
    [
        (0.5, "<=", 0.5, True),
        (0.51, "<=", 0.5, False),
        (0.5, ">", 0.5, False),
        (0.97, ">=", 0.97, True),
        (9.0, "", None, None),
    ],
)
def test_a_figure_is_held_against_what_was_asked(
    value: float, relation: str, limit: float | None, *, is_met: bool | None
) -> None:
    assert Figure("study", "what", value, None, relation, limit).is_met is is_met


def test_the_table_shows_passes_failures_and_comparisons() -> None:
    rows = table(
        [
            Figure("a", "b", 1.0, 0.25, "<=", 2.0, "why"),
            Figure("a", "c", 3.0, None, "<=", 2.0),
            Figure("a", "d", 4.0),
        ]
    ).splitlines()[2:]

    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert cells == [
        ["a: b", "1 ± 0.25", "<= 2", "pass", "why"],
        ["a: c", "3", "<= 2", "FAIL", ""],
        ["a: d", "4", "", "", ""],
    ]


def test_tags_say_what_a_module_suits_and_a_shift_turns_them() -> None:
    true, turned = (cold_start.world(generator(3), 50, "new", shift) for shift in (0, 1))

    assert np.array_equal(true.rewards, turned.rewards)
    for arm, other in zip(true.arms, turned.arms, strict=True):
        assert arm.name == other.name
        assert {KINDS[(KINDS.index(tag) + 1) % 4] for tag in arm.capabilities} == set(other.capabilities)


def test_most_modules_carry_the_tag_of_what_they_suit_and_few_another() -> None:
    suited, told, carried = 0, 0, 0
    for seed in range(50):
        suits = cold_start.team(generator(seed)).suited
        assert sorted(suits) == [0, 0, 1, 1, 2, 2, 3, 3]
        for place, arm in enumerate(cold_start.world(generator(seed), 1, "new").arms):
            suited += 1
            told += KINDS[suits[place]] in arm.capabilities
            carried += len(arm.capabilities)

    # 400 modules: 0.9 ± 0.015 carry their own tag; 3 · 0.1 others each, ± 0.026.
    assert told / suited == pytest.approx(0.9, abs=0.06)
    assert (carried - told) / suited == pytest.approx(0.3, abs=0.11)


def test_each_pattern_changes_what_it_says() -> None:
    expected = np.array([[0.9, 0.5, 0.1], [0.8, 0.7, 0.2], [0.3, 0.6, 0.4]])

    assert drift.swapped(expected)[:, 1].tolist() == [0.5, 0.7, 0.6]
    assert drift.swapped(expected)[:, 0].tolist() == [0.1, 0.2, 0.4]
    assert drift.rotated(expected)[0].tolist() == [0.1, 0.9, 0.5]
    assert drift.reversed_(expected)[2] == pytest.approx([0.7, 0.4, 0.6])


@pytest.mark.parametrize("case", drift.CASES)
def test_a_stream_changes_at_the_change_and_not_before(case: str) -> None:
    sizes = drift.Sizes(change=300, after=300)
    base, pattern = case.split(", ")
    draw, _ = drift.STREAMS[base]
    same = draw(generator(4), 600).expected
    changed = drift.world(generator(4), case, sizes)

    assert np.array_equal(changed.expected[:300], same[:300])
    assert np.array_equal(changed.expected[300:], drift.PATTERNS[pattern](same)[300:])
    assert not np.array_equal(changed.expected[300:], same[300:])
    # Rewards in [0, 1] have a variance of 1/4 at most; 6 standard errors.
    assert abs((changed.rewards - changed.expected)[300:].mean()) < 6 * 0.5 / np.sqrt(300 * 8)


def test_the_optimum_is_reached_where_the_first_good_window_ends() -> None:
    assert drift.reach(np.array([0.5, 0.91, 0.2]), 0.9, 200) == 201
    assert drift.reach(np.array([0.5]), 0.9, 200) is None


def test_what_is_never_reached_counts_as_late_and_at_least_as_all_that_was_played() -> None:
    per_seed: list[dict[str, Any]] = [{"delay": 100, "after": 3_000}, {"delay": None, "after": 3_000}]
    figure = drift.steps_figure("alarm", per_seed, "delay", 500, "")

    assert (figure.value, figure.is_met, figure.detail) == (1_550.0, False, "1 of 2 seeds later, 1 never")


def test_share_and_reward_of_a_new_module_are_those_of_its_region() -> None:
    shown = new_module.taken_up(*late_learner())

    assert (shown["region"], shown["share"]) == (1.0, pytest.approx(2 / 3))
    assert shown["curve"] == pytest.approx([0.9, 1.4, 2.0])
    assert shown["fair_curve"] == pytest.approx([0.9, 1.4, 2.0])


def test_alarms_of_a_pass_are_counted_from_its_first_decision() -> None:
    policy = Watched(generator(5))
    calm = flipping(400)
    calm = calm._replace(expected=np.tile([1.0, 0.0], (400, 1)), rewards=np.tile([1.0, 0.0], (400, 1)))

    assert passage(stream(calm), policy).alarms == []
    alarms = passage(stream(flipping(400)), policy).alarms
    assert alarms
    assert 200 < alarms[0] < 400


def test_without_an_alarm_a_blinded_detector_changes_nothing() -> None:
    world = cold_start.world(generator(6), 100, "new")
    tracks = [passage(stream(world), Watched(generator(7), detects=detects)) for detects in (True, False)]

    assert tracks[0].alarms == []
    assert np.array_equal(tracks[0].served, tracks[1].served)


def test_an_alarm_of_a_blinded_detector_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"^alarm at \d+, must be none from a blinded detector$"):
        passage(stream(flipping(4_000)), Watched(generator(5), detects=False))


def test_every_study_plays_every_case_with_as_many_seeds_as_it_affords() -> None:
    work = jobs(list(STUDIES), 3)

    assert len(set(work)) == len(work)
    for name, study in STUDIES.items():
        for case in study.cases:
            assert sum(job.study == name and job.case == case for job in work) == 3 * study.seeds_times


@pytest.mark.parametrize(
    ("study", "sizes", "rows"),
    [
        (cold_start, cold_start.Sizes(before=30, first=20, overcome=30, n=40), 11),
        (new_module, new_module.Sizes(added=40, after=60, judged=60, before=40, window=20), 4),
        (drift, drift.Sizes(change=20, after=20, window=10), 12),
        (stationary, stationary.Sizes(n=60), 4),
    ],
)
def test_a_short_run_gives_every_row(study: Any, sizes: Any, rows: int) -> None:  # noqa: ANN401  modules and their sizes
    results = {case: [study.measure(case, seed, sizes) for seed in (0, 1)] for case in study.CASES}
    figures = study.figures(results)

    assert len(figures) == rows == len({figure.what for figure in figures})
    assert all(np.isfinite(figure.value) and figure.study == study.STUDY for figure in figures)


def test_the_command_plays_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "learning.json"
    main(["--studies", "hub", "--seeds", "1", "--jobs", "1", "--json", str(out)])

    printed = capsys.readouterr()
    assert "| hub: last third of 500 tasks ÷ optimum |" in printed.out
    assert "hub: three modules" in printed.err
    written = json.loads(out.read_text(encoding="utf-8"))
    shares = [each["share"] for each in written["results"]["hub"]["three modules"]]
    assert written["figures"][0]["value"] == pytest.approx(sum(shares) / 4)
    assert written["figures"][0]["is_met"] is (sum(shares) / 4 >= 0.97)
    assert hub.measure("three modules", 0)["share"] == shares[0]


def test_fewer_than_one_seed_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["--seeds", "0"])
    assert "seeds == 0, must be >= 1" in capsys.readouterr().err
