"""The change detector through Python, against a slow twin and its stated rate of false alarms."""

import json
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish import InvalidInputError, StateError
from pilotfish._core import Alarm, ChangeDetector
from tests.unit.core.change_twin import ChangeTwin

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[2] / "golden" / "change.json").read_text(encoding="utf-8"))
FORMAT_1 = bytes.fromhex(
    "70696c6f7463686701002d431cebe2361a3f9a9999999999a93f012ee5522ee552ee3f5ccaa55ccaa5ec3fb9944bb9944be93f722997"
    "722997e23ff98aaff88aaff03ff1155ff1155ff13fe32bbee22bbef23fc6577cc5577cf53f2ee5522ee552ee3f5ccaa55ccaa5ec3fb9"
    "944bb9944be93f722997722997e23ff98aaff88aaff03ff1155ff1155ff13fe32bbee22bbef23fc6577cc5577cf53f00000000000000"
    "0001016d2ee5522ee552ee3f5ccaa55ccaa5ec3fb9944bb9944be93f722997722997e23ff98aaff88aaff03ff1155ff1155ff13fe32b"
    "bee22bbef23fc6577cc5577cf53f2ee5522ee552ee3f5ccaa55ccaa5ec3fb9944bb9944be93f722997722997e23ff98aaff88aaff03f"
    "f1155ff1155ff13fe32bbee22bbef23fc6577cc5577cf53f0000000000000000dcb66ddbb66def3f2543790b0927c057c742e43241fc"
    "276b9eba5e96899f39bde588ef969adc7e34"
)
"""What the release before left of a detector of alpha 1e-4 that had seen one residual of -0.5."""


def test_it_agrees_with_the_twin_that_keeps_every_bettor() -> None:
    random = np.random.default_rng(3)
    detector, twin = ChangeDetector(1e-3, 0.02), ChangeTwin(1e-3, 0.02)
    alarms = 0
    for step in range(1200):
        module = f"m{random.integers(4)}"
        mean = -0.5 if module == "m2" and step % 400 > 300 else 0.0
        residual, uncertainty = float(np.clip(random.normal(mean, 0.3), -1, 1)), float(random.random() / 5)
        # Every third comes without its utility; the rest with predictions from 0 to 1, both ends among them.
        predicted = float(np.clip(random.uniform(-0.2, 1.2), max(0.0, -residual), min(1.0, 1.0 - residual)))
        seen = (residual, module, uncertainty, predicted + residual if step % 3 else None)
        alarm, expected = detector.observe(*seen), twin.observe(*seen)
        assert (alarm and (alarm.n_after, alarm.modules)) == expected
        if alarm:
            alarms += 1
        else:
            assert detector.evidence == pytest.approx(np.log1p(twin.statistic()), abs=1e-9)
    assert alarms >= 3


def test_the_golden_stream_gives_the_golden_alarms_evidence_and_state() -> None:
    detector, alarms = ChangeDetector(GOLDEN["alpha"], GOLDEN["slack"]), []
    for seen, evidence in zip(GOLDEN["stream"], GOLDEN["evidence"], strict=True):
        if alarm := detector.observe(*seen):
            alarms.append([detector.count, alarm.n_after, alarm.modules])
        assert detector.evidence == pytest.approx(evidence, abs=1e-9)
    assert alarms == GOLDEN["alarms"]
    assert alarms[0][2] == ["text"]
    assert detector.state().hex() == GOLDEN["state"]


def run_lengths(alpha: float, slack: float, predicted: float, chance: float, runs: int) -> np.ndarray:
    """Observations to the first alarm when a prediction meets utilities of 1 with this chance, 0 otherwise."""
    random, lengths = np.random.default_rng(5), []
    for _ in range(runs):
        detector = ChangeDetector(alpha, slack)
        while not any(
            detector.observe(float(good) - predicted, "m", 0.0, float(good)) for good in random.random(64) < chance
        ):
            pass
        # `any` stops at the alarm: the rest of the last block is not observed.
        lengths.append(detector.count)
    return np.array(lengths)


# A mean residual of 0.05 to either side, on the edge of the slack: the least favourable chance.
@pytest.mark.parametrize(("predicted", "chance"), [(0.5, 0.55), (0.9, 0.85), (0.1, 0.15), (0.96, 0.91), (0.04, 0.09)])
def test_the_mean_run_to_a_false_alarm_is_at_least_one_over_alpha(predicted: float, chance: float) -> None:
    lengths = run_lengths(alpha=0.001, slack=0.05, predicted=predicted, chance=chance, runs=200)
    assert lengths.mean() >= 1000


def test_detectors_that_take_turns_share_alpha() -> None:
    # As the signals of the engine do. Each is on the edge of its slack, to one side or the other.
    random, lengths = np.random.default_rng(9), []
    for _ in range(200):
        detectors = [ChangeDetector(0.001) for _ in range(7)]
        for place in cycle(range(7)):
            good = float(random.random() < (0.85, 0.95)[place % 2])
            if detectors[place].observe(good - 0.9, "m", 0.0, good):
                break
        lengths.append(sum(detector.count for detector in detectors))
    assert np.mean(lengths) >= 1000


def test_the_defaults_are_silent_over_100_000_unchanged_outcomes() -> None:
    detector, random = ChangeDetector(), np.random.default_rng(6)
    assert not any(detector.observe(float(good) - 0.5, "m", 0.0, float(good)) for good in random.random(100_000) < 0.5)
    assert detector.count == 100_000


def test_with_the_defaults_a_lost_fifth_is_noticed_within_500() -> None:
    random, noticed = np.random.default_rng(8), 0
    for _ in range(100):
        detector = ChangeDetector()
        before, after = random.random(2000) < 0.8, random.random(500) < 0.6
        assert not any(detector.observe(float(good) - 0.8, "m", 0.01, float(good)) for good in before)
        noticed += any(detector.observe(float(good) - 0.8, "m", 0.01, float(good)) for good in after)
    # Coins are the noisiest of utilities, and a fifth the smallest loss of the claim: its slowest 1 % take longer.
    assert noticed >= 97


def test_a_state_carries_settings_count_and_evidence() -> None:
    detector = ChangeDetector(1e-4, 0.1)
    for step in range(30):
        detector.observe(-0.4, f"m{step % 3}")
    restored = ChangeDetector.from_state(detector.state())
    assert (restored.alpha, restored.slack, restored.count) == (1e-4, 0.1, 30)
    assert restored.evidence == detector.evidence
    assert restored.state() == detector.state()


def test_starting_anew_forgets_the_evidence_and_keeps_the_count() -> None:
    detector = ChangeDetector()
    detector.observe(-1.0, "m")
    assert detector.evidence > 0
    detector.start_anew()
    assert (detector.evidence, detector.count) == (0.0, 1)


@pytest.mark.parametrize(("n_changed", "expected", "at_least"), [(1, ("m0",), 20), (8, (), 18)])
def test_an_alarm_names_the_module_that_has_changed_and_none_where_all_have(
    n_changed: int, expected: tuple[str, ...], at_least: int
) -> None:
    """Half of the traffic is one module's, so that it alone has evidence of its own when all of eight begin to fail."""
    named = []
    for seed in range(20):
        random, detector = np.random.default_rng(seed), ChangeDetector(1e-6)
        alarm, n = None, 0
        while alarm is None and n < 2_000:
            module = int(random.choice(8, p=[0.5, *[0.5 / 7] * 7]))
            chance = 0.2 if n >= 800 and module < n_changed else 0.9
            utility = float(random.random() < chance)
            alarm = detector.observe(utility - 0.9, f"m{module}", utility=utility)
            n += 1
        assert alarm is not None
        assert n > 800
        named.append(tuple(alarm.modules))

    assert named.count(expected) >= at_least


def test_alarms_and_detectors_describe_themselves() -> None:
    detector = ChangeDetector(1.0, 0.0)
    assert detector.threshold == pytest.approx(np.log(2))
    assert repr(detector) == "ChangeDetector(evidence=0.00 of 0.69, count=0)"
    alarm = detector.observe(1.0, "ocr")
    assert isinstance(alarm, Alarm)
    assert repr(alarm) == 'Alarm(evidence=0.69, n_after=1, modules=["ocr"])'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.5, "m", 0.0), "residual == 1.5, must be in [-1, 1]"),
        ((float("nan"), "m", 0.0), "residual == NaN, must be in [-1, 1]"),
        ((0.0, "m", -1.0), "uncertainty == -1, must be finite and >= 0"),
        ((0.1, "m", 0.0, 1.5), "utility == 1.5, must be in [0, 1]"),
        ((0.1, "m", 0.0, 0.05), "residual == 0.1, must be within 1e-9 of the utility less a prediction in [0, 1]"),
        ((0.0, "\ud800", 0.0), "module name == \ufffd\ufffd\ufffd, must be text without lone surrogates"),
    ],
)
def test_a_refused_observation_changes_nothing(arguments: tuple[Any, ...], message: str) -> None:
    detector = ChangeDetector()
    detector.observe(0.3, "m")
    before = detector.state()
    with pytest.raises(InvalidInputError) as refused:
        detector.observe(*arguments)
    assert str(refused.value) == message
    assert detector.state() == before


@pytest.mark.parametrize(("alpha", "slack"), [(0.0, 0.05), (1.5, 0.05), (0.1, -0.1), (0.1, float("nan"))])
def test_settings_out_of_range_are_refused(alpha: float, slack: float) -> None:
    with pytest.raises(InvalidInputError, match=r"^(alpha|slack) == .*, must be in \["):
        ChangeDetector(alpha, slack)


def test_a_state_of_format_1_whose_bets_staked_otherwise_is_refused() -> None:
    with pytest.raises(StateError) as refused:
        ChangeDetector.from_state(FORMAT_1)
    assert str(refused.value) == "state's format version == 1, must be 2"


def test_damaged_states_are_refused() -> None:
    state = ChangeDetector().state()
    for damaged in (b"", state[:-1], state + b"x", b"pilotfsh" + state[8:]):
        with pytest.raises(StateError, match=r"^state"):
            ChangeDetector.from_state(damaged)
