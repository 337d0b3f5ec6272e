"""Half values that do not fit, and signals that say nothing."""

import logging
import random
from collections import Counter
from pathlib import Path

import pytest

from pilotfish.codes import Mode, Signal
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.engine.ranges import BLOCK, Ranges, judge
from pilotfish.request import Outcome
from pilotfish.rewards import RewardFunction
from tests.unit.engine.asking import decisions

SLOW = [100_000.0 + i for i in range(BLOCK)]
TOO_SLOW = (
    "latency_ms has a utility below 0.02 in 500 of 500 values, so they all look alike: half_value == 1000 does not fit"
    " values around 1e+05; set rewards.half_values: {latency_ms: 1e+05}"
)


@pytest.mark.parametrize(
    ("signal", "block", "verdict"),
    [
        (Signal.LATENCY_MS, SLOW, TOO_SLOW),
        (Signal.COST_USD, [1e-6 * (1 + i % 7) for i in range(500)], "cost_usd has a utility above 0.98 in 500 of 500"),
        (Signal.COST_USD, [1.0] * 470 + [0.01, 0.02] * 15, ""),
        (Signal.COST_USD, [1.0] * 475 + [0.01] * 25, "cost_usd has a utility below 0.02 in 475 of 500"),
        (Signal.LATENCY_MS, [900.0] * 250 + [1100.0] * 250, ""),
        (Signal.RETRY_COUNT, [0.0] * 499 + [1.0], ""),
        (Signal.RETRY_COUNT, [0.0] * 500, "retry_count was 0 in each of 500 values"),
        (Signal.COMPLETION, [1.0] * 500, "completion was 1 in each of 500 values"),
        (Signal.COMPLETION, [1.0] * 499 + [0.0], ""),
        (Signal.QUALITY, [0.999, 1.0] * 250, ""),
    ],
)
def test_block_is_judged_by_the_stated_rule(signal: Signal, block: list[float], verdict: str) -> None:
    found = judge(signal, block, RewardFunction())
    assert found.startswith(verdict)
    assert bool(found) == bool(verdict)


def test_order_within_a_block_does_not_matter() -> None:
    rng = random.Random(2)
    block = [10.0 ** rng.uniform(4, 7) for _ in range(BLOCK)]
    shuffled = rng.sample(block, BLOCK)
    assert judge(Signal.LATENCY_MS, shuffled, RewardFunction()) == judge(Signal.LATENCY_MS, block, RewardFunction())


def test_what_is_suggested_is_cured() -> None:
    assert judge(Signal.LATENCY_MS, SLOW, RewardFunction(half_values={Signal.LATENCY_MS: 1e5})) == ""


def test_mismatch_is_counted_by_block_and_logged_once_until_it_is_cured(caplog: pytest.LogCaptureFixture) -> None:
    counters: Counter[tuple[str, int | str]] = Counter()
    ranges = Ranges(RewardFunction(), counters)
    sound = [100.0 * (1 + i % 100) for i in range(BLOCK)]
    said = []
    with caplog.at_level(logging.WARNING):
        for block in (SLOW[:-1], SLOW[-1:], SLOW, sound, SLOW):
            for value in block:
                ranges.observe(Signal.LATENCY_MS, value)
            said.append((counters["range_mismatch", Signal.LATENCY_MS], len(caplog.records), ranges.warnings))
    assert said == [(0, 0, ()), (1, 1, (TOO_SLOW,)), (2, 1, (TOO_SLOW,)), (2, 1, ()), (3, 2, (TOO_SLOW,))]
    assert caplog.messages[0] == f"signal range: {TOO_SLOW}"


def test_engine_warns_and_still_does_after_a_restart(tmp_path: Path) -> None:
    engine = Engine(tmp_path, EngineSettings(mode=Mode.ON, growth="off"))
    for value, decision_id in zip(SLOW, decisions(engine, BLOCK), strict=True):
        engine.record_outcome(Outcome({Signal.LATENCY_MS: value, Signal.QUALITY: value % 2}, decision_id=decision_id))
    assert engine.range_warnings == (TOO_SLOW,)
    engine.close()
    engine = Engine(tmp_path, EngineSettings(mode=Mode.ON, growth="off"))
    assert engine.range_warnings == (TOO_SLOW,)
    engine.close()
    cured = Engine(tmp_path, EngineSettings(mode=Mode.ON), RewardFunction(half_values={Signal.LATENCY_MS: 1e5}))
    assert cured.range_warnings == ()
    cured.close()
