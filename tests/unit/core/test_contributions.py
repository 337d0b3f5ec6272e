"""Contributions add up to the score; what the parts mean is tested in `rust_core/kernel/tests/contributions.rs`."""

import json
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish._core import Model
from pilotfish.exceptions import InvalidInputError
from tests.unit.core.models import SEED, numbers, specification

NAMES = ("size", "type", "pages", "scanned", "v", "ü")
VALUES = st.one_of(
    st.floats(-1e12, 1e12), st.sampled_from(["pdf", "txt", "docx", ""]), st.booleans(), st.lists(st.floats(-9, 9))
)
FEATURES = st.dictionaries(st.sampled_from(NAMES), VALUES)
MODULES = st.tuples(
    st.sampled_from(["ocr", "text", "empty"]), FEATURES, st.lists(st.sampled_from(["pdf", "image"])).map(tuple)
)
DECLARED = [
    {"kind": "number", "name": "size", "center": 1.0, "scale": 2.0, "log": True, "indicator": True},
    {"kind": "number", "name": "pages", "center": 0.0, "scale": 5.0, "log": False, "indicator": False},
    {"kind": "category", "name": "type", "values": ["pdf", "txt"]},
]


@st.composite
def specifications(draw: st.DrawFn) -> bytes:
    """Draw a specification of any shape."""
    encoder = json.loads(specification())["encoder"]
    encoder |= {
        "declared": draw(st.sampled_from([[], DECLARED[:1], DECLARED])),
        "declared_scale": draw(st.sampled_from([0.0, 0.5, 1.0])),
        "random_dims": draw(st.sampled_from([0, 9])),
        "hashed_dims": draw(st.sampled_from([0, 1, 8])),
        "text_dims": draw(st.sampled_from([0, 1, 5])),
        "shared_dims": draw(st.sampled_from([1, 2, 17])),
        "shared_task": draw(st.booleans()),
    }
    return specification(encoder=encoder)


@given(
    spec=specifications(),
    seen=st.lists(
        st.tuples(FEATURES, st.text(max_size=20), MODULES, st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=12
    ),
    weights=st.tuples(st.floats(0, 1e3), st.floats(0, 1e3)),
)
def test_contributions_sum_to_the_score(spec: bytes, seen: Sequence[Any], weights: tuple[float, float]) -> None:
    model = Model(spec)
    for task, text, module, signal, utility in seen:
        model.learn(task, text, module, signal, utility)
    for task, text, module, _, _ in seen:
        (score,) = numbers(model.decide(SEED, task, text, [module], weights).scores)

        parts = model.contributions(task, text, module, weights)

        assert sum(value for _, value in parts) == pytest.approx(score, abs=1e-9)
        assert parts == sorted(parts, key=lambda part: (-abs(part[1]), part[0]))
        assert len(dict(parts)) == len(parts)


def test_two_features_of_a_linear_task_contribute_as_the_ridge_regression_says() -> None:
    declared = [
        {"kind": "number", "name": name, "center": 0.0, "scale": 1.0, "log": False, "indicator": False} for name in "ab"
    ]
    sizes = {"hashed_dims": 0, "text_dims": 0, "shared_dims": 1, "shared_precision": 1e6}
    model = Model(specification(declared=declared, **sizes))
    rng = np.random.default_rng(4)
    rows = rng.uniform(-1, 1, (50, 2))
    utilities = 0.5 + 0.3 * rows[:, 0] - 0.1 * rows[:, 1]
    for (a, b), utility in zip(rows.tolist(), utilities.tolist(), strict=True):
        model.learn({"a": a, "b": b}, "", ("m", {}, ()), 0, utility)
    x = np.column_stack((np.ones(50), rows))
    # A precision of 1e6 leaves nothing to the shared bias: the ridge regression of the module alone.
    theta = np.linalg.solve(x.T @ x + np.eye(3), x.T @ utilities)

    parts = dict(model.contributions({"a": 0.5, "b": -2.0}, "", ("m", {}, ()), [1.0, 0.0]))

    assert parts.keys() == {"bias", "feature:a", "feature:b", "shared:bias"}
    expected = {"bias": theta[0], "feature:a": 0.5 * theta[1], "feature:b": -2.0 * theta[2]}
    assert {name: parts[name] for name in expected} == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": {"size": float("nan")}}, "size == NaN, must be finite"),
        ({"task": 3}, "task == int, must be a mapping"),
        ({"text": "\ud800"}, "text == \ufffd\ufffd\ufffd, must be text without lone surrogates"),
        ({"module": ("", {}, ())}, 'module.name == "", must be a text that is not empty'),
        ({"module": ("a", {})}, "module == a tuple of 2, must be a tuple (name, features, capabilities)"),
        ({"weights": [1.0]}, "len(weights) == 1, must be 2, one per signal"),
        ({"weights": [1.0, -1.0]}, "weights == -1, must be in [0, 1e9]"),
    ],
)
def test_refusals_name_value_and_rule(changes: dict[str, Any], message: str) -> None:
    arguments = {"task": {}, "text": "", "module": ("a", {}, ()), "weights": [1.0, 1.0]} | changes
    with pytest.raises(InvalidInputError) as refused:
        Model(specification()).contributions(**cast("Any", arguments))
    assert str(refused.value) == message
