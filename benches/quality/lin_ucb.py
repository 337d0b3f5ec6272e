"""LinUCB with disjoint models, the reference learner (Li, Chu, Langford, Schapire 2010, algorithm 1).

A model per module name; the inverse is kept by Sherman–Morrison. Features are standardised by what has been seen so
far, texts are one-hot, words are counted in hashed slots. A slot appears when its feature first does: before, it was 0
for every task, so that growing by the identity is exact.
"""

import math
import re
import zlib

import numpy as np
from numpy.typing import NDArray

from benches.quality.policy import Decision
from benches.quality.standardise import Standardiser
from benches.quality.stream import Floats, Outcome, Round

ALPHAS = (0.05, 0.1, 0.25, 0.5, 1.0)
SCALED_ALPHAS = (0.25, 0.5, 1.0)
"""Widths for scaled vectors, whose bounds are narrower; with them the data's published LinUCB figures come out."""

WORD_SLOTS = 64
WORD = re.compile(r"[a-z0-9]+")


class TaskVector:
    """Turns tasks into vectors, numbers standardised by the past.

    Args:
        scaled: Divide what a task holds, but for slot 0, by the square root of how many features it holds, so that the
            width of a bound does not grow with their number.
    """

    def __init__(self, *, scaled: bool = False) -> None:
        self._scaled = scaled
        self.size = 1
        self._numbers = Standardiser()
        self._slots: dict[tuple[str, ...], int] = {}

    def _slot(self, key: tuple[str, ...]) -> int:
        if key not in self._slots:
            self._slots[key] = self.size
            self.size += 1
        return self._slots[key]

    def encode(self, round_: Round) -> Floats:
        """Return the task as float64 [size]; slot 0 is 1. Counts the task as seen."""
        cells = {0: 1.0}
        for name, value in self._numbers.standardise(round_.features).items():
            if isinstance(value, str):
                cells[self._slot((name, value))] = 1.0
            else:
                cells[self._slot((name,))] = value
        if round_.task_type:
            cells[self._slot(("task type", round_.task_type))] = 1.0
        words = WORD.findall(round_.text.lower())
        for word in words:
            slot = self._slot(("word", str(zlib.crc32(word.encode()) % WORD_SLOTS)))
            cells[slot] = cells.get(slot, 0.0) + 1.0 / math.sqrt(len(words))
        x = np.zeros(self.size)
        x[list(cells)] = list(cells.values())
        if self._scaled:
            x[1:] /= math.sqrt(max(1, len(round_.features) + bool(round_.task_type) + bool(round_.text)))
        return x


class LinUcb:
    """score_a = θ_a·x + alpha √(xᵀ A_a⁻¹ x) with A_a = I + Σ x xᵀ, θ_a = A_a⁻¹ Σ r x; the first best is served."""

    def __init__(self, alpha: float, *, scaled: bool = False) -> None:
        self._alpha = alpha
        self._tasks = TaskVector(scaled=scaled)
        self._rows: dict[str, int] = {}
        self._inverse = np.zeros((0, 1, 1))
        self._theta = np.zeros((0, 1))
        self._encoded: tuple[Round, Floats] | None = None

    def _reserve(self, arms: int, slots: int) -> None:
        """Make room, by half as much again, so that growing costs little on average."""
        held_arms, held_slots = self._theta.shape
        if arms <= held_arms and slots <= held_slots:
            return
        new_arms = held_arms if arms <= held_arms else max(arms, held_arms + held_arms // 2)
        new_slots = held_slots if slots <= held_slots else max(slots, held_slots + held_slots // 2)
        inverse, theta = np.tile(np.eye(new_slots), (new_arms, 1, 1)), np.zeros((new_arms, new_slots))
        inverse[:held_arms, :held_slots, :held_slots] = self._inverse
        theta[:held_arms, :held_slots] = self._theta
        self._inverse, self._theta = inverse, theta

    def decide(self, round_: Round) -> Decision:
        """Serve the module with the highest upper confidence bound."""
        rows = [self._rows.setdefault(arm.name, len(self._rows)) for arm in round_.arms]
        x = self._tasks.encode(round_)
        self._reserve(len(self._rows), len(x))
        x = np.pad(x, (0, self._theta.shape[1] - len(x)))
        self._encoded = (round_, x)
        mean, variance = self._posterior(np.array(rows), x)
        return Decision(int(np.argmax(mean + self._alpha * np.sqrt(np.maximum(variance, 0.0)))))

    def _posterior(self, rows: NDArray[np.int64], x: Floats) -> tuple[Floats, Floats]:
        """Return θ_a·x and xᵀ A_a⁻¹ x, float64 [K] each."""
        held = np.flatnonzero(x)
        if 2 * len(held) < len(x):  # labels: most slots are 0, and reading the others is most of the work
            x = x[held]
            inverse, theta = self._inverse[rows[:, None, None], held[:, None], held], self._theta[rows[:, None], held]
        elif rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
            inverse, theta = self._inverse[rows[0] : rows[-1] + 1], self._theta[rows[0] : rows[-1] + 1]  # no copy
        else:
            inverse, theta = self._inverse[rows], self._theta[rows]
        return theta @ x, (inverse.reshape(-1, len(x)) @ x).reshape(len(rows), -1) @ x

    def learn(self, round_: Round, decision: Decision, outcome: Outcome) -> None:
        """Update the served module's model; the round must be the one decided last."""
        assert self._encoded is not None, "learn comes after decide"
        decided, x = self._encoded
        assert decided is round_, "the round must be the one decided last"
        row = self._rows[round_.arms[decision.index].name]
        direction = self._inverse[row] @ x
        gain = direction / (1.0 + float(x @ direction))
        self._inverse[row] -= np.outer(gain, direction)
        self._theta[row] += gain * (outcome.reward - float(self._theta[row] @ x))
