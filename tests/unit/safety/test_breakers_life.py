"""Restarts, memory and threads."""

import random
import threading
import time

import pytest

from pilotfish.safety import breakers as breakers_module
from pilotfish.safety.breakers import Breakers, BreakerSettings, Ejection, State
from tests.unit.safety.traffic import Traffic

SETTINGS = BreakerSettings(open_s=2.0, max_open_s=20.0, probe_patience_s=3.0)


def unsteady(module: str, now_s: float) -> float:
    """Modules fail by turns."""
    return 0.9 if int(now_s / 7.0) % 4 == int(module[1:]) else 0.1


@pytest.mark.parametrize("seed", range(10))
def test_the_same_outcomes_and_probes_in_order_give_the_same_state(seed: int) -> None:
    live = Traffic(4, 20.0, 0.7, unsteady, seed=seed, loses=0.1, settings=SETTINGS)
    live.run_for(100.0 + 7.0 * seed)
    assert len({change[2] for change in live.changes}) == 3  # it has seen every state

    rebuilt = Breakers(SETTINGS)  # nobody asks it to eject anything in between
    for event in live.events:
        event.tell(rebuilt)

    for ahead_s in (0.0, 1.0, 5.0, 30.0):
        now_s = live.now_s + ahead_s
        assert rebuilt.snapshot(now_s) == live.breakers.snapshot(now_s)
        assert rebuilt.eject(live.names, now_s) == live.breakers.eject(live.names, now_s)


def test_of_outcomes_alone_the_state_is_the_same_up_to_the_first_probation() -> None:
    live = Traffic(4, 20.0, 0.7, unsteady)
    live.run(lambda: any(change[3] == State.HALF_OPEN for change in live.changes))
    assert live.changes

    rebuilt = Breakers(BreakerSettings())
    for event in live.events:
        if event.failed is not None:
            event.tell(rebuilt)

    assert rebuilt.snapshot(live.now_s) == live.breakers.snapshot(live.now_s)


def test_times_before_the_start_of_the_clock_are_times() -> None:
    breakers = Breakers(BreakerSettings())
    for _ in range(5):
        breakers.record("bad", failed=True, latency_ms=None, now_s=-25.0)

    assert breakers.eject(["bad", "good"], -15.1) == Ejection((0,), (), panic=False)
    assert breakers.eject(["bad", "good"], 0.0) == Ejection((), (0,), panic=False)


def test_a_module_not_heard_of_for_long_is_forgotten() -> None:
    changes: list[tuple[str, State, State]] = []
    breakers = Breakers(BreakerSettings(), lambda *change: changes.append(change))
    for _ in range(5):
        breakers.record("gone", failed=True, latency_ms=None, now_s=0.0)
    kept_s = breakers_module.FORGET_S + 300.0 + 30.0
    assert breakers.eject(["gone", "good"], kept_s).probing == (0,)

    assert breakers.eject(["gone", "good"], kept_s + 0.1) == Ejection((), (), panic=False)

    assert breakers.snapshot(kept_s + 0.1) == {}
    assert changes[-1] == ("gone", State.HALF_OPEN, State.CLOSED)


def test_a_probe_is_a_sign_of_life() -> None:
    breakers = Breakers(BreakerSettings())
    for module in ("probed", "gone"):
        for _ in range(5):
            breakers.record(module, failed=True, latency_ms=None, now_s=0.0)
    breakers.begin_probe("probed", b"x", 3000.0)

    assert breakers.snapshot(4000.0).keys() == {"probed"}


def test_of_too_many_modules_those_heard_of_longest_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breakers_module, "MAX_MODULES", 3)
    breakers = Breakers(BreakerSettings())
    for _ in range(5):
        breakers.record("oldest", failed=True, latency_ms=None, now_s=0.0)

    for name in ("a", "b", "a", "c", "d"):
        breakers.record(name, failed=False, latency_ms=None, now_s=1.0)

    assert breakers.snapshot(1.0).keys() == {"a", "c", "d"}
    assert breakers.eject(["oldest", "a"], 1.0) == Ejection((), (), panic=False)


def test_threads_leave_a_sound_state() -> None:
    names = [f"m{index}" for index in range(6)]
    changes: list[tuple[str, State, State]] = []
    settings = BreakerSettings(open_s=0.002, max_open_s=0.02, probe_patience_s=0.01)
    breakers = Breakers(settings, lambda *change: changes.append(change))
    faults: list[BaseException] = []

    def work(seed: int) -> None:
        random_ = random.Random(seed)
        try:
            for step in range(3000):
                now_s = time.monotonic()
                ejection = breakers.eject(names, now_s)
                assert len(ejection.ejected) <= 4
                assert not set(ejection.ejected) & set(ejection.probing)
                module = random_.choice(names)
                probe_id = f"{seed} {step}".encode()
                if ejection.probing:
                    module = names[ejection.probing[0]]
                    breakers.begin_probe(module, probe_id, now_s)
                breakers.record(module, failed=random_.random() < 0.5, latency_ms=1.0, now_s=now_s, probe_id=probe_id)
                if step % 500 == 0:
                    breakers.reset(module)
        except BaseException as fault:  # noqa: BLE001 - told by the main thread
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    assert all(before != after for _, before, after in changes)
    assert set(n_out(changes, names)) <= {0, 1}
    for name in names:
        breakers.reset(name)
    assert set(n_out(changes, names)) == {0}
    assert breakers.eject(names, time.monotonic()) == Ejection((), (), panic=False)


def n_out(changes: list[tuple[str, State, State]], names: list[str]) -> list[int]:
    """How often each module left CLOSED less how often it returned, whatever the order in which that was told."""
    return [
        sum((before == State.CLOSED) - (after == State.CLOSED) for module, before, after in changes if module == name)
        for name in names
    ]
