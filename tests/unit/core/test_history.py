"""Histories: what they describe, and that a model trained on one is the model that learned it."""

import threading
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pytest

from pilotfish._core import History, Model
from pilotfish.exceptions import InvalidInputError
from tests.unit.core.models import SEED, numbers, specification

Features = Mapping[str, float | str | bool | list[float]]
DECLARED = [
    {"kind": "number", "name": "pages", "center": 3.0, "scale": 2.0, "log": True, "indicator": True},
    {"kind": "number", "name": "size", "center": 0.0, "scale": 1.0, "log": False, "indicator": False},
    {"kind": "category", "name": "type", "values": ["pdf", "txt"]},
    {"kind": "vector", "name": "v", "length": 2, "scale": 0.5},
]
SPEC = specification(declared=DECLARED, declared_scale=0.4, random_dims=11, random_length=0.8, random_scale=2.0)


def rows(n: int, seed: int) -> list[tuple[Any, ...]]:
    """Return n rows (task, text, module, values, weight) with mixed kinds, signals and weights."""
    random, found = np.random.default_rng(seed), []
    for i in range(n):
        task: dict[str, float | str | bool | list[float]] = {
            "pages": float(random.integers(100)),
            "type": ["pdf", "txt", "csv"][i % 3],
            "odd": i % 2 == 0,
        }
        if i % 4:
            task |= {"size": float(random.normal()), "v": random.normal(size=2).tolist()}
        module = (f"m{random.integers(4)}", {"cost": float(random.random())}, ("pdf", "ocr")[: i % 3])
        utilities = random.random(2)
        values = [[(0, utilities[0])], [(1, utilities[1])], [(0, utilities[0]), (1, utilities[1])], []][i % 4]
        found.append((task, f"words {i % 5}", module, values, [1.0, 0.3, 12.5][i % 3]))
    return found


def appended(given: list[tuple[Any, ...]]) -> History:
    history = History()
    for row in given:
        history.append(*row)
    return history


def described(*tasks: Features) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", appended([(task, "", ("m", {}, ()), [], 1.0) for task in tasks]).describe())


def test_training_equals_learning_one_by_one() -> None:
    given, one_by_one = rows(300, seed=1), Model(SPEC)
    for task, text, module, values, weight in given:
        for signal, utility in values:
            one_by_one.learn(task, text, module, signal, utility, weight)
    trained = Model.trained(SPEC, appended(given))
    ours, theirs = trained.arrays(), one_by_one.arrays()
    assert ours.keys() == theirs.keys()
    assert sum("/module/" in key for key in ours) == 2 * 4 * 7
    for key, value in ours.items():
        np.testing.assert_allclose(numbers(value), numbers(theirs[key]), rtol=1e-9, atol=1e-9, err_msg=key)
    assert trained.learned_count == one_by_one.learned_count == 300
    assert trained.evidence == pytest.approx(one_by_one.evidence, abs=1e-8)


def test_same_history_gives_the_same_bits_and_is_not_used_up() -> None:
    given = rows(80, seed=2)
    history = appended(given)
    state = Model.trained(SPEC, history).state()
    assert Model.trained(SPEC, history).state() == Model.trained(SPEC, appended(given)).state() == state
    assert Model.from_state(state, SPEC).state() == state


def test_order_of_rows_matters_only_by_rounding() -> None:
    given = rows(80, seed=3)
    forward, backward = Model.trained(SPEC, appended(given)), Model.trained(SPEC, appended(given[::-1]))
    for key, value in forward.arrays().items():
        np.testing.assert_allclose(numbers(value), numbers(backward.arrays()[key]), rtol=1e-9, atol=1e-9)


def test_trained_model_decides_and_learns_on() -> None:
    given = rows(60, seed=4)
    trained = Model.trained(SPEC, appended(given))
    choice = trained.decide(SEED, given[0][0], "", [row[2] for row in given[:1]], [1.0, 1.0])
    assert numbers(choice.scores)[0] != 0.0
    trained.learn(given[1][0], "", given[1][2], 0, 0.5)
    assert trained.learned_count == Model.trained(SPEC, appended(given)).learned_count + 1


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (({"pages": float("nan")}, "", ("a", {}, ()), [(0, 0.5)], 1.0), "pages == NaN, must be finite"),
        (({"v": [1.0]}, "", ("a", {}, ()), [(0, 0.5)], 1.0), "v == 1 elements, must be a vector of 2 elements"),
        (({}, "", ("", {}, ()), [(0, 0.5)], 1.0), 'module.name == "", must be a text that is not empty'),
        (({}, "", ("a", {"c": float("inf")}, ()), [(0, 0.5)], 1.0), "c == inf, must be finite"),
        (({}, "", ("a", {}, ()), [(2, 0.5)], 1.0), "signal == 2, must be below 2, the number of signals"),
        (({}, "", ("a", {}, ()), [(0, 1.5)], 1.0), "utility == 1.5, must be in [0, 1]"),
        (({}, "", ("a", {}, ()), [(0, 0.5)], 0.0), "weight == 0, must be in (0, 1024]"),
        (({}, "", ("a", {}, ()), [(0, 0.5)], float("nan")), "weight == NaN, must be in (0, 1024]"),
    ],
)
def test_row_that_breaks_a_rule_is_refused_when_trained_on(bad: tuple[Any, ...], message: str) -> None:
    history = appended([*rows(5, seed=5), bad])
    with pytest.raises(InvalidInputError) as refused:
        Model.trained(SPEC, history)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"values": [(-1, 0.5)]}, "signal == -1, must be a whole number >= 0"),
        ({"task": {"odd": None}}, "odd == NoneType, must be a number, a text, a flag or a list of numbers"),
        ({"module": ("a", {})}, "module == a tuple of 2, must be a tuple (name, features, capabilities)"),
    ],
)
def test_row_of_another_type_is_refused_when_appended(changed: dict[str, Any], message: str) -> None:
    history = appended(rows(3, seed=6))
    arguments: dict[str, Any] = {"task": {}, "text": "", "module": ("a", {}, ()), "values": [(0, 0.5)]} | changed
    with pytest.raises(InvalidInputError) as refused:
        history.append(**arguments)
    assert str(refused.value) == message
    assert len(history) == 3


def test_numbers_are_described_by_their_moments() -> None:
    values = np.random.default_rng(7).lognormal(2.0, 1.5, size=500) * np.where(np.arange(500) % 5, 1.0, -1.0)
    (found,) = described(*({"n": float(v)} for v in values))
    assert (found["name"], found["kind"], found["count"]) == ("n", "number", 500)
    for key, column in (("plain", values), ("log", np.sign(values) * np.log1p(np.abs(values)))):
        deviation = column.std()
        skewness = ((column - column.mean()) ** 3).mean() / deviation**3
        np.testing.assert_allclose(found[key], [column.mean(), deviation, skewness], rtol=1e-11)


def test_equal_numbers_have_no_deviation_not_even_by_rounding() -> None:
    (found,) = described(*({"n": 0.1} for _ in range(1000)))
    assert found["plain"] == (0.1, 0.0, 0.0)
    assert found["log"] == (np.log1p(0.1), 0.0, 0.0)


def test_flags_are_numbers_and_whole_numbers_too() -> None:
    (found,) = described({"f": True}, {"f": False}, {"f": 1}, {"f": 2.0})
    assert (found["kind"], found["count"]) == ("number", 4)
    np.testing.assert_allclose(found["plain"][:2], [1.0, float(np.std([1, 0, 1, 2]))], rtol=1e-12)


def test_texts_of_few_values_are_categories() -> None:
    (found,) = described({"t": "b"}, {}, {"t": "a"}, {"t": "b"})
    assert found == {"name": "t", "kind": "category", "count": 3, "labels": ["a", "b"]}
    assert len(described(*({"t": str(i)} for i in range(64)))[0]["labels"]) == 64
    assert described(*({"t": str(i)} for i in range(65))) == []


def test_vectors_of_one_length_are_described_by_their_scale() -> None:
    vectors = np.random.default_rng(8).normal(size=(40, 3)) * 7
    (found,) = described(*({"v": vector.tolist()} for vector in vectors))
    assert found == {"name": "v", "kind": "vector", "count": 40, "length": 3, "scale": found["scale"]}
    assert found["scale"] == pytest.approx(np.sqrt((vectors**2).mean()), rel=1e-12)
    assert described({"v": [1.0]}, {"v": [1.0, 2.0]}) == []


@pytest.mark.parametrize("other", ["a", [1.0]])
def test_features_that_change_their_kind_are_left_out(other: str | list[float]) -> None:
    found = described({"x": 1.0, "y": 2.0}, {"x": other, "y": 3.0})
    assert [column["name"] for column in found] == ["y"]
    assert described({"x": other}, {"x": 1.0}) == []


def test_features_come_by_name_and_modules_do_not_count() -> None:
    history = appended([({"b": 1.0, "a": "x"}, "text", ("m", {"c": 1.0}, ("tag",)), [(0, 0.5)], 2.0)])
    assert [column["name"] for column in history.describe()] == ["a", "b"]
    assert History().describe() == []


def test_whether_modules_are_described_is_known() -> None:
    bare, tagged, priced = (
        appended([({}, "", ("m", *rest), [], 1.0)]) for rest in [({}, ()), ({}, ("t",)), ({"c": 1.0}, ())]
    )
    assert (bare.describes_modules, tagged.describes_modules, priced.describes_modules) == (False, True, True)


def test_appending_goes_on_while_a_model_is_trained() -> None:
    given = rows(200, seed=9)
    history, faults = appended(given), []

    def train() -> None:
        for _ in range(20):
            count = Model.trained(SPEC, history).learned_count
            if count < 200:
                faults.append(count)

    threads = [threading.Thread(target=train) for _ in range(2)]
    for thread in threads:
        thread.start()
    for row in given:
        history.append(*row)
    for thread in threads:
        thread.join()
    assert not faults
    assert len(history) == 400
    assert Model.trained(SPEC, history).state() == Model.trained(SPEC, appended(given + given)).state()
