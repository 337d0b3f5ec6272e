"""From the messages of the rollout to the domain and back; the rules of `convert.py` hold here too."""

from collections.abc import Mapping
from typing import Final

from google.protobuf.message import Message

from pilotfish.codes import Mode
from pilotfish.experience.exposures import Exposure
from pilotfish.experiments.rollout import AUTOMATIC
from pilotfish.experiments.verdict import Row
from pilotfish.safety.breakers import BreakerView, State
from pilotfish.safety.budgets import BudgetView
from pilotfish.server.convert import ID_BYTES, NAME_BYTES, REASON_BYTES, number, refuse, text
from pilotfish.training.entry import SnapshotInfo
from pilotfish.v1 import control_service_pb2 as control

PATH_BYTES: Final = 4096
LISTED: Final = 100
"""Breakers and budgets that are shown."""
CHANGES: Final = 1000
CHANGES_DEFAULT: Final = 100
VERSION_DIGITS: Final = (8, 64)
_HEX: Final = frozenset("0123456789abcdef")


def actor_from(proto: Message) -> tuple[str, str]:
    """Return who wants a change and why.

    Raises:
        InvalidInputError: Nobody or the sidecar itself, or a text is too long.
    """
    actor, reason = getattr(proto, "actor"), getattr(proto, "reason", "")  # noqa: B009  each message has its own type
    if not actor:
        refuse("FIELD_REQUIRED", "actor", "must say who changes this")
    if actor == AUTOMATIC:  # or the audit log could not tell a person's change from one that rests on evidence
        refuse("VALUE_OUT_OF_RANGE", "actor", "must not be the name of the sidecar's own changes", actor)
    return text(actor, "actor", ID_BYTES), text(reason, "reason", REASON_BYTES)


def mode_from(proto: control.SetModeRequest) -> tuple[Mode, float | None, str, str]:
    """Return mode, share, actor and reason.

    Raises:
        InvalidInputError: A field breaks its rule.
    """
    if proto.mode not in {int(mode) for mode in Mode}:
        refuse("UNKNOWN_ENUM_VALUE", "mode", f"must be one of {', '.join(mode.name for mode in Mode)}", proto.mode)
    mode = Mode(proto.mode)
    share = proto.rollout_share if proto.HasField("rollout_share") else None
    if share is not None:
        if mode is not Mode.ROLLOUT:
            refuse("FIELD_CONFLICT", "rollout_share", "is taken by mode ROLLOUT only")
        number(share, "rollout_share", 0.0, 1.0)
    return mode, share, *actor_from(proto)


def version_from(proto: control.PromoteRequest | control.RollbackRequest) -> str:
    """Return the version that is meant; empty: none is named.

    Raises:
        InvalidInputError: It has not the form of one.
    """
    version = proto.policy_version
    if version in {"", "live"}:
        return version
    least, most = VERSION_DIGITS
    if not (least <= len(version) <= most and _HEX.issuperset(version)):
        refuse(
            "MALFORMED_ID", "policy_version", f"must be `live`, or {least} to {most} hexadecimal digits", version[:most]
        )
    return version


def promotion_from(proto: control.PromoteRequest) -> tuple[str, float | None]:
    """Return the version and the share that are wanted; None: the next stage.

    Raises:
        InvalidInputError: A field breaks its rule.
    """
    share = proto.rollout_share if proto.HasField("rollout_share") else None
    if share is not None:
        if not proto.force:
            refuse("FIELD_CONFLICT", "rollout_share", "is taken with force only: the gate goes by stages")
        number(share, "rollout_share", 0.0, 1.0)
        if share <= 0.0:
            refuse("VALUE_OUT_OF_RANGE", "rollout_share", "must be above 0: to take exposure away, roll back", share)
    return version_from(proto), share


def page_from(proto: control.ListChangesRequest) -> int:
    """Return how many changes are wanted.

    Raises:
        InvalidInputError: Too many, or fewer than none.
    """
    number(proto.page_size, "page_size", 0, CHANGES)
    return proto.page_size or CHANGES_DEFAULT


def keeping_from(proto: control.KeepModelVersionRequest) -> tuple[str, str, str]:
    """Return actor, note and path.

    Raises:
        InvalidInputError: A field breaks its rule.
    """
    actor, _ = actor_from(proto)
    if "\0" in proto.path:
        refuse("VALUE_OUT_OF_RANGE", "path", "must not hold a null character")
    return actor, text(proto.note, "note", REASON_BYTES), text(proto.path, "path", PATH_BYTES)


def module_name_from(proto: control.ResetBreakerRequest) -> str:
    """Return the module whose breaker is meant.

    Raises:
        InvalidInputError: None is named, or the name is too long.
    """
    if not proto.module:
        refuse("FIELD_REQUIRED", "module", "must name a module")
    return text(proto.module, "module", NAME_BYTES)


def exposure_to(exposure: Exposure, target: control.Exposure) -> None:
    """Fill in what is or was in force."""
    target.number = exposure.number
    target.change_time.FromMicroseconds(exposure.time_us)
    target.action, target.actor, target.reason = exposure.action, exposure.actor, exposure.reason
    target.mode = int(exposure.mode)  # type: ignore[assignment]  # the numbers are the proto's
    target.rollout_share = exposure.rollout_share
    target.policy_version, target.control_version = exposure.policy, exposure.control
    target.is_held, target.is_learning_paused = exposure.held, exposure.paused
    target.stage, target.evidence_json = exposure.stage, exposure.evidence


def guardrail_to(row: Row, target: control.Guardrail) -> None:
    """Fill in one guardrail."""
    target.metric, target.margin, target.state = row.metric, row.margin, str(row.judgement)
    target.difference, target.lower_bound, target.upper_bound = row.estimate, row.lower, row.upper
    target.observation_count = row.policy_count + row.control_count
    target.policy_mean, target.control_mean = row.policy_mean or 0.0, row.control_mean or 0.0


def breakers_to(views: Mapping[str, BreakerView], now_s: float, target: control.GetRolloutResponse) -> None:
    """Fill in the breakers, the worst first."""
    worst = sorted(views.items(), key=lambda entry: (entry[1].state is State.CLOSED, -entry[1].failure_rate, entry[0]))
    for module, view in worst[:LISTED]:
        target.breakers.add(
            module=module,
            state=view.state.name.lower(),
            failure_rate=view.failure_rate,
            call_count=view.calls,
            remaining_s=0.0 if view.open_until_s is None else max(0.0, view.open_until_s - now_s),
            trip_count=view.trips,
        )


def budgets_to(views: Mapping[str, BudgetView], target: control.GetRolloutResponse) -> None:
    """Fill in the budgets."""
    for module, view in sorted(views.items())[:LISTED]:
        for rule, use in zip(view._fields, view, strict=True):
            if use is not None:
                target.budgets.add(module=module, rule=f"budget.{rule}", used=use.used, limit=use.limit)


def version_to(info: SnapshotInfo, target: control.ModelVersion) -> None:
    """Fill in a kept version."""
    target.version, target.model_version = info.sha256, info.model_version
    target.create_time.FromMicroseconds(info.created_us)
    target.learned_count, target.size_bytes = info.learned_count, info.size_bytes
    target.note, target.actor = info.note, info.actor
