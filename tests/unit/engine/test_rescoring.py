"""Raw signals are on the log, so other weights and other half values give what they would have given from the start."""

import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish._core import Model
from pilotfish.codes import Mode, Signal
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.engine.folding import fold
from pilotfish.engine.specification import model_specification
from pilotfish.experience.log import now_us
from pilotfish.request import Outcome, Request, Task
from pilotfish.rewards import DEFAULT_HALF_VALUES, MAXIMUM, RewardFunction
from tests.unit.engine.asking import MODULES, ask

OFFER = [(module.name, module.features, module.capabilities) for module in MODULES]
N_SIGNALS = len(Signal)

weight_vectors = st.lists(st.just(0.0) | st.floats(1e-3, 1000.0), min_size=N_SIGNALS, max_size=N_SIGNALS).filter(any)
seeds = st.integers(0, 2**32)
half_value_sets = st.fixed_dictionaries({signal: st.floats(1e-3, 1e5) for signal in DEFAULT_HALF_VALUES})


def open_engine(state_dir: Path, rewards: RewardFunction | None = None) -> Engine:
    return Engine(state_dir, EngineSettings(mode=Mode.ON, id_seed="rescoring", growth="off"), rewards)


def drawn(rng: random.Random) -> tuple[dict[int, float], frozenset[int]]:
    """Return any subset of the signals, of which some unbounded ones are lower bounds."""
    values: dict[int, float] = {}
    for signal in rng.sample(list(Signal), rng.randint(1, N_SIGNALS)):
        values[signal] = rng.random() if MAXIMUM[signal] == 1.0 else 10.0 ** rng.uniform(-3, 5)
    return values, frozenset(signal for signal in values if signal in DEFAULT_HALF_VALUES and rng.random() < 0.3)


def scores(model: Model, weights: list[float], task: str = "ocr", offer: list[Any] = OFFER) -> list[float]:
    return list(memoryview(model.decide(bytes(16), {"task.type": task}, "", offer, weights).scores).cast("d"))


def copied(source: Engine, target: Engine, decision_id: str) -> None:
    """Put a decision of one log on another one, as if it had been made there."""
    logged = source.log.get_decision(decision_id)
    number = target.log.register_model(logged.model_version, b"")
    row = (logged.decision_id, logged.module, logged.propensity, logged.source, number, logged.record)
    assert target.log.append_decisions([row]) == [True]


@settings(max_examples=30)
@given(seed=seeds, weights=weight_vectors)
def test_score_is_the_weighted_mean_of_what_each_signal_predicts(seed: int, weights: list[float]) -> None:
    rng = random.Random(seed)
    with TemporaryDirectory() as directory:
        engine = open_engine(Path(directory))
        for _ in range(rng.randint(0, 12)):
            values, lower_bounds = drawn(rng)
            decision_id = engine.decide(ask(rng.choice(("ocr", "search")))).decision_id
            engine.record_outcome(Outcome(values, decision_id, lower_bounds=lower_bounds))
        observed = {signal for (what, signal), count in engine.counters.items() if what == "learned" and count}
        counted = [weight if i + 1 in observed else 0.0 for i, weight in enumerate(weights)]
        request = Request(Task("ocr", features={"task.type": "ocr"}, weights=tuple(weights)), MODULES)
        record = engine.decide(request).record
        served = list(memoryview(record.scores).cast("d"))
        # With the candidates as they are on record: how they have done lately is attached.
        offer = [(module.name, module.features, module.capabilities) for module in record.request.candidates]
        one_signal = [[float(i == head) for i in range(N_SIGNALS)] for head in range(N_SIGNALS)]
        heads = [scores(engine.model, weights, offer=offer) for weights in one_signal]
        engine.close()
    for k, score in enumerate(served):
        expected = sum(w * head[k] for w, head in zip(counted, heads, strict=True)) / (sum(counted) or 1.0)
        assert score == pytest.approx(expected, rel=1e-12, abs=1e-12)


@settings(max_examples=20)
@given(seed=seeds, at_first=weight_vectors, instead=weight_vectors)
def test_other_weights_score_every_step_as_if_they_had_been_in_force(
    seed: int, at_first: list[float], instead: list[float]
) -> None:
    rng = random.Random(seed)
    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        other = RewardFunction(dict(zip(Signal, instead, strict=True)))
        engine = open_engine(Path(one), RewardFunction(dict(zip(Signal, at_first, strict=True))))
        twin = open_engine(Path(two), other)
        for _ in range(8):
            own = tuple(rng.uniform(0.1, 9.0) for _ in Signal) if rng.random() < 0.5 else None  # or the configured ones
            decision_id = engine.decide(Request(Task(rng.choice(("ocr", "search")), weights=own), MODULES)).decision_id
            copied(engine, twin, decision_id)
            values, lower_bounds = drawn(rng)
            for each in (engine, twin):
                each.record_outcome(Outcome(values, decision_id, lower_bounds=lower_bounds))
            assert scores(engine.model, instead) == scores(twin.model, instead)
        folded = fold(engine.log, model_specification(other), other)
        assert folded.model.state() == twin.model.state() == engine.model.state()
        engine.close()
        twin.close()


@settings(max_examples=20)
@given(seed=seeds, half_values=half_value_sets)
def test_other_half_values_refold_the_log_into_the_model_that_they_would_have_made(
    seed: int, half_values: dict[Signal, float]
) -> None:
    rng = random.Random(seed)
    silence = {Signal.LATENCY_MS: 60_000.0, Signal.COMPLETION: 0.0}
    at_first, instead = RewardFunction(defaults=silence), RewardFunction(half_values=half_values, defaults=silence)
    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        engine, twin = open_engine(Path(one), at_first), open_engine(Path(two), instead)
        ids = []
        for step in range(9):
            ids.append(engine.decide(ask(rng.choice(("ocr", "search")))).decision_id)
            copied(engine, twin, ids[-1])
            values, lower_bounds = drawn(rng)
            new = rng.random() < 0.5  # otherwise nothing is reported, or nothing yet
            overdue = now_us() + 10**9
            for each in (engine, twin):
                if new:
                    each.record_outcome(Outcome(values, ids[-1], lower_bounds=lower_bounds))
                if step % 4 == 3:
                    each._learner.expire(overdue)  # noqa: SLF001
        folded = fold(engine.log, model_specification(instead), instead)
        assert folded.model.state() == twin.model.state()
        assert folded.model.version != engine.model.version
        engine.close()  # writes a checkpoint, which must not be taken for the other model's
        reopened = open_engine(Path(one), instead)
        assert reopened.state_sha256() == twin.state_sha256()
        reopened.close()
        twin.close()


def test_default_that_was_learned_stays_learned_under_other_defaults(tmp_path: Path) -> None:
    engine = open_engine(tmp_path, RewardFunction(defaults={Signal.QUALITY: 0.25}))
    for _ in range(5):
        engine.decide(ask())
    engine._learner.expire(now_us() + 10**11)  # noqa: SLF001
    for defaults in ({}, {Signal.QUALITY: 0.75}):
        rewards = RewardFunction(defaults=defaults)
        assert fold(engine.log, model_specification(rewards), rewards).model.state() == engine.model.state()
    engine.close()
