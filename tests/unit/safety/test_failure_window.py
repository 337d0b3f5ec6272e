import math
import random

import pytest

from pilotfish.safety.failure_window import N_SLOTS, FailureWindow

LENGTH_S = 30.0


def twin(calls: list[tuple[float, bool, bool]], now_s: float) -> tuple[int, int, int]:
    """Counts from the definition: the slots of the present and of the nine before it."""
    slot_s = LENGTH_S / N_SLOTS
    kept = [call for call in calls if math.floor(call[0] / slot_s) > math.floor(now_s / slot_s) - N_SLOTS]
    return len(kept), sum(failed for _, failed, _ in kept), sum(slow for _, _, slow in kept)


def counts(window: FailureWindow) -> tuple[int, int, int]:
    return window.calls, window.failures, window.slow


@pytest.mark.parametrize("seed", range(20))
def test_counts_are_those_of_every_call_kept(seed: int) -> None:
    random_ = random.Random(seed)
    window, calls, now_s = FailureWindow(LENGTH_S), [], random_.uniform(-100.0, 100.0)
    for _ in range(500):
        now_s += random_.choice([0.01, 0.5, 2.9, 3.0, 20.0, 60.0]) * random_.random()
        late_s = now_s - random_.choice([0.0, 0.0, 1.0, 40.0])  # threads do not report in order
        failed, slow = random_.random() < 0.5, random_.random() < 0.2
        window.advance(now_s)
        window.add(late_s, failed=failed, slow=slow)
        calls.append((late_s, failed, slow))

        assert counts(window) == twin(calls, now_s)


@pytest.mark.parametrize(("age_s", "n_calls"), [(26.9, 1), (30.0, 0), (1e9, 0)])
def test_a_call_is_kept_for_nine_tenths_of_the_window_and_never_longer_than_all_of_it(
    age_s: float, n_calls: int
) -> None:
    window = FailureWindow(LENGTH_S)
    window.add(2.9, failed=True, slow=True)

    window.advance(2.9 + age_s)

    assert counts(window) == (n_calls, n_calls, n_calls)


def test_time_that_runs_backwards_forgets_nothing() -> None:
    window = FailureWindow(LENGTH_S)
    window.add(100.0, failed=True, slow=False)

    window.advance(0.0)
    window.add(99.0, failed=False, slow=True)

    assert counts(window) == (2, 1, 1)
