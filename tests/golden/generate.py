"""Writes the golden vectors. Run by hand, with reason: replay depends on every bit of `frozen.json`.

`python tests/golden/generate.py` needs the built core, NumPy and SciPy. Two kinds of vectors, two files:

- `oracles.json`: expected numbers from NumPy and SciPy, which know nothing of the kernel; each states its tolerance;
- `frozen.json`: what version 0.1.0 of the kernel answered, to the bit. A difference means that logs no longer replay.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish._core import Model, sample
from tests.unit.core.models import Vector, doubles, encoded_model, numbers, specification
from tests.unit.core.test_explorers import (
    CASES,
    ensemble_by_numpy,
    information_ratio_by_scipy,
    soft_ucb_by_numpy,
    softmax_by_numpy,
    thompson_by_scipy,
)
from tests.unit.core.test_posterior import MODULES, DenseTwin, vectors

FOLDER = Path(__file__).parent
TOLERANCES = {"thompson": 1e-4, "information_ratio": 1e-3}
"""Of those whose integrals are a quadrature of few points."""


def explorer_vectors() -> list[dict[str, Any]]:
    """Probabilities from SciPy's integrals or from formulas."""
    cases: list[dict[str, Any]] = []
    for seed, make in enumerate(CASES.values()):
        scores, deviations = make(np.random.default_rng(100 + seed))
        given = {"scores": scores.tolist(), "uncertainties": deviations.tolist()}
        n_actions = len(scores)
        expected = {"thompson": 0.98 * thompson_by_scipy(scores, deviations) + 0.02 / n_actions}
        expected["information_ratio"] = 0.98 * information_ratio_by_scipy(scores, deviations) + 0.02 / n_actions
        best = np.arange(n_actions) == scores.argmax()
        gaps = np.where(best, 0.0, 1 / (n_actions + 10.0 * (scores.max() - scores)))
        expected["inverse_gap"] = np.where(best, 1 - gaps.sum(), gaps)
        expected["epsilon_greedy"] = np.where(best, 0.9, 0.0) + 0.1 / n_actions
        expected["greedy"] = np.where(best, 1.0, 0.0)
        expected["softmax"] = softmax_by_numpy(scores, 0.2)
        expected["soft_ucb"] = 0.9 * soft_ucb_by_numpy(scores, deviations, 0.8, 0.4) + 0.1 / n_actions
        expected["ensemble"] = 0.9 * ensemble_by_numpy(scores, deviations) + 0.1 / n_actions
        settings: dict[str, dict[str, Any]] = {
            "thompson": {"kind": "thompson", "scale": 1.0, "floor": 0.02},
            "information_ratio": {"kind": "information_ratio", "scale": 1.0, "floor": 0.02},
            "inverse_gap": {"kind": "inverse_gap", "gamma": 10.0, "floor": 0.0},
            "epsilon_greedy": {"kind": "epsilon_greedy", "epsilon": 0.1, "floor": 0.0},
            "greedy": {"kind": "greedy"},
            "softmax": {"kind": "softmax", "temperature": 0.2, "floor": 0.0},
            "soft_ucb": {"kind": "soft_ucb", "scale": 0.8, "softness": 0.4, "floor": 0.1},
            "ensemble": {"kind": "ensemble", "scale": 1.0, "floor": 0.1},
        }
        cases += [
            {
                "explorer": settings[name],
                **given,
                "pmf": pmf.tolist(),
                "tolerance": TOLERANCES.get(name, 1e-12),
            }
            for name, pmf in expected.items()
        ]
    return cases


def posterior_vectors() -> dict[str, Any]:
    """A stream of outcomes and what the joint dense regression predicts after it."""
    d, k, random = 9, 3, np.random.default_rng(7)
    twin, stream, queries = DenseTwin(d, k), [], []
    for _ in range(60):
        x, z = vectors(random, d, k)
        module, utility = int(random.integers(2)), float(random.random())
        twin.learn(x, z, module, utility)
        stream.append({"x": x.tolist(), "z": z.tolist(), "module": MODULES[module], "utility": utility})
    for _ in range(5):
        x, _ = vectors(random, d, k)
        shared: list[Vector] = [vectors(random, d, k)[1] for _ in MODULES]
        predicted = [twin.predict(x, z, module) for module, z in enumerate(shared)]
        queries.append(
            {
                "x": x.tolist(),
                "shared": np.concatenate(shared).tolist(),
                "scores": [mean for mean, _ in predicted],
                "uncertainties": [deviation for _, deviation in predicted],
            }
        )
    spec = json.loads(encoded_model(d, k).specification)
    return {"spec": spec, "modules": MODULES, "stream": stream, "queries": queries, "tolerance": 1e-8}


def frozen_vectors() -> dict[str, Any]:
    """Encodings, samples, decisions and a state of the kernel as it is."""
    declared = [
        {"kind": "number", "name": "pages", "center": 1.0, "scale": 2.0, "log": True, "indicator": True},
        {"kind": "category", "name": "type", "values": ["pdf", "txt"]},
        {"kind": "vector", "name": "embedding", "length": 3, "scale": 0.5},
    ]
    spec = specification(declared=declared)
    tasks: list[dict[str, Any]] = [
        {"features": {}, "text": ""},
        {
            "features": {"pages": 12.0, "type": "pdf", "embedding": [0.1, -0.2, 0.3]},
            "text": "Extract the TABLES, please",
        },
        {
            "features": {"pages": -3.5, "type": "docx", "urgent": True, "size": 1e9, "v": [1.0, -2.0]},
            "text": "überraschung 漢字",
        },
        {"features": {"type": 4.0, "language": "de", "urgent": False, "embedding": "none"}, "text": "a a b"},
    ]
    modules: list[dict[str, Any]] = [
        {"name": "ocr", "features": {"cost": 0.5, "gpu": True, "family": "vision"}, "capabilities": ["pdf", "image"]},
        {"name": "text", "features": {"cost": 0.1}, "capabilities": []},
        {"name": "plain", "features": {}, "capabilities": []},
    ]
    as_tuples = [(module["name"], module["features"], module["capabilities"]) for module in modules]
    model, decisions = Model(spec), []
    for step in range(120):
        task, module = tasks[step % len(tasks)], as_tuples[step // 2 % 3]
        model.learn(task["features"], task["text"], module, step % 2, (step * 7 % 11) / 10)
    for i, task in enumerate(tasks * 2):
        seed, weights = bytes([i] * 16), [1.0, 0.5 * (i % 3)]
        choice = model.decide(seed, task["features"], task["text"], as_tuples, weights)
        decisions.append(
            {
                "seed": seed.hex(),
                "task": i % len(tasks),
                "weights": weights,
                "index": choice.index,
                "pmf": choice.pmf.hex(),
                "scores": choice.scores.hex(),
                "uncertainties": choice.uncertainties.hex(),
            }
        )
    encodings = [
        {
            "x": numbers(model.encode_task(task["features"], task["text"])).tolist(),
            "z": [numbers(model.encode_module(task["features"], module)).tolist() for module in as_tuples],
        }
        for task in tasks
    ]
    seeds = [i.to_bytes(16, "big") for i in range(20)]
    pmf = [0.1, 0.0, 0.4, 0.3, 0.2]
    return {
        "spec": json.loads(spec),
        "version": model.version,
        "tasks": tasks,
        "modules": modules,
        "encodings": encodings,
        "sampling": {
            "pmf": pmf,
            "seeds": [seed.hex() for seed in seeds],
            "actions": [sample(doubles(pmf), seed) for seed in seeds],
        },
        "decisions": decisions,
        "state": model.state().hex(),
    }


def main() -> None:
    """Write both files."""
    oracles = {"origin": "NumPy and SciPy", "explorers": explorer_vectors(), "posterior": posterior_vectors()}
    frozen = {"origin": "pilotfish-kernel 0.1.0, state format 2", **frozen_vectors()}
    for name, vectors_ in (("oracles", oracles), ("frozen", frozen)):
        text = json.dumps(vectors_, indent=1, ensure_ascii=False)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
