"""The adapter of Pilotfish: the default specification, every reward on the quality head."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benches.quality.policy import Decision, drawn
from benches.quality.stream import Arm, Features, Outcome, Round
from pilotfish._core import History, Model
from pilotfish.codes import Signal
from pilotfish.engine.change import Change, change_of, new_detectors, weight_after
from pilotfish.engine.growth import HISTORY_MAX, next_due
from pilotfish.engine.health import LIVE_REWARD, Health
from pilotfish.engine.representation import choose_model
from pilotfish.engine.specification import DEFAULT_EXPLORER, model_specification
from pilotfish.rewards import SIGNAL_NAMES, RewardFunction, weight_vector

QUALITY = SIGNAL_NAMES.index("quality")
WEIGHTS = weight_vector({Signal.QUALITY: 1.0})


class Pilotfish:
    """The served model, grown as the engine grows it; its log is a list.

    Args:
        rng: Makes the decision ids, from which every draw follows.
        floor: Least probability of a module times their number; None: the default's.
        tells_live: The setting `policy.live_reward`.
    """

    def __init__(self, rng: np.random.Generator, floor: float | None = None, *, tells_live: bool = False) -> None:
        self._explorer: dict[str, Any] = dict(DEFAULT_EXPLORER) | ({} if floor is None else {"floor": floor})
        self._model = Model(self._specify({}))
        self._rows: list[tuple[Any, ...]] = []
        self._changes: list[Change] = []
        self._detector = new_detectors()[QUALITY]
        self._due = next_due(0)
        self._health = Health()
        self._tells_live = tells_live
        self._rng = rng

    def _specify(self, encoder: Mapping[str, Any]) -> bytes:
        return model_specification(RewardFunction(), encoder=dict(encoder), explorer=self._explorer)

    def decide(self, round_: Round) -> Decision:
        """Draw a module."""
        modules = [self._module(arm) for arm in round_.arms]
        choice = self._model.decide(self._rng.bytes(16), task_features(round_), round_.text, modules, WEIGHTS)
        return drawn(choice.index, np.frombuffer(choice.pmf))

    def learn(self, round_: Round, decision: Decision, outcome: Outcome) -> None:
        """Learn the reward as the quality of what was served."""
        arm = round_.arms[decision.index]
        row = (task_features(round_), round_.text, self._module(arm))
        residual, uncertainty = self._model.learn(*row, QUALITY, outcome.reward)
        self._health.observe(arm.name, Signal.QUALITY, outcome.reward)
        self._rows.append((*row, [(QUALITY, outcome.reward)]))
        alarm = self._detector.observe(residual, arm.name, uncertainty, outcome.reward)
        if alarm is not None:
            since = len(self._rows) - alarm.n_after
            self._changes.append(change_of(alarm, QUALITY, since, since))
        if alarm is not None or len(self._rows) >= self._due:
            self._regrow()

    def _module(self, arm: Arm) -> tuple[str, dict[str, Any], Any]:
        live = self._health.live_reward(arm.name) if self._tells_live else None
        return arm.name, {**arm.features, **({} if live is None else {LIVE_REWARD: live})}, arm.capabilities

    def _regrow(self) -> None:
        history = History()
        first = max(0, len(self._rows) - HISTORY_MAX)
        for sequence, row in enumerate(self._rows[first:], first):
            task, text, module, values = row
            history.append(task, text, module, values, weight_after(self._changes, sequence, module[0]))
        self._model = choose_model(history, self._specify)
        self._due = next_due(len(self._rows))
        self._detector = new_detectors()[QUALITY]


def task_features(round_: Round) -> Features:
    """Return the features as the engine passes them: the task's type among them."""
    return {**round_.features, "task.type": round_.task_type} if round_.task_type else round_.features
