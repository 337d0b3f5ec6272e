"""How many candidates breakers may remove, and who is kept if it would be too many."""

import pytest

from pilotfish.safety.breakers import Breakers, BreakerSettings, Ejection


def tripped(rates: dict[str, float], *, at_s: dict[str, float] | None = None, share: float = 0.8) -> Breakers:
    """All given modules open, each with its failure rate over 20 calls."""
    settings = BreakerSettings(consecutive_failures=1000, min_calls=20, failure_rate=0.05, max_ejected_share=share)
    breakers = Breakers(settings)
    for name, rate in rates.items():
        now_s = (at_s or {}).get(name, 0.0)
        for call in range(20):
            breakers.record(name, failed=call < round(20 * rate), latency_ms=1.0, now_s=now_s)
    return breakers


def names(n_modules: int) -> list[str]:
    return [f"m{index}" for index in range(n_modules)]


def test_the_only_candidate_is_served_whatever_its_state() -> None:
    assert tripped({"m0": 1.0}).eject(["m0"], 1.0) == Ejection((), (), panic=True)


def test_the_only_candidate_on_probation_is_a_probe() -> None:
    breakers = tripped({"m0": 1.0})

    assert breakers.eject(["m0"], 10.0) == Ejection((), (0,), panic=False)
    breakers.begin_probe("m0", b"x", 10.0)
    assert breakers.eject(["m0"], 10.0) == Ejection((), (), panic=True)


@pytest.mark.parametrize(
    ("n_modules", "share", "n_ejected"),
    [(2, 0.8, 1), (3, 0.8, 2), (5, 0.8, 4), (10, 0.8, 8), (2, 0.1, 1), (10, 0.1, 1), (10, 1.0, 9), (100, 0.29, 29)],
)
def test_never_more_than_the_share_is_ejected_but_always_one(n_modules: int, share: float, n_ejected: int) -> None:
    breakers = tripped(dict.fromkeys(names(n_modules), 1.0), share=share)

    ejection = breakers.eject(names(n_modules), 1.0)

    assert len(ejection.ejected) == n_ejected
    assert ejection.panic


def test_what_the_share_allows_is_no_panic() -> None:
    breakers = tripped(dict.fromkeys(names(8), 1.0))

    assert breakers.eject(names(10), 1.0) == Ejection(tuple(range(8)), (), panic=False)


def test_the_lowest_failure_rate_is_kept() -> None:
    breakers = tripped({"m0": 1.0, "m1": 0.6, "m2": 0.7})

    assert breakers.eject(names(3), 1.0) == Ejection((0, 2), (), panic=True)


def test_of_equal_rates_the_longest_tripped_is_kept() -> None:
    breakers = tripped(dict.fromkeys(names(3), 1.0), at_s={"m0": 2.0, "m1": 1.0, "m2": 3.0})

    assert breakers.eject(names(3), 4.0) == Ejection((0, 2), (), panic=True)


def test_of_equals_the_first_declared_is_kept() -> None:
    breakers = tripped(dict.fromkeys(names(3), 1.0))

    assert breakers.eject(["m2", "m0", "m1"], 1.0) == Ejection((1, 2), (), panic=True)


def test_who_serves_in_panic_is_judged_by_what_comes_of_it() -> None:
    breakers = tripped({"m0": 0.6, "m1": 0.7})
    assert breakers.eject(names(2), 1.0).ejected == (1,)

    for _ in range(20):
        breakers.record("m0", failed=True, latency_ms=1.0, now_s=1.0)

    assert breakers.eject(names(2), 1.0).ejected == (0,)


def test_a_window_that_has_emptied_is_no_good_record() -> None:
    breakers = tripped({"m0": 1.0, "m1": 0.6}, at_s={"m1": 29.0})
    breakers.begin_probe("m0", b"x", 10.0)  # open again from 40 to 60 s

    # m0 last failed at 0 s and its window is empty; m1 is open until 39 s, then on probation with its probe under way.
    breakers.begin_probe("m1", b"y", 39.0)

    assert breakers.eject(names(2), 41.0) == Ejection((0,), (), panic=True)
    assert breakers.snapshot(41.0)["m0"].failure_rate == 1.0


def test_modules_on_probation_count_as_legal() -> None:
    breakers = tripped({"m0": 1.0, "m1": 1.0}, at_s={"m0": 0.0, "m1": 5.0})

    assert breakers.eject(names(2), 11.0) == Ejection((1,), (0,), panic=False)


def test_candidates_that_are_well_are_never_touched() -> None:
    breakers = tripped({"m0": 1.0, "m1": 1.0})

    assert breakers.eject(["a", "m1", "b", "m0", "c"], 1.0) == Ejection((1, 3), (), panic=False)
    assert breakers.eject(["a", "b"], 1.0) == Ejection((), (), panic=False)
    assert breakers.eject([], 1.0) == Ejection((), (), panic=False)
