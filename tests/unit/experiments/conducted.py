"""A real engine under a conductor, and traffic for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pilotfish.codes import Mode, Signal
from pilotfish.engine.deciding import Decision
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.engine.helm import Kept
from pilotfish.experiments.conductor import Conductor
from pilotfish.experiments.settings import RolloutSettings
from pilotfish.request import Module, Outcome, Request, Task
from pilotfish.rewards import RewardFunction
from pilotfish.training.registry import Registry

PLAN = RolloutSettings(
    stages=(0.25, 0.5, 1.0),
    guardrails={"reward": 0.05, "completion": 0.05},
    min_outcomes=30,
    min_stage_s=0.0,
    settle_s=0.0,
    outcome_window_s=0.0,
)
MODULES = (Module("good"), Module("bad"))


@contextmanager
def conducted(
    directory: Path,
    settings: RolloutSettings = PLAN,
    mode: Mode = Mode.ROLLOUT,
    share: float = 0.5,
    *,
    recalled: bool = True,
) -> Iterator[Conductor]:
    """Open an engine that learns nothing, so that its policy takes either module half of the time, and conduct it."""
    registry = Registry(directory / "models")

    def load_kept(version: str) -> Kept:
        model, info = registry.load(version)
        return Kept(model, info.birth)

    engine = Engine(directory, EngineSettings(mode=mode, rollout_share=share, growth="off"), load_kept=load_kept)
    try:
        if not engine.exposure.paused:
            engine.helm.change("pause_learning", "test", "", paused=True)
        conductor = Conductor(engine, settings, RewardFunction(), registry)
        if recalled:
            conductor.following.recall(threading.Event())
        yield conductor
    finally:
        engine.close()


def decide(conductor: Conductor, name: str, baseline: str) -> Decision:
    return conductor.engine.decide(Request(Task("t"), MODULES, baseline_module=baseline, unit_id=name))


def report(conductor: Conductor, decision: Decision, completion: float | None = None) -> None:
    if completion is None:
        completion = 1.0 if decision.module == "good" else 0.5
    conductor.engine.record_outcome(Outcome({Signal.COMPLETION: completion}, decision.decision_id))


def traffic(conductor: Conductor, count: int, baseline: str, first: int = 0) -> list[Decision]:
    """Answer so many units and report of each at once: `good` does twice as well, `bad` trips no breaker."""
    decisions = []
    for i in range(first, first + count):
        decisions.append(decide(conductor, f"u{i}", baseline))
        report(conductor, decisions[-1])
    return decisions
