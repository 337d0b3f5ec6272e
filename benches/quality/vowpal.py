"""Vowpal Wabbit's explorers, through its Python package and its text format.

VW gets the raw numbers, because it normalises them itself, and in a second form standardised ones: it scales but does
not centre, which matters on tables of unlike units. Texts go as words. A feature's name is never a bare integer: VW
takes those as raw indices, which collide across actions.
"""

import re
from typing import Any, Final

import numpy as np

from benches.quality.extras import installed
from benches.quality.policy import Decision, drawn
from benches.quality.standardise import Standardiser
from benches.quality.stream import Features, Outcome, Round

COSTS: Final = "--cb_min_cost -1 --cb_max_cost 0"
EXPLORERS: Final[dict[str, str]] = {
    "epsilon-greedy": "--epsilon 0.05",
    "SquareCB": f"--squarecb {COSTS}",
    "RegCB": f"--regcbopt {COSTS}",
    "bag-5": "--bag 5",
    "cover-5": "--cover 5",
}
"""Flags of each explorer; everything else is VW's default."""

FIXED_EXPLORERS: Final = ("epsilon-greedy", "SquareCB")
"""Those that also run as `--cb_explore K`."""

WORD: Final = re.compile(r"[a-z0-9]+")


class Names:
    """Short names for features, values and modules that mean nothing to VW's parser."""

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}

    def __getitem__(self, key: object) -> int:
        return self._numbers.setdefault(key, len(self._numbers))

    def line(self, features: Features) -> str:
        """Return features as VW text: `f3:0.5` for a number, `f4=v9` for a text."""
        return " ".join(
            f"f{self[name]}=v{self[(name, value)]}" if isinstance(value, str) else f"f{self[name]}:{value:.9g}"
            for name, value in features.items()
        )

    def task(self, round_: Round) -> str:
        """Return namespace s: features, type and words of a task."""
        kind = f"t={self[('task type', round_.task_type)]}" if round_.task_type else ""
        words = " ".join(f"w_{word}" for word in WORD.findall(round_.text.lower()))
        return f"|s {self.line(round_.features)} {kind} {words}"


class Explorer:
    """What both forms share: the workspace, the draw, and the label's rule, cost = −reward."""

    def __init__(self, flags: str, rng: np.random.Generator, *, standardised: bool) -> None:
        self._rng = rng
        self._names = Names()
        self._standardiser = Standardiser() if standardised else None
        self._workspace: Any = installed("vowpalwabbit").Workspace(
            f"{flags} --cb_type mtr --quiet --random_seed {int(rng.integers(1, 2**31))}"
        )
        self._lines: Any = None  # the round decided last, as VW text

    def _task(self, round_: Round) -> str:
        if self._standardiser:
            round_ = round_._replace(features=self._standardiser.standardise(round_.features))
        return self._names.task(round_)

    def _draw(self, predicted: list[float]) -> Decision:
        # VW sums in float32; the draw's probabilities must be the ones that are reported.
        pmf = np.asarray(predicted, dtype=np.float64)
        pmf /= pmf.sum()
        return drawn(int(self._rng.choice(len(pmf), p=pmf)), pmf)


class ActionFeatures(Explorer):
    """`--cb_explore_adf` with products of task and module features (-q sa)."""

    def __init__(self, flags: str, rng: np.random.Generator, _arm_count: int, *, standardised: bool) -> None:
        super().__init__(f"--cb_explore_adf -q sa {flags}", rng, standardised=standardised)

    def decide(self, round_: Round) -> Decision:
        """Draw a module from VW's pmf."""
        arms = [
            f"|a m={self._names[('module', arm.name)]} {self._names.line(arm.features)} "
            + " ".join(f"c={self._names[('capability', tag)]}" for tag in arm.capabilities)
            for arm in round_.arms
        ]
        self._lines = [f"shared {self._task(round_)}", *arms]
        return self._draw(self._workspace.predict(self._lines))

    def learn(self, _round: Round, decision: Decision, outcome: Outcome) -> None:
        """Label the served module's line of the round decided last."""
        place = decision.index + 1
        self._lines[place] = f"0:{-outcome.reward:.9g}:{decision.propensity:.9g} {self._lines[place]}"
        self._workspace.learn(self._lines)


class FixedActions(Explorer):
    """`--cb_explore K`: a model per module, for streams whose modules never change."""

    def __init__(self, flags: str, rng: np.random.Generator, arm_count: int, *, standardised: bool) -> None:
        super().__init__(f"--cb_explore {arm_count} {flags}", rng, standardised=standardised)

    def decide(self, round_: Round) -> Decision:
        """Draw a module from VW's pmf."""
        self._lines = self._task(round_)
        return self._draw(self._workspace.predict(self._lines))

    def learn(self, _round: Round, decision: Decision, outcome: Outcome) -> None:
        """Learn the label of the round decided last."""
        label = f"{decision.index + 1}:{-outcome.reward:.9g}:{decision.propensity:.9g}"
        self._workspace.learn(f"{label} {self._lines}")
