"""Metrics are complete: whatever the engine counts is shown."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

import pilotfish
from pilotfish.codes import Source
from pilotfish.engine.engine import Engine
from pilotfish.server.dispatch import Dispatcher
from pilotfish.server.telemetry import EVENTS, Telemetry


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = Engine(tmp_path)
    yield opened
    opened.close()


def shown(engine: Engine, dispatcher: Dispatcher) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(Telemetry(engine, dispatcher, ["SelectModule"], lambda: True, 0.0))
    lines = generate_latest(registry).decode().splitlines()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}


def test_everything_that_the_engine_counts_has_a_metric() -> None:
    counted = set()
    for source in (Path(pilotfish.__file__).parent / "engine").glob("*.py"):
        for node in ast.walk(ast.parse(source.read_bytes())):
            match node:
                case ast.Subscript(
                    value=ast.Attribute(attr="counters" | "_counters"),
                    slice=ast.Tuple(elts=[ast.Constant(value=str(what)), _]),
                ):
                    counted.add(what)

    assert counted == {what for what, *_ in EVENTS}


def test_counts_are_there_from_the_start(engine: Engine) -> None:
    metrics = shown(engine, Dispatcher())

    assert metrics['pilotfish_decisions_total{source="policy"}'] == 0.0
    assert metrics['pilotfish_mode{mode="rollout"}'] == 1.0
    assert metrics["pilotfish_unlogged_decisions_total"] == 0.0


def test_the_engine_s_counters_are_read_when_scraped(engine: Engine) -> None:
    engine.counters["decision", Source.FALLBACK] += 3

    assert shown(engine, Dispatcher())['pilotfish_decisions_total{source="fallback"}'] == 3.0


def test_durations_add_up_over_the_buckets(engine: Engine) -> None:
    dispatcher = Dispatcher()
    dispatcher.calls["SelectModule", "OK"] = 6
    dispatcher.durations["SelectModule"] = [1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]
    dispatcher.duration_sums["SelectModule"] = 4.5

    metrics = shown(engine, dispatcher)

    name = "pilotfish_rpc_duration_seconds"
    assert metrics[name + '_bucket{le="5e-05",method="SelectModule"}'] == 1.0
    assert metrics[name + '_bucket{le="1.0",method="SelectModule"}'] == 3.0
    assert metrics[name + '_bucket{le="+Inf",method="SelectModule"}'] == 6.0
    assert metrics[name + '_count{method="SelectModule"}'] == 6.0
    assert metrics[name + '_sum{method="SelectModule"}'] == 4.5
    assert metrics['pilotfish_rpc_calls_total{code="OK",method="SelectModule"}'] == 6.0
