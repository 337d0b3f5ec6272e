"""How tasks become vectors follows from what the log shows."""

import json
import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pilotfish._core import History
from pilotfish.engine.growth import specify
from pilotfish.engine.representation import SLOTS_MAX, SPARSE, choose_model, declare
from pilotfish.engine.specification import model_specification
from pilotfish.request import Features
from pilotfish.rewards import RewardFunction

QUALITY = 3


def history(rows: list[dict[str, Any]]) -> History:
    made = History()
    for row in rows:
        made.append(row, "", ("a", {}, ()), [(QUALITY, 0.5)])
    return made


def numbers(draw: Callable[[random.Random], float], count: int = 400) -> list[dict[str, Any]]:
    rng = random.Random(1)
    return [{"n": draw(rng)} for _ in range(count)]


@pytest.mark.parametrize(
    ("draw", "log"),
    [
        (lambda rng: rng.gauss(5.0, 1.0), False),
        (lambda rng: rng.uniform(0.0, 100.0), False),
        (lambda rng: math.exp(rng.gauss(3.0, 1.5)), True),
        (lambda rng: -math.exp(rng.gauss(3.0, 1.5)), True),
    ],
)
def test_a_skewed_number_is_taken_by_its_logarithm(draw: Callable[[random.Random], float], log: bool) -> None:  # noqa: FBT001
    rows = numbers(draw)
    (feature,) = declare(history(rows))
    values = [row["n"] for row in rows]
    if log:
        values = [math.copysign(math.log1p(abs(value)), value) for value in values]
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    assert (feature["log"], feature["indicator"]) == (log, False)
    assert feature["center"] == pytest.approx(mean, rel=1e-12)
    assert feature["scale"] == pytest.approx(deviation, rel=1e-12)


def test_a_number_that_is_missing_now_and_then_gets_an_indicator() -> None:
    rows = numbers(lambda rng: rng.random())
    (feature,) = declare(history([*rows, {}]))
    assert feature["indicator"] is True


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9, True])
def test_what_never_changed_is_left_out(value: float) -> None:
    assert declare(history([{"n": value}] * 50)) == []


def test_rounding_is_not_scaled_up() -> None:
    assert declare(history([{"n": 1e6 + 1e-9 * (i % 2)} for i in range(50)])) == []


@pytest.mark.parametrize(("rows_per_label", "declared"), [(SPARSE, True), (SPARSE - 1, False)])
def test_a_text_whose_labels_hardly_come_again_is_no_category(rows_per_label: int, declared: bool) -> None:  # noqa: FBT001
    found = declare(history([{"kind": f"k{i % 20}"} for i in range(20 * rows_per_label)]))
    assert [feature["name"] for feature in found] == ["kind"] * declared


def test_vectors_stay_hashed() -> None:
    assert declare(history([{"v": [float(i), 1.0]} for i in range(50)])) == []


def test_the_most_frequent_features_get_the_slots() -> None:
    rng = random.Random(1)
    names = [f"n{i:03}" for i in range(SLOTS_MAX + 40)]
    rows = [{name: rng.random() for name in names} for _ in range(8)]
    rows.append({name: rng.random() for name in names[-300:]})  # the others are missing once: two slots each
    declared = declare(history(rows))
    assert {feature["name"] for feature in declared} >= set(names[-300:])
    assert sum(1 + feature["indicator"] for feature in declared) == SLOTS_MAX
    assert len(declared) == 300 + (SLOTS_MAX - 300) // 2


def chosen(
    reward: Callable[[Mapping[str, Any], str], float], module: Mapping[str, Mapping[str, float]], count: int = 400
) -> dict[str, Any]:
    """Returns the encoder that is chosen for a world of two numbers and a category."""
    rng, made = random.Random(3), History()
    for _ in range(count):
        task: Features = {"x": rng.gauss(0.0, 1.0), "y": rng.gauss(0.0, 1.0), "kind": rng.choice("pqr")}
        name = rng.choice(sorted(module))
        utility = min(1.0, max(0.0, reward(task, name) + rng.gauss(0.0, 0.02)))
        made.append(task, "", (name, dict(module[name]), ()), [(QUALITY, utility)])
    model = choose_model(made, lambda keys: model_specification(RewardFunction(), specify({}, keys)))
    encoder: dict[str, Any] = json.loads(model.specification)["encoder"]
    return encoder


PLAIN: dict[str, dict[str, float]] = {"a": {}, "b": {}}


def test_linear_effects_get_no_curves() -> None:
    encoder = chosen(lambda task, name: 0.5 + (0.1 if name == "a" else -0.1) * task["x"], PLAIN)
    assert encoder["random_dims"] == 0
    assert {feature["name"] for feature in encoder["declared"]} == {"x", "y", "kind"}


def test_curved_effects_get_curves() -> None:
    encoder = chosen(lambda task, name: 0.5 + (0.3 if name == "a" else -0.3) * math.sin(2.5 * task["x"]), PLAIN)
    assert encoder["random_dims"] > 0


def test_modules_that_nothing_describes_share_nothing_but_a_bias() -> None:
    encoder = chosen(lambda task, name: 0.5 + (0.2 if name == "a" else -0.2) * math.tanh(task["x"]), PLAIN)
    assert (encoder["shared_dims"], encoder["shared_task"]) == (1, False)


def test_modules_that_are_described_may_share() -> None:
    described = {
        name: {"size": size} for name, size in zip("abcdefgh", (0.1, 0.3, 0.5, 0.7, 0.2, 0.4, 0.6, 0.8), strict=True)
    }
    encoder = chosen(lambda task, name: described[name]["size"] * (0.5 + 0.3 * (task["kind"] == "p")), described, 120)
    assert encoder["shared_dims"] > 1


def test_what_a_configuration_declares_stands() -> None:
    mine = {"kind": "category", "name": "x", "values": ["1"]}
    base = {"declared": [mine], "hashed_dims": 7}
    suggested = {"declared": [{"name": "x", "kind": "number"}, {"name": "y", "kind": "number"}], "hashed_dims": 8}
    assert specify(base, suggested | {"random_dims": 128}) == {
        "declared": [mine, {"name": "y", "kind": "number"}],
        "hashed_dims": 7,
        "random_dims": 128,
    }
