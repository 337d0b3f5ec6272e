"""The round trip: SelectModule against a bare echo in the same process, on the same socket, in the same run.

10 candidates, 20 task features, a request id and a unit, logging and learning on: outcomes of the decisions are
recorded between the rounds. Both methods are called with ready bytes, so that the client costs the same for both and
nothing that the sidecar does is hidden behind it. Rounds alternate; the ratio is the median of the rounds' ratios.
"""

import asyncio
import itertools
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pilotfish import v1

Unary: TypeAlias = "grpc.UnaryUnaryMultiCallable[bytes, bytes]"

SELECT, ECHO = "/pilotfish.v1.DecisionService/SelectModule", "/pilotfish.bench.Echo/Echo"
RECORD = "/pilotfish.v1.OutcomeService/RecordOutcome"
OPTIONS = (("grpc.default_authority", "localhost"),)
IN_FLIGHT = 32
ROUNDS, CALLS = 20, 400
SMOKE_ROUNDS, SMOKE_CALLS = 2, 20


@pytest.fixture(scope="module", params=["inline", "threads"])
def sidecar(request: pytest.FixtureRequest) -> Iterator[str]:
    """A sidecar with an echo beside it; yields the target."""
    with tempfile.TemporaryDirectory(prefix="pf-") as directory:
        settings = {
            "DATA__SOCKET_PATH": f"{directory}/data.sock",
            "STATE__DIRECTORY": f"{directory}/state",
            "MANAGEMENT__HEALTH_PORT": "0",
            "MANAGEMENT__METRICS_PORT": "0",
            "SERVER__BACKEND": request.param,
        }
        environment = os.environ | {f"PILOTFISH_{name}": value for name, value in settings.items()}
        script = Path(__file__).with_name("echo_sidecar.py")
        with subprocess.Popen([sys.executable, str(script)], env=environment, stdout=subprocess.DEVNULL) as process:
            target = f"unix:{directory}/data.sock"
            with grpc.insecure_channel(target, OPTIONS) as channel:
                ready: Unary = channel.unary_unary(ECHO)
                ready(b"", timeout=30, wait_for_ready=True)
            yield target
            process.send_signal(signal.SIGTERM)


def requests(seed: int) -> Iterator[bytes]:
    rng = random.Random(seed)
    request = v1.SelectModuleRequest(candidates=[v1.Module(name=f"module_{i}") for i in range(10)])
    request.task.type = "extract"
    for number in itertools.count():
        for i in range(20):
            request.task.features.numbers[f"feature_{i:02d}"] = rng.gauss(0.0, 1.0)
        request.request_id = f"{seed:08x}{number:024x}"
        request.unit_id = f"unit-{rng.randrange(1000)}"
        yield request.SerializeToString()


def outcome(reply: bytes, rng: random.Random) -> bytes:
    decision_id = v1.SelectModuleResponse.FromString(reply).decision.decision_id
    report = v1.RecordOutcomeRequest(decision_id=decision_id)
    report.signals.add(signal=v1.SIGNAL_QUALITY, value=rng.random())
    return report.SerializeToString()


def sequential_p50_us(channel: grpc.Channel, method: str, bodies: list[bytes]) -> tuple[float, list[bytes]]:
    call: Unary = channel.unary_unary(method)
    times, replies = [], []
    for body in bodies:
        started = time.perf_counter()
        replies.append(call(body, timeout=5))
        times.append(time.perf_counter() - started)
    return 1e6 * statistics.median(times), replies


async def concurrent_per_s(target: str, method: str, bodies: list[bytes]) -> float:
    async with grpc.aio.insecure_channel(target, OPTIONS) as channel:
        call: Any = channel.unary_unary(method)
        waiting = iter(bodies)
        await call(bodies[0], timeout=5, wait_for_ready=True)

        async def caller() -> None:
            for body in waiting:
                await call(body, timeout=5)

        started = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
        return len(bodies) / (time.perf_counter() - started)


def test_p50_of_select_module_against_an_echo(sidecar: str, benchmark: BenchmarkFixture) -> None:
    rounds, calls = (ROUNDS, CALLS) if benchmark.enabled else (SMOKE_ROUNDS, SMOKE_CALLS)
    source, rng, echoes, selects = requests(1), random.Random(2), [], []
    with grpc.insecure_channel(sidecar, OPTIONS) as channel:
        record: Unary = channel.unary_unary(RECORD)

        def one_round() -> None:
            bodies = list(itertools.islice(source, calls))
            echoes.append(sequential_p50_us(channel, ECHO, bodies)[0])
            p50_us, replies = sequential_p50_us(channel, SELECT, bodies)
            selects.append(p50_us)
            for reply in replies:
                record(outcome(reply, rng), timeout=5)

        benchmark.pedantic(one_round, rounds=rounds, warmup_rounds=1)
    ratio = statistics.median(select / echo for select, echo in zip(selects, echoes, strict=True))
    benchmark.extra_info["echo_p50"] = {"value": statistics.median(echoes), "unit": "us"}
    benchmark.extra_info["select_p50"] = {"value": statistics.median(selects), "unit": "us"}
    benchmark.extra_info["ratio"] = {"value": ratio, "unit": "x"}
    if benchmark.enabled:  # a few calls on a busy machine prove nothing
        assert ratio > 1.0, "less than an echo: something other than SelectModule was measured"


def test_throughput_of_select_module_against_an_echo(sidecar: str, benchmark: BenchmarkFixture) -> None:
    rounds, calls = (ROUNDS, 10 * CALLS) if benchmark.enabled else (SMOKE_ROUNDS, SMOKE_CALLS)
    source, echoes, selects = requests(2), [], []

    def one_round() -> None:
        bodies = list(itertools.islice(source, calls))
        echoes.append(asyncio.run(concurrent_per_s(sidecar, ECHO, bodies)))
        selects.append(asyncio.run(concurrent_per_s(sidecar, SELECT, bodies)))

    benchmark.pedantic(one_round, rounds=rounds // 2, warmup_rounds=1)
    ratio = statistics.median(select / echo for select, echo in zip(selects, echoes, strict=True))
    benchmark.extra_info["echo_throughput"] = {"value": statistics.median(echoes), "unit": "1/s"}
    benchmark.extra_info["select_throughput"] = {"value": statistics.median(selects), "unit": "1/s"}
    benchmark.extra_info["ratio"] = {"value": ratio, "unit": "x"}
    assert 0.0 < ratio < 1.0, "more than an echo: something other than SelectModule was measured"
