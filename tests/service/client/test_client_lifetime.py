"""Opening, closing, and several loops."""

import asyncio

import pytest

from pilotfish.client import AsyncClient, Client
from pilotfish.client.channel import Wire
from pilotfish.exceptions import StateError
from tests.service.client.conftest import OpenTwin
from tests.service.client.fake_sidecar import FakeSidecar

PATIENT_MS = 5000.0


def test_a_client_may_be_made_before_its_sidecar(open_twin: OpenTwin, request: pytest.FixtureRequest) -> None:
    hub = open_twin(deadline_ms=PATIENT_MS)
    request.getfixturevalue("sidecar")
    assert hub.select_module("t", candidates=["a"]).source == "policy"


def test_a_closed_client_says_so(open_twin: OpenTwin, sidecar: FakeSidecar) -> None:
    hub = open_twin(deadline_ms=PATIENT_MS)
    hub.select_module("t", candidates=["a"])
    hub.close()
    hub.close()
    with pytest.raises(StateError, match="client is closed, must be open"):
        hub.select_module("t", candidates=["a"])
    assert len(sidecar.decision_requests) == 1


def test_a_client_that_was_never_used_can_be_closed(open_twin: OpenTwin) -> None:
    open_twin().close()


def test_leaving_the_block_closes_a_blocking_client(socket: str) -> None:
    with Client(socket) as client:
        pass
    with pytest.raises(StateError):
        client.select_module("t", candidates=["a"])


async def test_leaving_the_block_closes_an_asyncio_client(socket: str) -> None:
    async with AsyncClient(socket) as client:
        pass
    with pytest.raises(StateError):
        await client.select_module("t", candidates=["a"])


def test_one_asyncio_client_serves_several_loops_in_turn(socket: str, sidecar: FakeSidecar) -> None:
    client = AsyncClient(socket, deadline_ms=PATIENT_MS)

    async def ask() -> str:
        return (await client.select_module("t", candidates=["a"])).source

    assert [asyncio.run(ask()), asyncio.run(ask())] == ["policy", "policy"]
    assert len(sidecar.decision_requests) == 2


async def test_a_cancelled_call_is_cancelled_and_opens_no_circuit(socket: str, sidecar: FakeSidecar) -> None:
    del sidecar
    async with AsyncClient(socket, deadline_ms=PATIENT_MS) as client:
        for _ in range(10):
            task = asyncio.create_task(client.select_module("t", candidates=["a"]))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (await client.select_module("t", candidates=["a"])).source == "policy"


@pytest.fixture
def endless_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel whose calls end only when they are cancelled, as in a forked child."""

    def endless(*_: object, **__: object) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    wire = Wire(None, endless, endless, endless, endless)
    monkeypatch.setattr("pilotfish.client.aio.open_asyncio", lambda _: wire)


@pytest.mark.usefixtures("endless_channel")
async def test_a_call_that_grpc_never_ends_is_ended_at_its_deadline(socket: str) -> None:
    client = AsyncClient(socket)
    decisions = [await client.select_module("t", candidates=["a"]) for _ in range(6)]
    assert [decision.reasons for decision in decisions] == [("sidecar_unavailable",)] * 5 + [("circuit_open",)]


@pytest.mark.usefixtures("endless_channel")
async def test_a_callers_own_time_limit_is_not_taken_for_the_deadline(socket: str) -> None:
    client = AsyncClient(socket, deadline_ms=PATIENT_MS)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await client.select_module("t", candidates=["a"])


async def test_many_calls_at_once_share_one_channel(socket: str, sidecar: FakeSidecar) -> None:
    async with AsyncClient(socket, deadline_ms=PATIENT_MS) as client:
        decisions = await asyncio.gather(*(client.select_module("t", candidates=["a"]) for _ in range(100)))
    assert {decision.source for decision in decisions} == {"policy"}
    assert len({request.request_id for request in sidecar.decision_requests}) == 100
