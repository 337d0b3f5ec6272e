"""What breakers do to traffic: a module that fails at once gets next to none, comes back soon, and somebody serves."""

from itertools import pairwise

import pytest

from pilotfish.safety.breakers import BreakerSettings, State
from tests.unit.safety.traffic import BAD, Choice, Traffic

RATES = pytest.mark.parametrize("rate", [10.0, 100.0, 1000.0])
DELAYS = pytest.mark.parametrize("delay_s", [0.0, 0.1, 2.0])
SIZES = pytest.mark.parametrize("n_modules", [2, 3, 10])


def bad_fails(module: str, _now_s: float) -> float:
    return float(module == BAD)


@RATES
@DELAYS
@SIZES
@pytest.mark.parametrize("choice", ["even", "fastest"])
def test_a_module_that_fails_at_once_gets_less_than_2_percent_after_100_calls(
    choice: Choice, n_modules: int, delay_s: float, rate: float
) -> None:
    traffic = Traffic(n_modules, rate, delay_s, bad_fails, choice)

    traffic.run_for(delay_s + 100 / rate + 45.0 / max(1.0, rate / 50))  # at least 1 probation at 10 and 100 calls/s

    # Counted from the first outcome: before it nobody can know.
    after = [module == BAD for now_s, module, _ in traffic.served if now_s >= delay_s + 100 / rate]
    assert len(after) > 300
    assert max(sum(after[start : start + 100]) for start in range(len(after) - 99)) < 2


@pytest.mark.parametrize("choice", ["even", "fastest"])
def test_without_breakers_a_module_that_fails_at_once_gets_its_share_or_all(choice: Choice) -> None:
    traffic = Traffic(3, 100.0, 0.1, bad_fails, choice, settings=BreakerSettings(enabled=False))

    traffic.run_for(30.0)

    share = sum(module == BAD for _, module, _ in traffic.served) / len(traffic.served)
    assert share > (0.9 if choice == "fastest" else 0.3)


@RATES
@DELAYS
@SIZES
@pytest.mark.parametrize("n_openings", [1, 2])
def test_a_module_is_back_within_twice_its_time_out_after_it_healed(
    n_openings: int, n_modules: int, delay_s: float, rate: float
) -> None:
    settings = BreakerSettings(open_s=10.0)
    healed_s = float("inf")
    traffic = Traffic(
        n_modules, rate, delay_s, lambda module, now_s: float(module == BAD and now_s < healed_s), settings=settings
    )
    traffic.run(lambda: len(traffic.changed_to(State.OPEN)) == n_openings)
    healed_s = traffic.now_s  # the worst moment: all of its time out is still to come
    out_s = 10.0 * 2 ** (n_openings - 1)

    traffic.run(lambda: traffic.now_s > healed_s + 2 * out_s or bool(traffic.changed_to(State.CLOSED)))

    assert len(traffic.changed_to(State.CLOSED)) == 1
    assert len(traffic.changed_to(State.OPEN)) == n_openings
    traffic.run_for(max(20 / rate, 0.1))
    assert any(module == BAD and not is_probe for _, module, is_probe in traffic.served[-20:])


@RATES
@pytest.mark.parametrize("delay_s", [0.0, 2.0])
@pytest.mark.parametrize("n_modules", [2, 3])
def test_if_all_fail_the_least_bad_serves(n_modules: int, delay_s: float, rate: float) -> None:
    least_bad = f"m{n_modules - 1}"
    traffic = Traffic(n_modules, rate, delay_s, lambda module, _: 0.8 if module == least_bad else 1.0)
    traffic.run(lambda: len({change[1] for change in traffic.changes}) == n_modules)
    traffic.run_for(delay_s + 20 / rate)
    n_before = len(traffic.served)

    traffic.run_for(40.0 if rate < 1000.0 else 12.0)

    after = [module for _, module, _ in traffic.served[n_before:]]
    assert after.count(least_bad) / len(after) > 0.95


def test_a_module_that_flaps_does_not_come_back_at_once_each_time() -> None:
    """It answers probes and fails everything else, which no probation can tell."""
    traffic = Traffic(3, 100.0, 0.0, lambda module, _: float(module == BAD))
    traffic.failure_share = lambda module, _: float(
        module == BAD and traffic.breakers.snapshot(traffic.now_s).get(BAD, (State.CLOSED,))[0] == State.CLOSED
    )

    traffic.run_for(130.0)

    opened = traffic.changed_to(State.OPEN)
    gaps_s = [later - earlier for earlier, later in pairwise(opened)]
    assert [round(gap_s / 10.0) for gap_s in gaps_s] == [1, 2, 4]
