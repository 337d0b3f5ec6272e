"""When a breaker opens, goes on probation and closes."""

import math

import msgspec
import pytest

from pilotfish.exceptions import InvalidInputError
from pilotfish.safety.breakers import Breakers, BreakerSettings, BreakerView, Ejection, State

CLOSED, OPEN, HALF_OPEN = State.CLOSED, State.OPEN, State.HALF_OPEN
PAIR = ["bad", "good"]
NOTHING = Ejection((), (), panic=False)


class Told(list[tuple[str, State, State]]):
    def __call__(self, module: str, before: State, after: State) -> None:
        self.append((module, before, after))


def state(breakers: Breakers, now_s: float, module: str = "bad") -> State:
    return breakers.snapshot(now_s)[module].state


def fail(breakers: Breakers, n_calls: int, now_s: float = 0.0, module: str = "bad") -> None:
    for _ in range(n_calls):
        breakers.record(module, failed=True, latency_ms=1.0, now_s=now_s)


def probe(breakers: Breakers, now_s: float, *, failed: bool, latency_ms: float = 1.0) -> None:
    probe_id = str(now_s).encode()
    breakers.begin_probe("bad", probe_id, now_s)
    breakers.record("bad", failed=failed, latency_ms=latency_ms, now_s=now_s, probe_id=probe_id)


def tripped(settings: BreakerSettings | None = None, told: Told | None = None) -> Breakers:
    """Opened at 0 s, on probation from 10 s."""
    breakers = Breakers(settings or BreakerSettings(), Told() if told is None else told)
    fail(breakers, 5)
    return breakers


def close(breakers: Breakers, now_s: float) -> None:
    for step in range(3):
        probe(breakers, now_s + step * 0.01, failed=False)


def test_nothing_is_ejected_of_modules_never_heard_of() -> None:
    assert Breakers(BreakerSettings()).eject(PAIR, 0.0) == NOTHING


@pytest.mark.parametrize(("n_failures", "expected"), [(4, CLOSED), (5, OPEN)])
def test_failures_in_a_row_trip(n_failures: int, expected: State) -> None:
    breakers = Breakers(BreakerSettings())

    fail(breakers, n_failures)

    assert state(breakers, 0.0) == expected
    assert breakers.eject(PAIR, 0.0).ejected == ((0,) if expected == OPEN else ())


def test_failures_in_a_row_trip_however_rare_the_calls() -> None:
    breakers = Breakers(BreakerSettings())

    for step in range(5):
        fail(breakers, 1, now_s=step * 600.0)

    assert state(breakers, 2400.0) == OPEN


def test_a_success_ends_the_row() -> None:
    breakers = Breakers(BreakerSettings(failure_rate=1.0))

    fail(breakers, 4)
    breakers.record("bad", failed=False, latency_ms=1.0, now_s=0.0)
    fail(breakers, 4)

    assert state(breakers, 0.0) == CLOSED


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ("10101010", CLOSED),  # half, but of fewer than min_calls
        ("1010101010", OPEN),
        ("0101010101", OPEN),
        ("0010101010", CLOSED),  # 4 of 10
        ("00000000001111", CLOSED),  # 4 of 14, 4 in a row
    ],
)
def test_the_share_of_failures_in_the_window_trips(outcomes: str, expected: State) -> None:
    breakers = Breakers(BreakerSettings())

    for step, outcome in enumerate(outcomes):
        breakers.record("bad", failed=outcome == "1", latency_ms=None, now_s=step * 0.1)

    assert state(breakers, 2.0) == expected


def test_failures_older_than_the_window_do_not_trip() -> None:
    breakers = Breakers(BreakerSettings(consecutive_failures=100))
    fail(breakers, 9)

    fail(breakers, 1, now_s=31.0)

    assert state(breakers, 31.0) == CLOSED


@pytest.mark.parametrize("latency_ms", [0.001, 1.0, 60_000.0, None, math.nan])
def test_speed_makes_no_difference_to_a_failure(latency_ms: float | None) -> None:
    breakers = Breakers(BreakerSettings(slow_ms=100.0))

    for _ in range(5):
        breakers.record("bad", failed=True, latency_ms=latency_ms, now_s=0.0)

    assert state(breakers, 0.0) == OPEN


@pytest.mark.parametrize(
    ("slow_ms", "n_slow", "expected"), [(None, 10, CLOSED), (100.0, 7, CLOSED), (100.0, 8, OPEN), (100.1, 10, CLOSED)]
)
def test_slow_calls_trip_only_where_asked_for(slow_ms: float | None, n_slow: int, expected: State) -> None:
    breakers = Breakers(BreakerSettings(slow_ms=slow_ms))

    for call in range(10):
        breakers.record("bad", failed=False, latency_ms=100.0 if call < n_slow else 1.0, now_s=0.0)

    assert state(breakers, 0.0) == expected


def test_an_open_breaker_goes_on_probation_when_its_time_is_over() -> None:
    breakers = tripped()

    assert breakers.eject(PAIR, 9.999) == Ejection((0,), (), panic=False)
    assert breakers.eject(PAIR, 10.0) == Ejection((), (0,), panic=False)
    assert state(breakers, 10.0) == HALF_OPEN


@pytest.mark.parametrize("failed", [True, False])
def test_outcomes_while_open_change_nothing(failed: bool) -> None:  # noqa: FBT001 - a case
    told = Told()
    breakers = tripped(told=told)

    for step in range(20):
        breakers.record("bad", failed=failed, latency_ms=1.0, now_s=step * 0.4, probe_id=b"ordinary")

    view = breakers.snapshot(9.0)["bad"]
    assert (view.state, view.open_until_s, view.trips) == (OPEN, 10.0, 1)
    assert told == [("bad", CLOSED, OPEN)]


@pytest.mark.parametrize("failed", [True, False])
def test_on_probation_only_probes_count(failed: bool) -> None:  # noqa: FBT001 - a case
    breakers = tripped()

    for _ in range(10):
        breakers.record("bad", failed=failed, latency_ms=1.0, now_s=11.0)
        breakers.record("bad", failed=failed, latency_ms=1.0, now_s=11.0, probe_id=b"never begun")

    assert state(breakers, 11.0) == HALF_OPEN


def test_probes_that_succeed_close_and_the_history_is_forgotten() -> None:
    told = Told()
    breakers = tripped(told=told)

    close(breakers, 10.0)

    assert breakers.snapshot(10.5)["bad"] == BreakerView(CLOSED, 0.0, 0, None, 1)
    assert breakers.eject(PAIR, 10.5) == NOTHING
    assert told == [("bad", CLOSED, OPEN), ("bad", OPEN, HALF_OPEN), ("bad", HALF_OPEN, CLOSED)]
    fail(breakers, 4, now_s=10.6)
    assert state(breakers, 10.6) == CLOSED


def test_two_of_three_probes_do_not_close() -> None:
    breakers = tripped()

    probe(breakers, 10.0, failed=False)
    probe(breakers, 10.1, failed=False)

    assert state(breakers, 10.1) == HALF_OPEN


def test_failed_probations_double_the_time_up_to_the_longest() -> None:
    breakers = tripped(BreakerSettings(max_open_s=60.0))
    now_s, times_s = 0.0, []
    for _ in range(5):
        until_s = breakers.snapshot(now_s)["bad"].open_until_s
        assert until_s is not None
        times_s.append(until_s - now_s)
        now_s = until_s
        probe(breakers, now_s, failed=True)

    assert times_s == [10.0, 20.0, 40.0, 60.0, 60.0]


def test_a_failure_after_two_good_probes_opens_again_and_they_are_forgotten() -> None:
    breakers = tripped()
    probe(breakers, 10.0, failed=False)
    probe(breakers, 10.1, failed=False)

    probe(breakers, 10.2, failed=True)

    assert breakers.snapshot(10.2)["bad"].open_until_s == pytest.approx(30.2, abs=1e-9)
    probe(breakers, 31.0, failed=False)
    probe(breakers, 31.1, failed=False)
    assert state(breakers, 31.1) == HALF_OPEN


@pytest.mark.parametrize(("n_slow", "expected"), [(2, CLOSED), (3, OPEN)])
def test_probes_are_judged_by_speed_as_the_window_is(n_slow: int, expected: State) -> None:
    breakers = tripped(BreakerSettings(slow_ms=100.0))

    for step in range(3):
        probe(breakers, 10.0 + step, failed=False, latency_ms=500.0 if step < n_slow else 1.0)

    assert state(breakers, 12.0) == expected


def test_the_first_probe_goes_alone_and_then_two_may() -> None:
    breakers = tripped()

    def permits(n_begun: int) -> bool:
        breakers.begin_probe("bad", str(n_begun).encode(), 10.0)
        return breakers.eject(PAIR, 10.0) == Ejection((), (0,), panic=False)

    assert not permits(1)
    assert breakers.eject(PAIR, 10.0) == Ejection((0,), (), panic=False)
    breakers.record("bad", failed=False, latency_ms=1.0, now_s=10.0, probe_id=b"1")
    assert breakers.eject(PAIR, 10.0) == Ejection((), (0,), panic=False)
    assert permits(2)
    assert not permits(3)


def test_no_more_probes_are_sent_than_are_needed() -> None:
    breakers = tripped(BreakerSettings(max_probes_in_flight=10))
    probe(breakers, 10.0, failed=False)
    probe(breakers, 10.1, failed=False)

    breakers.begin_probe("bad", b"last", 10.2)

    assert breakers.eject(PAIR, 10.2) == Ejection((0,), (), panic=False)


def test_a_probe_that_is_begun_twice_is_one() -> None:
    breakers = tripped()
    probe(breakers, 10.0, failed=False)

    breakers.begin_probe("bad", b"x", 11.0)
    breakers.begin_probe("bad", b"x", 35.0)

    assert breakers.eject(PAIR, 35.0).probing == (0,)
    assert state(breakers, 41.0) == OPEN  # its patience ran from the first time


def test_a_probe_without_an_outcome_has_failed_when_patience_is_over() -> None:
    breakers = tripped()
    breakers.begin_probe("bad", b"x", 12.0)

    assert state(breakers, 41.9) == HALF_OPEN
    view = breakers.snapshot(50.0)["bad"]
    assert (view.state, view.open_until_s, view.trips) == (OPEN, 62.0, 2)  # as of 42 s, whoever looks when


def test_the_late_success_of_an_earlier_probe_does_not_close() -> None:
    breakers = tripped(BreakerSettings(probe_count=1))
    breakers.begin_probe("bad", b"early", 10.0)
    assert state(breakers, 60.0) == HALF_OPEN  # failed at 40 s, on probation again from 60 s

    breakers.record("bad", failed=False, latency_ms=5e4, now_s=60.0, probe_id=b"early")

    assert state(breakers, 60.0) == HALF_OPEN


def test_the_late_failure_of_an_earlier_probe_does_not_open() -> None:
    breakers = tripped()
    breakers.begin_probe("bad", b"early", 10.0)

    breakers.record("bad", failed=True, latency_ms=5e4, now_s=60.0, probe_id=b"early")

    assert state(breakers, 60.0) == HALF_OPEN


def test_a_probe_is_noted_on_probation_only() -> None:
    breakers = tripped(BreakerSettings(probe_count=1))
    breakers.begin_probe("bad", b"x", 9.0)
    breakers.begin_probe("good", b"y", 9.0)

    breakers.record("bad", failed=False, latency_ms=1.0, now_s=11.0, probe_id=b"x")

    assert state(breakers, 11.0) == HALF_OPEN


@pytest.mark.parametrize(("quiet_s", "out_s"), [(1.0, 20.0), (299.0, 20.0), (300.0, 10.0)])
def test_a_module_that_trips_soon_after_its_return_stays_out_longer(quiet_s: float, out_s: float) -> None:
    breakers = tripped()
    close(breakers, 10.0)

    fail(breakers, 5, now_s=10.02 + quiet_s)

    assert breakers.snapshot(10.02 + quiet_s)["bad"].open_until_s == pytest.approx(10.02 + quiet_s + out_s, abs=1e-9)


def test_reset_forgets_a_module() -> None:
    told = Told()
    breakers = tripped(told=told)

    breakers.reset("bad")
    breakers.reset("never heard of")

    assert breakers.eject(PAIR, 1.0) == NOTHING
    assert breakers.snapshot(1.0) == {}
    assert told[-1] == ("bad", OPEN, CLOSED)
    fail(breakers, 5, now_s=1.0)
    assert breakers.snapshot(1.0)["bad"].open_until_s == 11.0


def test_disabled_breakers_never_eject() -> None:
    breakers = tripped(BreakerSettings(enabled=False))

    assert breakers.eject(PAIR, 0.0) == NOTHING
    assert breakers.snapshot(0.0) == {}


def test_whoever_is_told_may_ask_back() -> None:
    views: list[dict[str, BreakerView]] = []
    breakers = Breakers(BreakerSettings(), lambda *_: views.append(breakers.snapshot(0.0)))

    fail(breakers, 5)

    assert [view["bad"].state for view in views] == [OPEN]


def test_the_longest_time_out_is_at_least_the_first() -> None:
    with pytest.raises(InvalidInputError, match=r"^max_open_s == 5\.0, must be at least open_s == 10\.0$"):
        BreakerSettings(max_open_s=5.0)


@pytest.mark.parametrize(
    "wrong",
    [{"window_s": 0.0}, {"min_calls": 0}, {"failure_rate": 1.1}, {"failure_rate": 0.0}, {"slow_ms": 0.0}, {"typo": 1}],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, BreakerSettings)
