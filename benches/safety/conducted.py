"""An engine, its registry and its conductor over a directory, with a clock on the wall that we turn."""

import random
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from unittest import mock

from pilotfish._core import Model
from pilotfish.codes import Mode, Signal
from pilotfish.engine import deciding
from pilotfish.engine import engine as engine_module
from pilotfish.engine.deciding import Decision
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.engine.helm import Kept
from pilotfish.engine.specification import model_specification
from pilotfish.experience import births, constraint_sets, defaults, exposures, log, upkeep
from pilotfish.experience.exposures import Exposure
from pilotfish.experiments import conductor as conducting
from pilotfish.experiments import following
from pilotfish.experiments.conductor import Conductor
from pilotfish.experiments.settings import RolloutSettings
from pilotfish.request import Module, Outcome, Request, Task
from pilotfish.rewards import RewardFunction
from pilotfish.safety.breakers import BreakerSettings
from pilotfish.safety.settings import SafetySettings
from pilotfish.training.registry import Registry

START_US: Final = 1_800_000_000_000_000
LEARNED: Final = 400
"""Outcomes of each module that a pinned policy has learned: enough to be sure of itself."""

_TELLERS: Final = (
    *(births, conducting, constraint_sets, deciding, defaults, engine_module, exposures, following, log, upkeep),
)
"""Modules that ask for the wall's time."""


class Wall:
    """A clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now_us = START_US

    def __call__(self) -> int:
        """Return microseconds since 1970."""
        return self.now_us

    def pass_s(self, seconds: float) -> None:
        """Let time pass; negative: the clock is put back."""
        self.now_us += round(seconds * 1e6)


@contextmanager
def turned(wall: Wall) -> Iterator[None]:
    """Have everything read this clock."""
    with ExitStack() as stack:
        for teller in _TELLERS:
            stack.enter_context(mock.patch.object(teller, "now_us", wall))
        yield


def believing(success: Mapping[str, float], task_types: tuple[str, ...] = ("t",), seed: int = 1) -> Model:
    """Return a model that is sure of what succeeds, whatever is true."""
    model = Model(model_specification(RewardFunction()))
    rng = random.Random(seed)
    for _ in range(LEARNED):
        for name, share in success.items():
            features = {"task.type": rng.choice(task_types)}
            completed = float(rng.random() < share)
            model.learn(features, "", (name, {}, ()), Signal.COMPLETION - 1, completed)
    return model


class Hub:
    """Asks and reports; reopens what it has opened.

    Args:
        folder: Where everything is kept.
        modules: What is offered.
        plan: The rollout's.
        share: Of units, at the beginning.
        policy: What is pinned as the policy; None: the live model, which then learns.
        rewards: From raw signals to utilities.
        settings: Fields of `EngineSettings` that differ.
    """

    def __init__(
        self,
        folder: Path,
        modules: tuple[str, ...],
        plan: RolloutSettings,
        *,
        share: float,
        policy: Model | None = None,
        rewards: RewardFunction | None = None,
        **settings: object,
    ) -> None:
        self.folder = folder
        self.modules = tuple(Module(name) for name in modules)
        self.plan = plan
        self.rewards = rewards or RewardFunction()
        # Breakers are off: here the rollout alone must stop what is bad.
        safety = SafetySettings(breakers=BreakerSettings(enabled=False))
        known: dict[str, object] = {"mode": Mode.ROLLOUT, "rollout_share": share, "growth": "off", "safety": safety}
        self.settings = EngineSettings(**known | settings)  # type: ignore[arg-type]
        self.registry = Registry(folder / "models")
        self.open()
        if policy is not None:
            info = self.registry.keep(policy, birth=0, note="pinned", actor="bench", now_us=START_US)
            self.engine.helm.change("promote", "bench", "pinned", policy=info.sha256)

    def open(self) -> None:
        """Open the engine and conduct it."""

        def load_kept(version: str) -> Kept:
            loaded = self.registry.load(version)
            return Kept(loaded.model, loaded.info.birth)

        self.engine = Engine(self.folder, self.settings, self.rewards, load_kept)
        self.conductor = Conductor(self.engine, self.plan, self.rewards, self.registry)

    def reopen(self, plan: RolloutSettings | None = None, **settings: object) -> None:
        """Close and open again, as after a restart, perhaps with other settings."""
        self.engine.close()
        self.plan = plan or self.plan
        fields = {name: getattr(self.settings, name) for name in EngineSettings.__struct_fields__}
        self.settings = EngineSettings(**fields | settings)
        self.open()

    def ask(self, unit: str, *, baseline: str, task_type: str = "t") -> Decision:
        """Ask for a decision."""
        return self.engine.decide(Request(Task(task_type), self.modules, baseline_module=baseline, unit_id=unit))

    def report(self, decision: Decision, signals: Mapping[Signal, float], served: str = "") -> None:
        """Report an outcome."""
        raw = {int(signal): value for signal, value in signals.items()}
        self.engine.record_outcome(Outcome(raw, decision_id=decision.decision_id, served_module=served))

    def changes(self, action: str, actor: str = "automatic") -> list[Exposure]:
        """Return the changes of a kind that somebody has made."""
        return [change for change in self.engine.changes(1000) if (change.action, change.actor) == (action, actor)]


@contextmanager
def hub(
    modules: tuple[str, ...], plan: RolloutSettings, share: float, policy: Model | None = None, **more: object
) -> Iterator[Hub]:
    """Open a hub in a directory of its own, and close it."""
    with tempfile.TemporaryDirectory() as directory:
        opened = Hub(Path(directory), modules, plan, share=share, policy=policy, **more)  # type: ignore[arg-type]
        try:
            yield opened
        finally:
            opened.engine.close()
