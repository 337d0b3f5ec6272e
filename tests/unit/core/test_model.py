"""The crossing: what goes in, what comes out, what is refused, and that a refusal changes nothing."""

import gc
import json
import re
import sys
import threading
from array import array
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import pytest
from typing_extensions import Buffer

from pilotfish._core import Model, sample
from pilotfish.exceptions import InvalidInputError, StateError
from tests.unit.core.models import SEED, doubles, encoded_model, numbers, specification

TASK: dict[str, float | str | bool | list[float]] = {"pages": 12.0, "type": "pdf", "scanned": True, "v": [1.0, 2.0]}
MODULES = [("ocr", {"cost": 0.5, "gpu": True}, ("pdf", "image")), ("text", {"cost": 0.1}, ()), ("empty", {}, ())]
WEIGHTS = [1.0, 0.5]


@pytest.fixture
def model() -> Model:
    model = Model(specification())
    for step in range(30):
        model.learn(TASK, "a few words", MODULES[step % 2], step % 2, step % 5 / 4)
    return model


def test_same_state_arguments_and_seed_give_the_same_bits(model: Model) -> None:
    twin = Model.from_state(model.state(), specification())
    shuffled = dict(reversed(TASK.items()))
    ours = model.decide(SEED, TASK, "words", MODULES, WEIGHTS)
    theirs = twin.decide(SEED, shuffled, "words", tuple(MODULES), tuple(WEIGHTS))
    assert (ours.index, ours.pmf, ours.scores, ours.uncertainties) == (
        theirs.index,
        theirs.pmf,
        theirs.scores,
        theirs.uncertainties,
    )


def test_propensity_is_the_probability_of_the_sampled_action(model: Model) -> None:
    for i in range(200):
        seed = i.to_bytes(16, "big")
        choice = model.decide(seed, TASK, "words", MODULES, WEIGHTS)
        pmf = numbers(choice.pmf)
        assert choice.propensity == pmf[choice.index]
        assert choice.index == sample(choice.pmf, seed)
        assert pmf.sum() == pytest.approx(1.0, abs=1e-12)
        assert pmf.min() >= 0.02 / 3


def test_decision_does_not_change_the_model(model: Model) -> None:
    before = model.state()
    model.decide(SEED, TASK, "words", MODULES, WEIGHTS)
    assert model.state() == before


def test_version_names_the_specification() -> None:
    one, other = Model(specification()), Model(specification(noise_count=11))
    assert re.fullmatch("[0-9a-f]{64}", one.version)
    assert one.version == Model(one.specification).version != other.version
    assert json.loads(one.specification) == json.loads(specification())


def test_sizes_follow_from_the_specification() -> None:
    declared = [
        {"kind": "number", "name": "pages", "center": 0, "scale": 10, "log": True, "indicator": True},
        {"kind": "category", "name": "type", "values": ["pdf", "txt", "csv"]},
        {"kind": "vector", "name": "v", "length": 4, "scale": 1},
    ]
    model = Model(specification(declared=declared))
    assert (model.n_context, model.n_shared, model.n_signals) == (1 + 2 + 3 + 4 + 8 + 4, 5, 2)
    assert (model.explorer, model.learned_count) == ("thompson", 0)
    x = numbers(model.encode_task({"pages": 9.0, "type": "txt"}, ""))
    np.testing.assert_allclose(x[:10], [1, np.log(10) / 10, 0, 0, 1, 0, 0, 0, 0, 0], atol=1e-15)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, np.array, lambda x: x])
def test_vectors_come_in_as_any_contiguous_buffer(wrap: Callable[["array[float]"], Buffer]) -> None:
    model, x = encoded_model(4, 1), [1.0, 0.5, -0.5, 2.0]
    model.learn_encoded(wrap(doubles(x)), None, "a", 0, 1.0)
    assert numbers(model.arrays()["completion/module/a/sum_xr"]).tolist() == x


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (np.arange(8.0)[::2], "context == a strided buffer, must be a C-contiguous buffer of float64"),
        (np.ones(4, dtype=np.float32), "context == ndarray, must be a C-contiguous buffer of float64"),
        ([1.0, 0.0, 0.0, 0.0], "context == list, must be a C-contiguous buffer of float64"),
        (b"123", "context == 3 bytes, must be a multiple of 8 bytes"),
        (doubles([1.0]), "len(context) == 1, must be 4"),
        (doubles([1.0, float("nan"), 0.0, 0.0]), "context[1] == NaN, must be finite and within ±1000"),
        (doubles([1.0, 0.0, 1001.0, 0.0]), "context[2] == 1001, must be finite and within ±1000"),
    ],
)
def test_vectors_that_break_a_rule_are_refused(context: Buffer, message: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        encoded_model(4, 1).decide_encoded(SEED, context, None, ["a"], WEIGHTS)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": b"short"}, "seed == 5 bytes, must be 16 bytes"),
        ({"task": {"pages": float("inf")}}, "pages == inf, must be finite"),
        ({"task": {"v": [1.0, float("nan")]}}, "v == NaN, must be finite"),
        ({"task": {"v": [1.0, "x"]}}, "v == str, must be numbers"),
        ({"task": {"odd": None}}, "odd == NoneType, must be a number, a text, a flag or a list of numbers"),
        ({"task": {1: 2.0}}, "feature name == int, must be a text"),
        ({"task": [1]}, "task == list, must be a mapping"),
        ({"modules": []}, "len(modules) == 0, must be in [1, 1000]"),
        ({"modules": [(f"m{i}", {}, ()) for i in range(1001)]}, "len(modules) == 1001, must be in [1, 1000]"),
        ({"modules": [("a", {}, ()), ("a", {}, ())]}, "modules[1].name == a, must be in the list once"),
        ({"modules": [("", {}, ())]}, 'modules[0].name == "", must be a text that is not empty'),
        ({"modules": [("a", {})]}, "module == a tuple of 2, must be a tuple (name, features, capabilities)"),
        ({"modules": [("a", {}, "pdf")]}, "capabilities == str, must be a sequence of texts"),
        ({"modules": [("a", {"cost": float("-inf")}, ())]}, "cost == -inf, must be finite"),
        ({"modules": "abc"}, "modules == str, must be a list or a tuple"),
        ({"weights": [1.0]}, "len(weights) == 1, must be 2, one per signal"),
        ({"weights": [1.0, -0.5]}, "weights == -0.5, must be in [0, 1e9]"),
        ({"weights": [1.0, float("nan")]}, "weights == NaN, must be in [0, 1e9]"),
        ({"weights": ["1", 1.0]}, "weights == str, must be numbers"),
    ],
)
def test_requests_that_break_a_rule_are_refused(model: Model, changed: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "seed": SEED,
        "task": TASK,
        "text": "",
        "modules": MODULES,
        "weights": WEIGHTS,
    } | changed
    with pytest.raises(InvalidInputError) as refused:
        model.decide(**arguments)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"signal": 2}, "signal == 2, must be below 2, the number of signals"),
        ({"signal": -1}, "signal == -1, must be a whole number >= 0"),
        ({"utility": float("nan")}, "utility == NaN, must be in [0, 1]"),
        ({"utility": 1.0000001}, "utility == 1.0000001, must be in [0, 1]"),
        ({"task": {"pages": float("nan")}}, "pages == NaN, must be finite"),
        ({"module": ("", {}, ())}, 'module.name == "", must be a text that is not empty'),
    ],
)
def test_outcomes_that_break_a_rule_change_nothing(model: Model, changed: dict[str, Any], message: str) -> None:
    before = model.state()
    arguments: dict[str, Any] = {"task": TASK, "text": "", "module": MODULES[0], "signal": 0, "utility": 0.5} | changed
    with pytest.raises(InvalidInputError) as refused:
        model.learn(**arguments)
    assert str(refused.value) == message
    assert model.state() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise_variance": 0}, "learner.noise_variance == 0, must be in (0, 1e6]"),
        ({"signals": []}, "learner.signals == [], must be a list of different texts, none of them empty"),
        ({"shared_dims": 0}, "encoder.shared_dims == 0, must be a whole number in [1, 1024]"),
        ({"hashed_dims": 1.5}, "encoder.hashed_dims == 1.5, must be a whole number in [0, 1024]"),
        ({"explorer": {"kind": "x", "floor": 0}}, "explorer.kind == x, must be one of uniform, epsilon_greedy, "),
        ({"declared": [{"kind": "number", "name": "a"}]}, "encoder.declared[0].center == absent, must be finite"),
    ],
)
def test_specifications_that_break_a_rule_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        Model(specification(**changes))
    assert str(refused.value).startswith(message)


def test_unknown_and_absent_keys_are_refused() -> None:
    parts = json.loads(specification())
    with pytest.raises(InvalidInputError, match=r"^magic == 1, must be absent: the keys are encoder, "):
        Model(json.dumps(parts | {"magic": 1}).encode())
    del parts["explorer"]
    with pytest.raises(InvalidInputError, match=r"^explorer == absent, must be an object$"):
        Model(json.dumps(parts).encode())


def test_meaning_of_utilities_is_part_of_the_version() -> None:
    plain = json.loads(specification())
    with_rewards = Model(json.dumps(plain | {"rewards": {"version": 2}}).encode())
    assert with_rewards.version != Model(specification()).version
    with pytest.raises(StateError, match="specs differ"):
        with_rewards.merge(Model(specification()))


def test_features_may_be_any_mapping(model: Model) -> None:
    frozen: Mapping[str, Any] = MappingProxyType(TASK)
    assert model.encode_task(frozen, "") == model.encode_task(TASK, "")


def test_numbers_may_be_whole_or_numpy(model: Model) -> None:
    task = cast("dict[str, float]", {"pages": 12, "n": np.float64(3.0), "v": np.array([1.0, 2.0])})
    same: dict[str, float | list[float]] = {"pages": 12.0, "n": 3.0, "v": [1.0, 2.0]}
    assert model.encode_task(task, "") == model.encode_task(same, "")


def test_lone_surrogates_are_refused(model: Model) -> None:
    with pytest.raises(InvalidInputError, match="must be text without lone surrogates"):
        model.encode_task({}, "\ud800")


def test_threads_may_decide_while_others_learn(model: Model) -> None:
    faults: list[str] = []

    def decide() -> None:
        for i in range(2_000):
            choice = model.decide(i.to_bytes(16, "big"), TASK, "words", MODULES, WEIGHTS)
            if choice.propensity != numbers(choice.pmf)[choice.index]:
                faults.append(f"decision {i}")

    def learn() -> None:
        for step in range(2_000):
            model.learn(TASK, "words", MODULES[step % 3], step % 2, 0.5)
            if step % 500 == 0:
                Model.from_state(model.state(), specification())

    threads = [threading.Thread(target=target) for target in (decide, learn, decide, learn)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert model.learned_count == 4_030


def test_calls_do_not_leak_references(model: Model) -> None:
    names = ["a module", "another"]
    x = doubles([1.0] * model.n_context)
    gc.collect()
    before = [sys.getrefcount(thing) for thing in (names[0], x, names)]
    for _ in range(1_000):
        model.decide_encoded(SEED, x, None, names, WEIGHTS)
        model.learn_encoded(x, None, names[0], 0, 0.5)
    assert [sys.getrefcount(thing) for thing in (names[0], x, names)] == before
