"""The golden vectors through Python; `rust_core/kernel/tests/golden.rs` reads the same files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish._core import Model, explore, sample
from tests.unit.core.models import doubles, numbers

FOLDER = Path(__file__).parents[2] / "golden"
ORACLES: dict[str, Any] = json.loads((FOLDER / "oracles.json").read_text(encoding="utf-8"))
FROZEN: dict[str, Any] = json.loads((FOLDER / "frozen.json").read_text(encoding="utf-8"))
SPEC = json.dumps(FROZEN["spec"]).encode()


def module(entry: dict[str, Any]) -> tuple[str, dict[str, Any], list[str]]:
    return entry["name"], entry["features"], entry["capabilities"]


@pytest.mark.parametrize("case", ORACLES["explorers"])
def test_explorers_agree_with_their_oracle(case: dict[str, Any]) -> None:
    setting = json.dumps(case["explorer"]).encode()
    pmf = explore(setting, doubles(case["scores"]), doubles(case["uncertainties"]))
    np.testing.assert_allclose(numbers(pmf), case["pmf"], atol=case["tolerance"])


def test_posterior_agrees_with_its_oracle() -> None:
    golden = ORACLES["posterior"]
    model = Model(json.dumps(golden["spec"]).encode())
    for seen in golden["stream"]:
        model.learn_encoded(doubles(seen["x"]), doubles(seen["z"]), seen["module"], 0, seen["utility"])
    for query in golden["queries"]:
        context, shared = doubles(query["x"]), doubles(query["shared"])
        choice = model.decide_encoded(bytes(16), context, shared, golden["modules"], [1.0, 0.0])
        np.testing.assert_allclose(numbers(choice.scores), query["scores"], atol=golden["tolerance"])
        np.testing.assert_allclose(numbers(choice.uncertainties), query["uncertainties"], atol=golden["tolerance"])


def test_encodings_have_the_frozen_bits() -> None:
    model = Model(SPEC)
    for task, expected in zip(FROZEN["tasks"], FROZEN["encodings"], strict=True):
        assert numbers(model.encode_task(task["features"], task["text"])).tolist() == expected["x"]
        for entry, z in zip(FROZEN["modules"], expected["z"], strict=True):
            assert numbers(model.encode_module(task["features"], module(entry))).tolist() == z


def test_samples_are_the_frozen_ones() -> None:
    frozen = FROZEN["sampling"]
    actions = [sample(doubles(frozen["pmf"]), bytes.fromhex(seed)) for seed in frozen["seeds"]]
    assert actions == frozen["actions"]


def test_the_frozen_fold_gives_the_frozen_state_and_version() -> None:
    model = Model(SPEC)
    for step in range(120):
        task = FROZEN["tasks"][step % len(FROZEN["tasks"])]
        entry = FROZEN["modules"][step // 2 % 3]
        model.learn(task["features"], task["text"], module(entry), step % 2, (step * 7 % 11) / 10)
    assert model.version == FROZEN["version"]
    assert model.state().hex() == FROZEN["state"]


def test_the_frozen_state_gives_the_frozen_decisions() -> None:
    model = Model.from_state(bytes.fromhex(FROZEN["state"]), SPEC)
    modules = [module(entry) for entry in FROZEN["modules"]]
    for decision in FROZEN["decisions"]:
        task = FROZEN["tasks"][decision["task"]]
        seed = bytes.fromhex(decision["seed"])
        choice = model.decide(seed, task["features"], task["text"], modules, decision["weights"])
        assert choice.index == decision["index"]
        assert choice.pmf.hex() == decision["pmf"]
        assert choice.scores.hex() == decision["scores"]
        assert choice.uncertainties.hex() == decision["uncertainties"]
