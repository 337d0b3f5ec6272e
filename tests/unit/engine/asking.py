"""Requests and outcomes that the engine's tests share."""

import random
from pathlib import Path
from typing import Any

from pilotfish.codes import Mode, Signal
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.request import Module, Request, Task

MODULES = tuple(Module(name, {"size": float(i)}) for i, name in enumerate("abcde"))


def ask(task_type: str = "ocr", *, unit_id: str = "", request_id: str = "", **fields: Any) -> Request:  # noqa: ANN401
    return Request(Task(task_type), MODULES, unit_id=unit_id, request_id=request_id, **fields)


def open_engine(state_dir: Path) -> Engine:
    # Without births, which come when the upkeep thread finds the time: these tests compare states.
    return Engine(state_dir, EngineSettings(mode=Mode.ON, growth="off"))


def reopened(engine: Engine) -> Engine:
    engine.close()
    return open_engine(engine.state_dir)


def decisions(engine: Engine, count: int, seed: int = 1) -> list[str]:
    rng = random.Random(seed)
    return [engine.decide(ask(rng.choice(("ocr", "search")))).decision_id for _ in range(count)]


def signals(seed: int) -> dict[int, float]:
    rng = random.Random(seed)
    drawn: dict[int, float] = {Signal.COMPLETION: float(rng.random() < 0.8), Signal.QUALITY: rng.random()}
    if rng.random() < 0.5:
        drawn[Signal.LATENCY_MS] = rng.expovariate(0.01)
    return drawn
