"""Who may change the policy's share, and when: the states of a rollout and the actions between them.

The automatic actor promotes by one stage on PASS, and rolls back on BREACH. It does nothing else: silence, doubt and
faults leave everything as it is, and after a rollback only an operator begins again.
"""

from enum import StrEnum
from typing import Any, Final

import msgspec

from pilotfish.exceptions import ConflictError, InvalidInputError, StateError
from pilotfish.experiments.settings import RolloutSettings
from pilotfish.experiments.verdict import Judgement, Verdict

AUTOMATIC: Final = "automatic"
"""The actor that no operator may call himself."""


class Kind(StrEnum):
    """What an action does."""

    PROMOTE = "promote"
    """To a larger share."""
    ROLLBACK = "rollback"
    """To a smaller share or 0, and hold."""
    HOLD = "hold"
    """No automatic promotion until resumed. Automatic rollback stays."""
    RESUME = "resume"
    """End a hold."""
    RESTART = "restart"
    """Gather the stage's evidence anew: another policy, or the world has changed."""


class RolloutState(msgspec.Struct, frozen=True):
    """Where a rollout stands."""

    share: float = 0.0
    """The policy's share of units, [0, 1]."""
    visit: int = 0
    """Number of the visit to a stage, one more with each change of share and each restart; evidence never outlives
    it."""
    held: bool = False
    """Whether automatic promotion waits for an operator."""
    since_us: int = 0
    """Time at which this visit began, in microseconds; to look at, nothing follows from it."""


class Action(msgspec.Struct, frozen=True):
    """A change of state, with everything that the audit log should know about it."""

    kind: Kind
    actor: str
    """`automatic`, or who asked."""
    reason: str
    from_share: float
    to_share: float
    visit: int
    """The visit that it ends or changes."""
    at_us: int
    """Time of the action, in microseconds."""
    forced: bool = False
    """Whether an operator went past the gate."""
    evidence: dict[str, Any] = {}
    """The verdict that was on the table, as plain data (`Verdict.plain`)."""


def step(state: RolloutState, verdict: Verdict, settings: RolloutSettings, now_us: int) -> Action | None:
    """Return what the automatic actor does now; None: nothing.

    Args:
        state: Where the rollout stands.
        verdict: What the present stage has shown; one about another visit is not looked at.
        settings: The plan.
        now_us: Time of the action, for the record.
    """
    if (verdict.visit, verdict.share) != (state.visit, state.share) or not state.share:
        return None
    if verdict.judgement is Judgement.BREACH:
        return _action(
            state,
            Kind.ROLLBACK,
            actor=AUTOMATIC,
            reason="; ".join(verdict.reasons),
            to_share=0.0,
            now_us=now_us,
            verdict=verdict,
        )
    to_share = settings.next_stage(state.share)
    if verdict.judgement is not Judgement.PASS or not settings.automatic or state.held or to_share is None:
        return None
    return _action(
        state,
        Kind.PROMOTE,
        actor=AUTOMATIC,
        reason="every guardrail has passed",
        to_share=to_share,
        now_us=now_us,
        verdict=verdict,
    )


def promote(
    state: RolloutState,
    verdict: Verdict | None,
    settings: RolloutSettings,
    *,
    actor: str,
    reason: str,
    now_us: int,
    to_share: float | None = None,
    force: bool = False,
) -> Action:
    """Return an operator's promotion: through the gate to the next stage, or past it by force, which is recorded.

    From 0 the first stage needs no verdict: there evidence begins.

    Args:
        state: Where the rollout stands.
        verdict: What the present stage has shown; None if unknown.
        settings: The plan.
        actor: Who asks.
        reason: Why, for the record.
        now_us: Time of the action, for the record.
        to_share: The share to go to, (0, 1]; None: the next stage.
        force: Whether to promote although the stage has not passed, is held, or stages are skipped.

    Raises:
        InvalidInputError: The actor is empty or `automatic`, or the share does not rise.
        StateError: There is no next stage, or the gate is closed and `force` is not set; the message says why.
    """
    following = settings.next_stage(state.share)
    target = following if to_share is None else to_share
    if target is None:
        raise StateError(f"share == {state.share:g}, the last stage, must be below it to be promoted")
    if not state.share < target <= 1.0:
        raise InvalidInputError(f"to_share == {target:g}, must be in ({state.share:g}, 1]")
    closed = _closed(state, verdict, following, target)
    if closed is not None and not force:
        raise StateError(f"promotion to {target:g} must wait: {closed}")
    forced = closed is not None
    return _action(
        state,
        Kind.PROMOTE,
        actor=_operator(actor),
        reason=reason,
        to_share=target,
        now_us=now_us,
        verdict=verdict,
        forced=forced,
    )


def rollback(
    state: RolloutState,
    *,
    actor: str,
    reason: str,
    now_us: int,
    to_share: float = 0.0,
    verdict: Verdict | None = None,
) -> Action:
    """Return an operator's rollback to a smaller share, by default to 0; it is never refused for what evidence says.

    Raises:
        InvalidInputError: The actor is empty or `automatic`, or the share would rise.
    """
    if not 0.0 <= to_share <= state.share:
        raise InvalidInputError(f"to_share == {to_share:g}, must be in [0, {state.share:g}]")
    return _action(
        state, Kind.ROLLBACK, actor=_operator(actor), reason=reason, to_share=to_share, now_us=now_us, verdict=verdict
    )


def hold(state: RolloutState, *, actor: str, reason: str, now_us: int) -> Action:
    """Return an operator's hold.

    Raises:
        InvalidInputError: The actor is empty or `automatic`.
    """
    return _action(state, Kind.HOLD, actor=_operator(actor), reason=reason, to_share=state.share, now_us=now_us)


def resume(state: RolloutState, *, actor: str, reason: str, now_us: int) -> Action:
    """Return the end of a hold. At share 0 nothing follows from it until an operator promotes.

    Raises:
        InvalidInputError: The actor is empty or `automatic`.
    """
    return _action(state, Kind.RESUME, actor=_operator(actor), reason=reason, to_share=state.share, now_us=now_us)


def restart(state: RolloutState, *, actor: str, reason: str, now_us: int) -> Action:
    """Return a new beginning of the present stage; it may be automatic, since it raises nothing.

    Raises:
        InvalidInputError: The actor is empty.
    """
    if not actor:
        raise InvalidInputError("actor == '', must say who asks")
    return _action(state, Kind.RESTART, actor=actor, reason=reason, to_share=state.share, now_us=now_us)


def apply(state: RolloutState, action: Action) -> RolloutState:
    """Return the state after an action; the fold of all actions on the log is the state.

    Raises:
        ConflictError: The action was made for another state.
    """
    if (action.visit, action.from_share) != (state.visit, state.share):
        raise ConflictError(
            f"action is for visit {action.visit} at {action.from_share:g}, must be for {state.visit} at {state.share:g}"
        )
    match action.kind:
        case Kind.HOLD | Kind.RESUME:
            return msgspec.structs.replace(state, held=action.kind is Kind.HOLD)
        case Kind.PROMOTE | Kind.RESTART:
            held = state.held
        case Kind.ROLLBACK:
            held = True
    return RolloutState(share=action.to_share, visit=state.visit + 1, held=held, since_us=action.at_us)


def _closed(state: RolloutState, verdict: Verdict | None, following: float | None, target: float) -> str | None:
    """Return why the gate to a share is closed; None if it is open."""
    if state.held:
        return "the rollout is held, resume it first"
    if following is None or target > following:
        return f"the next stage is {following:g}" if following is not None else "no stage follows"
    if not state.share:
        return None
    if verdict is None or (verdict.visit, verdict.share) != (state.visit, state.share):
        return "there is no verdict on the present stage"
    return None if verdict.judgement is Judgement.PASS else "; ".join(verdict.reasons)


def _operator(actor: str) -> str:
    if actor in {"", AUTOMATIC}:
        raise InvalidInputError(f"actor == {actor!r}, must name an operator")
    return actor


def _action(
    state: RolloutState,
    kind: Kind,
    *,
    actor: str,
    reason: str,
    to_share: float,
    now_us: int,
    verdict: Verdict | None = None,
    forced: bool = False,
) -> Action:
    return Action(
        kind=kind,
        actor=actor,
        reason=reason,
        from_share=state.share,
        to_share=to_share,
        visit=state.visit,
        at_us=now_us,
        forced=forced,
        evidence={} if verdict is None else verdict.plain(),
    )
