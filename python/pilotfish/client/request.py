"""From a hub's arguments to the contract's requests."""

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Final, TypeVar

from pilotfish import v1
from pilotfish.client.decision import Decision
from pilotfish.client.features import Features, fill_features
from pilotfish.client.module import Candidate, add_candidates
from pilotfish.exceptions import InvalidInputError

_TextsT = TypeVar("_TextsT", bound=Collection[str])

SIGNALS: Final[dict[str, v1.Signal.ValueType]] = {
    name.removeprefix("SIGNAL_").lower(): number for name, number in v1.Signal.items() if number
}
"""The signals by the names that hubs use: `quality`, `latency_ms`."""


def select_request(
    task_type: str,
    *,
    candidates: Sequence[Candidate],
    description: str = "",
    features: Features | None = None,
    priority: int = 0,
    data_size_bytes: int | None = None,
    task_deadline_s: float | None = None,
    required_capabilities: Sequence[str] = (),
    signal_weights: Mapping[str, float] | None = None,
    baseline_module: str = "",
    unit_id: str = "",
    request_id: str | None = None,
    allowed_modules: Sequence[str] = (),
    denied_modules: Sequence[str] = (),
    attempt: int = 1,
    non_idempotent: bool = False,
    critical: bool = False,
    explain: bool = False,
) -> v1.SelectModuleRequest:
    """Return a request for a decision.

    Args:
        task_type: The kind of task, such as `extract_pdf`.
        candidates: The modules on offer in the hub's order of preference: names, Modules or dicts of their fields.
            Empty: all that are registered with the sidecar; give a baseline_module then, for the time without one.
        description: Free text about the task.
        features: Further typed features: numbers, texts, booleans or lists of numbers.
        priority: Urgency, 0 to 10.
        data_size_bytes: Size of the task's input.
        task_deadline_s: Time until the result is of no use.
        required_capabilities: What a module must be able to do.
        signal_weights: What matters for this task, by signal: `{"quality": 2, "latency_ms": 1}`.
        baseline_module: The hub's own choice.
        unit_id: What the rollout randomises, such as a session or a user.
        request_id: Makes a repetition return the first decision. None: a new random one, so that a retry is harmless.
        allowed_modules: If not empty, only these are legal.
        denied_modules: These are not legal.
        attempt: Which try of the same work this is, from 1 on.
        non_idempotent: Running it twice does harm: no module is legal for a second attempt.
        critical: Nothing is explored on it, and the sidecar's risk cap holds.
        explain: Whether to explain the decision.

    Raises:
        InvalidInputError: A value has the wrong type, or a signal is unknown.
    """
    request = v1.SelectModuleRequest()
    try:
        # 128 random bits as a UUID4 has them, at a quarter of its price.
        request.request_id = os.urandom(16).hex() if request_id is None else request_id
        request.unit_id = unit_id
        request.baseline_module = baseline_module
        request.explain = explain
        if allowed_modules:
            request.allowed_modules.extend(_texts("allowed_modules", allowed_modules))
        if denied_modules:
            request.denied_modules.extend(_texts("denied_modules", denied_modules))
        add_candidates(request, candidates)
        task = request.task
        task.type = task_type
        task.description = description
        task.priority = priority
        if features:
            fill_features(task.features, features)
        if data_size_bytes is not None:
            task.data_size_bytes = data_size_bytes
        if attempt != 1:
            task.attempt = attempt
        task.non_idempotent = non_idempotent
        task.critical = critical
        if task_deadline_s is not None:
            task.deadline_duration.FromNanoseconds(round(task_deadline_s * 1e9))
        if required_capabilities:
            task.required_capabilities.extend(_texts("required_capabilities", required_capabilities))
        for name, weight in (signal_weights or {}).items():
            task.signal_weights.add(signal=signal_named(name), weight=weight)
    except (TypeError, ValueError, OverflowError) as error:
        raise _as_invalid(error) from error
    return request


def outcome_request(
    decision: Decision | str,
    *,
    completion: float | None = None,
    latency_ms: float | None = None,
    cost_usd: float | None = None,
    quality: float | None = None,
    retry_count: float | None = None,
    recovery: float | None = None,
    satisfaction: float | None = None,
    served_module: str = "",
    lower_bounds: Collection[str] = (),
) -> v1.RecordOutcomeRequest:
    """Return an outcome: any subset of a decision's signals; what is None was not measured (yet).

    Args:
        decision: The decision or its id.
        completion: Did the task complete, 0 to 1.
        latency_ms: Wall-clock time in milliseconds.
        cost_usd: Money in US dollars.
        quality: Quality of the result, 0 to 1.
        retry_count: Number of retries that were needed.
        recovery: After a failure, was the task saved, 0 to 1.
        satisfaction: Satisfaction of the person who asked, 0 to 1.
        served_module: The module that really ran, if it was not the decided one.
        lower_bounds: Names of the signals whose value is only a lower bound, because the measurement was cut off:
            `{"latency_ms"}` of a call that timed out. Taken by latency_ms, cost_usd and retry_count.

    Raises:
        InvalidInputError: A value has the wrong type, or a lower bound names no signal that has a value here.
    """
    request = v1.RecordOutcomeRequest()
    try:
        cut_off = {signal_named(name, "lower_bounds"): name for name in _texts("lower_bounds", lower_bounds)}
        request.decision_id = decision if isinstance(decision, str) else decision.id
        for signal, value in (
            (v1.SIGNAL_COMPLETION, completion),
            (v1.SIGNAL_LATENCY_MS, latency_ms),
            (v1.SIGNAL_COST_USD, cost_usd),
            (v1.SIGNAL_QUALITY, quality),
            (v1.SIGNAL_RETRY_COUNT, retry_count),
            (v1.SIGNAL_RECOVERY, recovery),
            (v1.SIGNAL_SATISFACTION, satisfaction),
        ):
            if value is not None:
                request.signals.add(signal=signal, value=value, lower_bound=signal in cut_off)
        request.served_module = served_module
    except (TypeError, ValueError, OverflowError) as error:
        raise _as_invalid(error) from error
    for signal in cut_off.keys() - {entry.signal for entry in request.signals}:
        raise InvalidInputError(
            f"lower_bounds == {cut_off[signal]}, must name a signal that has a value in this outcome",
            reason="FIELD_CONFLICT",
            metadata={"field": "lower_bounds", "value": cut_off[signal], "rule": "a signal with a value"},
        )
    return request


def signal_named(name: str, field: str = "task.signal_weights") -> v1.Signal.ValueType:
    """Return a signal's number.

    Args:
        name: Its name, such as `latency_ms`.
        field: Where it stands, for the message.

    Raises:
        InvalidInputError: There is no such signal.
    """
    try:
        return SIGNALS[name]
    except KeyError:
        raise InvalidInputError(
            f"signal == {name!r}, must be one of {', '.join(SIGNALS)}",
            reason="UNKNOWN_ENUM_VALUE",
            metadata={"field": field, "value": str(name), "rule": "a known signal"},
        ) from None


def _texts(field: str, values: _TextsT) -> _TextsT:
    if isinstance(values, str):  # "pdf" would silently become three capabilities
        raise InvalidInputError(f"{field} == {values!r}, must be a list of texts", reason="MALFORMED_MESSAGE")
    return values


def _as_invalid(error: Exception) -> InvalidInputError:
    if isinstance(error, InvalidInputError):
        return error
    return InvalidInputError(f"the request cannot be encoded: {error}", reason="MALFORMED_MESSAGE")
