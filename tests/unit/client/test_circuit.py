"""When the client stops asking, and when it asks again."""

import threading

import pytest

from pilotfish.client.circuit import Circuit, CircuitSettings
from pilotfish.exceptions import InvalidInputError


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuit(clock: Clock) -> Circuit:
    """Opens after three failures; pauses of 200 ms, then 300 ms, then 350 ms, without jitter."""
    return Circuit(CircuitSettings(failure_threshold=3, max_pause_ms=350.0), clock=clock, draw=lambda: 1.0)


def fail(circuit: Circuit, clock: Clock, times: int) -> None:
    for _ in range(times):
        circuit.failed(asked_at=clock.now)


def test_it_opens_only_after_the_threshold(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, clock, 2)
    assert circuit.admits()
    fail(circuit, clock, 1)
    assert not circuit.admits()
    assert circuit.is_open


def test_a_success_starts_the_count_again(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, clock, 2)
    circuit.succeeded()
    fail(circuit, clock, 2)
    assert circuit.admits()


def test_one_probe_passes_after_the_pause_and_no_second_one(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, clock, 3)
    clock.now += 0.199
    assert not circuit.admits()
    clock.now += 0.002
    assert [circuit.admits() for _ in range(3)] == [True, False, False]


def test_a_successful_probe_closes_it_for_everybody(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, clock, 3)
    clock.now += 0.201
    assert circuit.admits()
    circuit.succeeded()
    assert [circuit.admits() for _ in range(3)] == [True, True, True]
    assert not circuit.is_open


def test_each_failed_probe_lengthens_the_pause_up_to_the_longest(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, clock, 3)
    pauses = []
    clock.now += 0.2001
    for _ in range(4):
        assert circuit.admits()
        fail(circuit, clock, 1)
        opened_at = clock.now
        while not circuit.admits():
            clock.now += 0.001
        pauses.append(clock.now - opened_at)
        clock.now += 0.3501  # the probe that ended the loop never reports back
    assert pauses == pytest.approx([0.300, 0.350, 0.350, 0.350], abs=0.0015)


def test_a_success_forgets_that_pauses_had_grown(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, clock, 3)
    clock.now += 0.201
    assert circuit.admits()
    fail(circuit, clock, 1)
    circuit.succeeded()
    fail(circuit, clock, 3)
    clock.now += 0.2001
    assert circuit.admits()


def test_a_probe_that_never_reports_back_is_followed_by_another(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, clock, 3)
    clock.now += 0.201
    assert circuit.admits()
    clock.now += 0.201
    assert circuit.admits()


def test_failures_of_calls_from_before_the_opening_do_not_lengthen_the_pause(circuit: Circuit, clock: Clock) -> None:
    asked_at = clock.now
    clock.now += 0.020
    for _ in range(64):
        circuit.failed(asked_at=asked_at)
    clock.now += 0.2001
    assert circuit.admits()


@pytest.mark.parametrize(("draw", "pause_s"), [(0.0, 0.100), (0.5, 0.150), (1.0, 0.200)])
def test_the_first_pause_is_drawn_between_half_and_whole(clock: Clock, draw: float, pause_s: float) -> None:
    circuit = Circuit(CircuitSettings(failure_threshold=1), clock=clock, draw=lambda: draw)
    fail(circuit, clock, 1)
    clock.now += pause_s - 0.001
    assert not circuit.admits()
    clock.now += 0.0011
    assert circuit.admits()


def test_of_many_threads_one_is_the_probe(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, clock, 3)
    clock.now += 0.201
    together = threading.Barrier(8)
    admitted: list[bool] = []

    def ask() -> None:
        together.wait()
        admitted.append(circuit.admits())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(admitted) == [False] * 7 + [True]


@pytest.mark.parametrize(
    "wrong",
    [
        {"failure_threshold": 0},
        {"first_pause_ms": 0.0},
        {"first_pause_ms": 400.0},
        {"first_pause_ms": float("nan")},
        {"max_pause_ms": float("inf")},
        {"growth": 0.9},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match="must be"):
        CircuitSettings(**wrong)  # type: ignore[arg-type]
