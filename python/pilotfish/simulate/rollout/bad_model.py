"""A model that has learned the opposite of what is true: what a wrong sign in somebody's reward makes."""

import random
import time
from pathlib import Path
from typing import Final

from pilotfish._core import Model
from pilotfish.codes import Signal
from pilotfish.engine.specification import model_specification
from pilotfish.request import reserved_features
from pilotfish.rewards import RewardFunction
from pilotfish.simulate.hub import described
from pilotfish.simulate.table import Table
from pilotfish.training.registry import Registry

LEARNED: Final = 2000
"""Outcomes that it has learned, enough to be sure of itself."""


def write_bad_model(table: Table, directory: Path, seed: int) -> Path:
    """Write a sound file of a bad model and return its path."""
    model = Model(model_specification(RewardFunction()))
    rng = random.Random(seed)
    modules = [(module.name, dict(described(module).features), ()) for module in table.modules]
    for _ in range(LEARNED):
        request = rng.choice(table.requests)
        place = rng.randrange(len(modules))
        features = reserved_features(request.task, 0, None, None)
        model.learn(features, request.query, modules[place], Signal.QUALITY - 1, 1.0 - request.qualities[place])
    Registry(directory).keep(model, birth=0, note="a wrong sign", actor="demo", now_us=time.time_ns() // 1000)
    return next(directory.glob("*.snapshot"))
