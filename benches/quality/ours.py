"""The adapter of Pilotfish's model: the default specification, every reward on the quality head."""

from typing import Any

import numpy as np

from benches.quality.policy import Decision, drawn
from benches.quality.stream import Features, Outcome, Round
from pilotfish._core import Model
from pilotfish.codes import Signal
from pilotfish.engine.specification import DEFAULT_EXPLORER, model_specification
from pilotfish.rewards import SIGNAL_NAMES, RewardFunction, weight_vector

QUALITY = SIGNAL_NAMES.index("quality")
WEIGHTS = weight_vector({Signal.QUALITY: 1.0})


class Pilotfish:
    """The served model.

    Args:
        rng: Makes the decision ids, from which every draw follows.
        floor: Least probability of a module times their number; None: the default's.
    """

    def __init__(self, rng: np.random.Generator, floor: float | None = None) -> None:
        explorer: dict[str, Any] = dict(DEFAULT_EXPLORER) | ({} if floor is None else {"floor": floor})
        self._model = Model(model_specification(RewardFunction(), explorer=explorer))
        self._rng = rng

    def decide(self, round_: Round) -> Decision:
        """Draw a module."""
        modules = [(arm.name, dict(arm.features), arm.capabilities) for arm in round_.arms]
        choice = self._model.decide(self._rng.bytes(16), task_features(round_), round_.text, modules, WEIGHTS)
        return drawn(choice.index, np.frombuffer(choice.pmf))

    def learn(self, round_: Round, decision: Decision, outcome: Outcome) -> None:
        """Learn the reward as the quality of what was served."""
        arm = round_.arms[decision.index]
        module = (arm.name, dict(arm.features), arm.capabilities)
        self._model.learn(task_features(round_), round_.text, module, QUALITY, outcome.reward)


def task_features(round_: Round) -> Features:
    """Return the features as the engine passes them: the task's type among them."""
    return {**round_.features, "task.type": round_.task_type} if round_.task_type else round_.features
