"""Every explorer draws as often as it says. The suite walks the exports: a new explorer needs no new test."""

import json
import math
import random

import pytest
from scipy.stats import chisquare  # type: ignore[import-untyped]

from pilotfish import _core
from pilotfish._core import Model
from pilotfish.engine.specification import model_specification
from pilotfish.rewards import SIGNAL_NAMES, RewardFunction
from tests.conformance.propensity_audit import audit

N_DRAWS = 200_000
MODULES: list[tuple[str, dict[str, float], tuple[str, ...]]] = [
    (f"m{i}", {"size": float(i)}, ("ocr",)) for i in range(10)
]
TASK: dict[str, float | str] = {"task.type": "ocr", "pages": 3.0}
WEIGHTS = [1.0] * len(SIGNAL_NAMES)


def frozen_model(explorer: str) -> Model:
    """A model that has learned enough to prefer, and not enough to be sure."""
    setting = json.loads(_core.explorer_default(explorer))
    model, rng = Model(model_specification(RewardFunction(), explorer=setting)), random.Random(1)
    for _ in range(120):
        index = rng.randrange(len(MODULES))
        model.learn(TASK, "", MODULES[index], 3, min(1.0, 0.3 + 0.05 * index + 0.2 * rng.random()))
    return model


@pytest.mark.parametrize("explorer", _core.explorer_names())
def test_two_hundred_thousand_draws_fit_the_probabilities(explorer: str) -> None:
    model, rng = frozen_model(explorer), random.Random(2)
    choices = [model.decide(rng.randbytes(16), TASK, "", MODULES, WEIGHTS) for _ in range(N_DRAWS)]

    pmf = list(memoryview(choices[0].pmf).cast("d"))
    served = [choice.index for choice in choices]
    counts = [served.count(i) for i in range(len(MODULES))]

    assert {choice.pmf for choice in choices} == {choices[0].pmf}
    assert model.explores == (max(pmf) < 1.0)
    assert math.fsum(pmf) == pytest.approx(1.0, abs=1e-9)
    assert min(pmf) >= json.loads(_core.explorer_default(explorer)).get("floor", 0.0) / len(MODULES) - 1e-12
    possible = [(count, N_DRAWS * p) for count, p in zip(counts, pmf, strict=True) if p > 0.0]
    assert sum(count for count, _ in possible) == N_DRAWS
    # One action with everything has no degree of freedom left: its count has just been checked.
    assert len(possible) == 1 or chisquare(*zip(*possible, strict=True)).pvalue > 0.001
    result = audit([(pmf, served, [choice.propensity for choice in choices])])
    assert (result.impossible, result.inconsistent) == (0, 0)
    # Four standard errors and not three: with eight explorers one is beyond three by chance in 2 % of all seeds.
    assert abs(result.weight_z) < 4.0


@pytest.mark.parametrize("explorer", _core.explorer_names())
def test_renaming_the_modules_renames_the_probabilities(explorer: str) -> None:
    model = frozen_model(explorer)
    forwards = model.decide(bytes(16), TASK, "", MODULES, WEIGHTS)
    backwards = model.decide(bytes(16), TASK, "", MODULES[::-1], WEIGHTS)
    pmf = list(memoryview(forwards.pmf).cast("d"))
    assert list(memoryview(backwards.pmf).cast("d"))[::-1] == pytest.approx(pmf, abs=1e-12)
