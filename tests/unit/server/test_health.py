"""What each probe is told, and when it changes."""

from unittest.mock import create_autospec

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from pilotfish.server.health import ALIVE_S, Health

SERVICE = "pilotfish.v1.DecisionService"


class World:
    """A clock, a core and a log that fail when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.unlogged = 0
        self.failure: BaseException | None = None
        self.health = Health((SERVICE,), self.decide, lambda: self.unlogged, lambda: self.now_s)

    def decide(self) -> None:
        if self.failure is not None:
            raise self.failure

    def serving(self) -> set[str]:
        names = ("startup", "liveness", "readiness", "", SERVICE)
        return {name for name in names if self.status(name) == HealthCheckResponse.SERVING}

    def status(self, service: str) -> int:
        return int(self.health.Check(HealthCheckRequest(service=service), create_autospec(grpc.ServicerContext)).status)


@pytest.fixture
def world() -> World:
    return World()


def start(world: World) -> None:
    world.health.start()
    world.health.stop()  # the tests beat themselves


def test_before_the_start_nothing_serves(world: World) -> None:
    assert world.serving() == set()


def test_after_the_start_everything_serves(world: World) -> None:
    start(world)

    assert world.serving() == {"startup", "liveness", "readiness", "", SERVICE}


def test_draining_leaves_startup_and_liveness(world: World) -> None:
    start(world)

    world.health.drain()

    assert world.serving() == {"startup", "liveness"}


def test_a_core_that_hangs_is_alive_for_five_seconds_more(world: World) -> None:
    start(world)

    world.now_s += ALIVE_S
    still = world.serving()
    world.now_s += 0.001

    assert {"liveness", "readiness"} <= still
    assert world.serving() == {"startup", "", SERVICE}


@pytest.mark.parametrize("failure", [RuntimeError("bug"), BaseException("a panic of the core")])
def test_a_core_that_fails_is_no_answer(world: World, failure: BaseException) -> None:
    start(world)
    world.failure = failure

    for _ in range(6):
        world.now_s += 1.0
        world.health.beat()

    assert "liveness" not in world.serving()
    world.failure = None
    world.health.beat()
    assert "liveness" in world.serving()


def test_a_log_that_refuses_decisions_makes_it_not_ready_but_alive(world: World) -> None:
    start(world)
    world.unlogged += 3

    world.health.beat()
    while_failing = world.serving()
    world.health.beat()

    assert while_failing == {"startup", "liveness", "", SERVICE}
    assert "readiness" in world.serving()
    assert world.health.is_ready()
