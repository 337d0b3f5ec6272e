"""Without a sidecar that answers, every decision is legal and in time."""

import socket as sockets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter, thread_time

import pytest

from pilotfish.client import Decision, Receipt
from pilotfish.client.circuit import CircuitSettings
from tests.service.client.conftest import OpenTwin
from tests.service.client.fake_sidecar import DECISION_ID
from tests.service.client.sidecar_process import SidecarProcess
from tests.service.client.twin import Twin

DEADLINE_MS = 20.0
GRACE_MS = 5.0
N_DECISIONS = 10_000
NEVER_OPEN = CircuitSettings(failure_threshold=1_000_000)


@contextmanager
def dead(socket: str) -> Iterator[None]:
    """Nothing is there, not even the socket."""
    del socket
    yield


@contextmanager
def killed(socket: str) -> Iterator[None]:
    """The socket's file is there and nobody listens."""
    process = SidecarProcess(socket)
    process.start()
    process.kill()
    yield


@contextmanager
def stopped(socket: str) -> Iterator[None]:
    """It accepts connections, by its kernel, and does not run."""
    with SidecarProcess(socket) as process:
        process.stop()
        yield


@contextmanager
def mute(socket: str) -> Iterator[None]:
    """Something listens that does not speak HTTP/2."""
    with sockets.socket(sockets.AF_UNIX) as listener:
        listener.bind(socket)
        listener.listen(100)
        yield


STATES = [dead, killed, stopped, mute]


def slowest_ms(decide: Callable[[], Decision], n_decisions: int) -> float:
    """Return how long the slowest of the decisions took; all of them must be the local default.

    With the circuit open a decision waits for nothing, so its own processor time is what it took: the rest of the wall
    time went to other processes.
    """
    slowest = 0.0
    for _ in range(n_decisions):
        began, began_cpu = perf_counter(), thread_time()
        decision = decide()
        waited, worked = perf_counter() - began, thread_time() - began_cpu
        slowest = max(slowest, worked if decision.reasons == ("circuit_open",) else waited)
        assert (decision.module, decision.propensity, decision.source) == ("b", 1.0, "fallback")
    return slowest * 1e3


def in_time(decide: Callable[[], Decision], n_decisions: int) -> bool:
    """Return whether all of the decisions came in time in one of up to ten rounds.

    On a shared machine one plain sleep of 20 ms in fifty takes longer than 25 ms; a client that is late by itself is so
    in every round.
    """
    return any(slowest_ms(decide, n_decisions) <= DEADLINE_MS + GRACE_MS for _ in range(10))


def decide_with(hub: Twin) -> Callable[[], Decision]:
    def decide() -> Decision:
        decision: Decision = hub.select_module("t", candidates=["a", "b"], denied_modules=["a"])
        return decision

    return decide


@pytest.mark.parametrize("state", STATES)
def test_ten_thousand_decisions_are_legal_and_in_time(
    open_twin: OpenTwin, socket: str, state: Callable[[str], Iterator[None]]
) -> None:
    with state(socket):  # type: ignore[attr-defined]
        hub = open_twin(deadline_ms=DEADLINE_MS)
        assert in_time(decide_with(hub), N_DECISIONS)


@pytest.mark.parametrize("state", STATES)
def test_decisions_are_in_time_even_if_the_circuit_never_opens(
    open_twin: OpenTwin, socket: str, state: Callable[[str], Iterator[None]]
) -> None:
    with state(socket):  # type: ignore[attr-defined]
        hub = open_twin(deadline_ms=DEADLINE_MS, circuit=NEVER_OPEN)
        assert in_time(decide_with(hub), 30)


@pytest.mark.parametrize(("circuit", "n_decisions"), [(None, N_DECISIONS), (NEVER_OPEN, 30)])
def test_a_sidecar_that_stops_while_it_serves_is_no_different(
    open_twin: OpenTwin, sidecar_process: SidecarProcess, circuit: CircuitSettings | None, n_decisions: int
) -> None:
    hub = open_twin(deadline_ms=DEADLINE_MS, circuit=circuit)
    warm = hub.select_module("t", candidates=["a", "b"], deadline_ms=5000.0)
    assert warm.source == "policy"
    sidecar_process.stop()
    assert in_time(decide_with(hub), n_decisions)


def test_the_reason_changes_from_unavailable_to_circuit_open_after_five_failures(open_twin: OpenTwin) -> None:
    hub = open_twin(circuit=CircuitSettings(first_pause_ms=6e4, max_pause_ms=6e4))
    reasons = [hub.select_module("t", candidates=["a"]).reasons for _ in range(7)]
    assert reasons == [("sidecar_unavailable",)] * 5 + [("circuit_open",)] * 2


def test_an_outcome_without_a_sidecar_is_not_acknowledged_and_says_why(open_twin: OpenTwin) -> None:
    hub = open_twin(circuit=CircuitSettings(failure_threshold=1, first_pause_ms=6e4, max_pause_ms=6e4))
    assert hub.record_outcome(DECISION_ID, quality=1.0) == Receipt(acknowledged=False, reason="sidecar_unavailable")
    assert hub.record_outcome(DECISION_ID, quality=1.0) == Receipt(acknowledged=False, reason="circuit_open")


def test_an_outcome_of_a_local_default_is_not_sent(open_twin: OpenTwin) -> None:
    hub = open_twin()
    decision = hub.select_module("t", candidates=["a"])
    assert hub.record_outcome(decision, quality=1.0) == Receipt(acknowledged=False, reason="local_fallback")
    assert hub.record_outcome(decision.id, quality=1.0) == Receipt(acknowledged=False, reason="local_fallback")


def test_an_outcome_waits_no_longer_than_its_own_deadline(open_twin: OpenTwin, sidecar_process: SidecarProcess) -> None:
    hub = open_twin()
    sidecar_process.stop()
    began = perf_counter()
    receipt = hub.record_outcome(DECISION_ID, quality=1.0, deadline_ms=100.0)
    assert receipt == Receipt(acknowledged=False, reason="sidecar_unavailable")
    assert 0.09 <= perf_counter() - began <= 0.3
