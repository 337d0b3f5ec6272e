"""Specifications and numbers that the tests of the core share."""

import json
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pilotfish._core import Model

Vector = npt.NDArray[np.float64]
SEED = bytes(range(16))


def specification(**changes: object) -> bytes:
    """Return a small specification; `changes` replace single keys wherever they stand."""
    parts: dict[str, Any] = {
        "encoder": {
            "declared": [],
            "declared_scale": 1.0,
            "random_dims": 0,
            "random_length": 1.0,
            "random_scale": 1.0,
            "hashed_dims": 8,
            "text_dims": 4,
            "text_scale": 1.0,
            "shared_dims": 5,
            "shared_task": True,
        },
        "learner": {
            "signals": ["completion", "quality"],
            "module_precision": 1.0,
            "shared_precision": 0.5,
            "noise_variance": 0.1,
            "noise_count": 10.0,
        },
        "explorer": {"kind": "thompson", "scale": 0.5, "anneal_count": 0.0, "floor": 0.02},
    }
    for key, value in changes.items():
        if key in parts:
            parts[key] = value
        else:
            next(part for part in parts.values() if key in part)[key] = value
    return json.dumps(parts).encode()


def encoded_model(n_context: int, n_shared: int, **changes: object) -> Model:
    """Return a model whose context is a bias and one declared vector."""
    declared = [{"kind": "vector", "name": "v", "length": n_context - 1, "scale": 1.0}]
    return Model(specification(declared=declared, hashed_dims=0, text_dims=0, shared_dims=n_shared, **changes))


def numbers(vector: bytes) -> Vector:
    """Return what the core handed out as an array."""
    return np.frombuffer(vector, dtype=np.float64)


def doubles(values: Sequence[float] | Vector) -> "array[float]":
    """Return values as the core takes them."""
    return array("d", np.asarray(values, dtype=np.float64).tobytes())
