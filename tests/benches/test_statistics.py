"""The figures of the rollout's statistics are what their names say, and a short run gives each."""

import json
from collections.abc import Callable
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from benches.quality.stream import Floats, generator
from benches.statistics import power, ratio, validity
from benches.statistics.__main__ import arguments, main
from benches.statistics.rollout import Rollout, Stream, fixed, learning, streams
from pilotfish.experiments.sequences import opening_length


@pytest.mark.parametrize(
    "rollout",
    [Rollout(0.5, 0.5, 0.1), Rollout(0.05, 0.5, 0.1), Rollout(0.05, 0.9, 0.1), Rollout(0.5, 0.5, 0.4, learns=True)],
)
def test_observations_have_the_mean_and_the_deviation_that_are_planned(rollout: Rollout) -> None:
    x = np.stack([stream.values for stream in streams(generator(1), rollout, 200, 2_000)])

    error = rollout.deviation / sqrt(x.size)
    # A learning policy takes some hundred outcomes to its full effect: less than a tenth is missing.
    assert -5 * error - 0.1 * rollout.effect * rollout.learns < x.mean() - rollout.effect < 5 * error
    # Planned from the base rate alone; the better module's own variance is another, at 0.99 a tenth of it.
    assert x.std() == pytest.approx(rollout.deviation, rel=0.12 if rollout.base == 0.5 else 0.6)
    assert np.abs(x).max() <= max(1 / rollout.share, 1 / (1 - rollout.share))


def test_a_learning_policy_without_a_difference_gives_observations_of_mean_zero() -> None:
    x, *_ = learning(generator(2), Rollout(0.5, 0.5, learns=True), 400, 1_000)

    assert abs(x.mean()) < 5 * x.std() / sqrt(x.size)
    # Served are 0.725 and 0.275: the gap of 0.45 is divided by one of them, and at first times 1/2.
    likely, rare = 0.225 / 0.725, 0.225 / 0.275
    first = np.abs(x[:, 0])
    assert np.minimum(np.abs(first - likely), np.abs(first - rare)).max() < 1e-12
    assert np.abs(x).max() <= 0.45 / 0.275


def test_the_fixed_sample_is_that_of_the_table_of_two_proportions() -> None:
    # 0.5 and 0.525, 80 %, 5 %: 6,271 per arm.
    assert power.fixed_sample(Rollout(0.5, 0.5, 0.05)) / 2 == pytest.approx(6_271, abs=1)


def test_the_count_of_a_single_look_has_the_power_of_the_formula() -> None:
    seen, *_ = fixed(generator(3), Rollout(0.5, 0.5, 0.2), 600, 1_600)
    assert power.single_look(list(seen)) == pytest.approx(power.fixed_sample(Rollout(0.5, 0.5, 0.2)), rel=0.15)


def test_a_z_test_peeks_from_its_first_look_on() -> None:
    x = np.tile([1.0, -1.0], 200)
    assert not validity.peeks(x)
    x[50:150] = 1.0
    assert validity.peeks(x)
    assert not validity.peeks(np.ones(validity.FIRST_LOOK - 1))


def test_lost_records_move_the_share() -> None:
    assert ratio.arrived(0.5, "nothing") == 0.5
    assert ratio.arrived(0.5, "treatment") == pytest.approx(0.49 / 0.99)
    assert ratio.arrived(0.05, "control") == pytest.approx(0.05 / (0.05 + 0.95 * 0.98))


def test_a_short_run_gives_every_row() -> None:
    rollout = Rollout(0.5, 0.5, learns=True)
    rows = [
        *validity.measure(rollout, 2, 300),
        *power.measure(Rollout(0.5, 0.5, 0.5), 10),
        *power.measure(Rollout(0.5, 0.5, 0.5, learns=True), 10),
        *ratio.figures(2, {0.5: 10_000}, 1_000),
    ]
    assert len(rows) == 3 + 4 + 4 + 3 == len({(row.study, row.what) for row in rows})
    assert all(np.isfinite(row.value) for row in rows)
    # What the server reads is judged; what is read without tuning only where it must not be wrong, the z-test never.
    assert [row.is_met is None for row in rows].count(True) == 1 + 4


@pytest.mark.parametrize("play", [fixed, learning])
def test_the_opening_tells_what_was_observed(play: Callable[..., tuple[Floats, Floats, Floats]]) -> None:
    x, utility, contrast = play(generator(4), Rollout(0.05, 0.5, learns=play is learning), 5, 300)
    assert utility.shape == contrast.shape == (5, opening_length(0.05))
    n = utility.shape[1]
    centre = (np.cumsum(utility, axis=1) - utility + 0.5) / np.arange(1, n + 1)
    assert x[:, :n] == pytest.approx((utility - centre) * contrast)


def test_the_server_reads_what_comes_after_the_opening() -> None:
    utilities, contrasts = np.tile([0.0, 1.0], 25), np.tile([2.0, -2.0], 25)
    after = np.ones(400)
    places = [
        Stream(np.concatenate([np.full(50, x), after]), utilities, contrasts).excludes_zero_as_served(0.5)
        for x in (-2.0, 2.0)
    ]
    assert places[0] is not None
    assert 50 < places[0] == places[1]


def test_the_command_plays_prints_and_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ratio, "UNITS", {0.5: 10_000})
    out = tmp_path / "statistics.json"
    main(["--studies", "sample ratio", "--repetitions", "1", "--json", str(out)])

    assert "| sample ratio: share 0.5, false alarms in 10,000" in capsys.readouterr().out
    written = json.loads(out.read_text(encoding="utf-8"))
    assert [row["is_met"] for row in written["figures"]] == [True, False, False]


def test_fewer_than_one_repetition_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["--repetitions", "0"])
    assert "repetitions == 0, must be >= 1" in capsys.readouterr().err
