import pytest

from pilotfish.codes import Reason, Signal
from pilotfish.engine.baseline import choose_baseline
from pilotfish.engine.health import Health
from pilotfish.request import Module, Request, Task

NAMES = ("a", "b", "c")


def ask(*modules: Module, baseline: str = "") -> Request:
    return Request(Task("ocr"), modules or tuple(Module(name) for name in NAMES), baseline_module=baseline)


def health(**values: tuple[float, float]) -> Health:
    result = Health()
    for name, (success, latency_ms) in values.items():
        for _ in range(200):
            result.observe(name, Signal.COMPLETION, success)
            result.observe(name, Signal.LATENCY_MS, latency_ms)
    return result


def test_hub_choice_is_the_baseline_if_it_is_legal() -> None:
    assert choose_baseline(ask(baseline="c"), (0, 2), Health()) == (2, ())


def test_hub_choice_that_is_not_legal_is_replaced_and_named() -> None:
    assert choose_baseline(ask(baseline="b"), (0, 2), Health()) == (0, (Reason.BASELINE_NOT_LEGAL,))


def test_without_any_knowledge_the_declared_order_decides() -> None:
    assert choose_baseline(ask(), (1, 2), Health()) == (1, ())


def test_capability_named_like_the_task_comes_first() -> None:
    request = ask(Module("a"), Module("b", capabilities=("ocr",)))
    assert choose_baseline(request, (0, 1), health(b=(0.0, 9e9)))[0] == 1


@pytest.mark.parametrize(
    ("seen", "chosen"),
    [
        ({"a": (0.2, 1.0), "b": (0.9, 900.0), "c": (0.5, 1.0)}, 1),
        ({"a": (0.9, 300.0), "b": (0.9, 200.0), "c": (0.91, 250.0)}, 1),
        ({"a": (0.9, 200.0), "b": (0.9, 200.0), "c": (0.9, 200.0)}, 0),
    ],
)
def test_recent_success_decides_then_latency_then_order(seen: dict[str, tuple[float, float]], chosen: int) -> None:
    assert choose_baseline(ask(), (0, 1, 2), health(**seen))[0] == chosen


def test_health_forgets_old_outcomes() -> None:
    recent = health(a=(0.0, 1.0))
    for _ in range(100):
        recent.observe("a", Signal.COMPLETION, 1.0)
    assert recent.of("a").success > 0.99


def test_health_survives_its_bytes_exactly() -> None:
    first = health(a=(0.3, 7.0), b=(0.9, 1.0))
    assert Health(first.state()).state() == first.state()


def test_signals_other_than_completion_and_latency_leave_the_baseline_alone() -> None:
    recent = Health()
    recent.observe("a", Signal.QUALITY, 0.0)
    assert (recent.of("a").success, recent.of("a").latency_known) == (1.0, False)


def test_live_reward_is_the_weighted_mean_of_recent_utilities() -> None:
    recent = Health()
    assert recent.live_reward("a") is None
    for value in (1.0, 0.0):
        recent.observe("a", Signal.QUALITY, value)
    recent.observe("a", Signal.COMPLETION, 1.0)
    # Both signals weigh 1; the first two values count alike, 1/2 each.
    assert recent.live_reward("a") == pytest.approx((0.5 + 1.0) / 2.0)
    for _ in range(60):
        recent.observe("a", Signal.QUALITY, 1.0)
    assert recent.live_reward("a") == pytest.approx(1.0, abs=1e-4)
    assert recent.live_reward("b") is None
