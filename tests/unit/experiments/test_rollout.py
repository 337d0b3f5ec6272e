from collections.abc import Callable
from functools import reduce
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as within
from hypothesis import strategies as st

from pilotfish.exceptions import ConflictError, InvalidInputError, StateError
from pilotfish.experiments.rollout import (
    AUTOMATIC,
    Action,
    Kind,
    RolloutState,
    apply,
    hold,
    promote,
    restart,
    resume,
    rollback,
    step,
)
from pilotfish.experiments.settings import RolloutSettings
from pilotfish.experiments.verdict import Judgement, Verdict

PLAN = RolloutSettings()
STAGE = RolloutState(share=0.1, visit=3, since_us=5)


def verdict(judgement: Judgement, state: RolloutState = STAGE, *reasons: str) -> Verdict:
    return Verdict(state.visit, state.share, judgement, reasons, ())


def test_pass_promotes_by_one_stage_with_its_evidence() -> None:
    passed = verdict(Judgement.PASS)

    action = step(STAGE, passed, PLAN, 9)

    assert action == Action(
        kind=Kind.PROMOTE,
        actor=AUTOMATIC,
        reason="every guardrail has passed",
        from_share=0.1,
        to_share=0.25,
        visit=3,
        at_us=9,
        evidence=passed.plain(),
    )
    assert apply(STAGE, action) == RolloutState(share=0.25, visit=4, held=False, since_us=9)


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("automatic", [False, True])
def test_breach_rolls_back_always(held: bool, automatic: bool) -> None:  # noqa: FBT001
    state = msgspec.structs.replace(STAGE, held=held)
    breach = verdict(Judgement.BREACH, state, "reward: worse", "completion: worse")

    action = step(state, breach, RolloutSettings(automatic=automatic), 9)

    assert action is not None
    assert (action.kind, action.to_share, action.reason) == (Kind.ROLLBACK, 0.0, "reward: worse; completion: worse")
    assert apply(state, action) == RolloutState(share=0.0, visit=4, held=True, since_us=9)


def test_hold_does_nothing() -> None:
    assert step(STAGE, verdict(Judgement.HOLD, STAGE, "no data"), PLAN, 9) is None


def test_action_survives_the_log() -> None:
    action = step(STAGE, verdict(Judgement.PASS), PLAN, 9)

    assert msgspec.json.decode(msgspec.json.encode(action), type=Action) == action


def test_action_for_another_state_is_refused() -> None:
    action = step(STAGE, verdict(Judgement.PASS), PLAN, 9)
    assert action is not None
    after = apply(STAGE, action)

    with pytest.raises(ConflictError, match=r"action is for visit 3 at 0\.1, must be for 4 at 0\.25"):
        apply(after, action)


def test_operator_begins_at_the_first_stage_without_a_verdict() -> None:
    action = promote(RolloutState(), None, PLAN, actor="ann", reason="start", now_us=1)

    assert (action.to_share, action.forced, action.actor, action.evidence) == (0.05, False, "ann", {})


@pytest.mark.parametrize(
    ("state", "looked_at", "to_share", "why"),
    [
        (STAGE, None, None, "promotion to 0.25 must wait: there is no verdict on the present stage"),
        (STAGE, verdict(Judgement.HOLD, STAGE, "no data"), None, "promotion to 0.25 must wait: no data"),
        (STAGE, verdict(Judgement.BREACH, STAGE, "reward: worse"), None, "promotion to 0.25 must wait: reward: worse"),
        (
            STAGE,
            verdict(Judgement.PASS, RolloutState(share=0.1, visit=2)),
            None,
            "promotion to 0.25 must wait: there is no verdict on the present stage",
        ),
        (STAGE, verdict(Judgement.PASS), 0.5, "promotion to 0.5 must wait: the next stage is 0.25"),
        (RolloutState(), None, 0.1, "promotion to 0.1 must wait: the next stage is 0.05"),
        (
            RolloutState(share=0.1, visit=3, held=True),
            verdict(Judgement.PASS),
            None,
            "promotion to 0.25 must wait: the rollout is held, resume it first",
        ),
    ],
)
def test_operator_passes_the_gate_or_forces_it(
    state: RolloutState, looked_at: Verdict | None, to_share: float | None, why: str
) -> None:
    with pytest.raises(StateError) as raised:
        promote(state, looked_at, PLAN, actor="ann", reason="", now_us=1, to_share=to_share)
    forced = promote(state, looked_at, PLAN, actor="ann", reason="", now_us=1, to_share=to_share, force=True)

    assert str(raised.value) == why
    assert forced.forced
    assert forced.evidence == ({} if looked_at is None else looked_at.plain())
    assert apply(state, forced).share == forced.to_share > state.share


def test_force_that_was_not_needed_is_not_recorded_as_such() -> None:
    passed = verdict(Judgement.PASS)

    assert not promote(STAGE, passed, PLAN, actor="ann", reason="", now_us=1, force=True).forced


def test_nothing_follows_the_last_stage() -> None:
    end = RolloutState(share=1.0, visit=9)

    assert step(end, verdict(Judgement.PASS, end), PLAN, 1) is None
    with pytest.raises(StateError, match="share == 1, the last stage, must be below it to be promoted"):
        promote(end, None, PLAN, actor="ann", reason="", now_us=1, force=True)


def test_breach_at_a_last_stage_below_one_still_rolls_back() -> None:
    end = RolloutState(share=0.95, visit=9)
    action = step(end, verdict(Judgement.BREACH, end), RolloutSettings(stages=(0.5, 0.95)), 1)

    assert action is not None
    assert action.to_share == 0.0


@pytest.mark.parametrize("actor", ["", AUTOMATIC])
def test_operator_has_a_name(actor: str) -> None:
    match = f"actor == '{actor}', must name an operator"
    with pytest.raises(InvalidInputError, match=match):
        promote(RolloutState(), None, PLAN, actor=actor, reason="", now_us=1)
    with pytest.raises(InvalidInputError, match=match):
        rollback(STAGE, actor=actor, reason="", now_us=1)
    with pytest.raises(InvalidInputError, match=match):
        hold(STAGE, actor=actor, reason="", now_us=1)
    with pytest.raises(InvalidInputError, match=match):
        resume(STAGE, actor=actor, reason="", now_us=1)


@pytest.mark.parametrize("to_share", [0.11, -0.1, float("nan")])
def test_rollback_never_raises(to_share: float) -> None:
    with pytest.raises(InvalidInputError, match=r"to_share == .*, must be in \[0, 0\.1\]"):
        rollback(STAGE, actor="ann", reason="", now_us=1, to_share=to_share)


@pytest.mark.parametrize("to_share", [0.1, 0.05, 1.5, float("nan")])
def test_promotion_always_raises(to_share: float) -> None:
    with pytest.raises(InvalidInputError, match=r"to_share == .*, must be in \(0\.1, 1\]"):
        promote(STAGE, None, PLAN, actor="ann", reason="", now_us=1, to_share=to_share, force=True)


def test_hold_and_resume_keep_the_stage_and_its_evidence() -> None:
    held = apply(STAGE, hold(STAGE, actor="ann", reason="lunch", now_us=8))
    resumed = apply(held, resume(held, actor="bob", reason="", now_us=9))

    assert held == msgspec.structs.replace(STAGE, held=True)
    assert resumed == STAGE


def test_restart_keeps_the_share_and_drops_the_evidence() -> None:
    again = apply(STAGE, restart(STAGE, actor="new policy", reason="", now_us=8))

    assert again == RolloutState(share=0.1, visit=4, held=False, since_us=8)
    assert step(again, verdict(Judgement.PASS, STAGE), PLAN, 9) is None


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["tick", "promote", "force", "hold", "resume", "rollback", "lower", "restart"]),
        st.sampled_from(list(Judgement)),
        st.integers(-1, 0),
        st.integers(-(2**40), 2**40),
    ),
    max_size=60,
)


def happens(event: str, state: RolloutState, looked_at: Verdict, plan: RolloutSettings, now_us: int) -> Action | None:
    """What an event asks for; None if nothing follows or it is refused."""
    who: dict[str, Any] = {"actor": "ann", "reason": "", "now_us": now_us}
    ways: dict[str, Callable[[], Action | None]] = {
        "tick": lambda: step(state, looked_at, plan, now_us),
        "promote": lambda: promote(state, looked_at, plan, **who),
        "force": lambda: promote(state, looked_at, plan, force=True, **who),
        "hold": lambda: hold(state, **who),
        "resume": lambda: resume(state, **who),
        "rollback": lambda: rollback(state, **who),
        "lower": lambda: rollback(state, to_share=state.share / 2, **who),
        "restart": lambda: restart(state, actor=AUTOMATIC, reason="", now_us=now_us),
    }
    try:
        return ways[event]()
    except StateError:
        return None


@within(max_examples=300, deadline=None, derandomize=True)
@given(EVENTS, st.booleans(), st.sampled_from([(0.05, 0.1, 0.25, 0.5, 1.0), (0.05, 0.95)]))
def test_exposure_rises_only_by_a_pass_or_a_named_operator(
    events: list[tuple[str, Judgement, int, int]],
    automatic: bool,  # noqa: FBT001
    stages: tuple[float, ...],
) -> None:
    plan = RolloutSettings(stages=stages, automatic=automatic)
    state, log = RolloutState(), list[Action]()
    for event, judgement, stale, now_us in events:
        action = happens(event, state, Verdict(state.visit + stale, state.share, judgement, (), ()), plan, now_us)
        if action is None:
            continue
        before, state = state, apply(state, action)
        log.append(action)
        if state.share > before.share:
            fresh = action.evidence["visit"] == before.visit
            passed = fresh and action.evidence["judgement"] == Judgement.PASS and not before.held
            assert action.kind is Kind.PROMOTE
            assert (passed and automatic and before.share > 0.0) if action.actor == AUTOMATIC else action.actor == "ann"
            assert action.forced or passed or before.share == 0.0
            assert action.forced or state.share == plan.next_stage(before.share)
        if action.kind is Kind.ROLLBACK:
            assert state.held
            assert state.share <= before.share

    assert reduce(apply, log, RolloutState()) == state


def test_hold_without_reasons_is_a_closed_gate_too() -> None:
    with pytest.raises(StateError, match=r"promotion to 0\.25 must wait"):
        promote(STAGE, verdict(Judgement.HOLD), PLAN, actor="ann", reason="", now_us=1)
