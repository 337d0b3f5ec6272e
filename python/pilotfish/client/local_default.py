"""The decision without a sidecar: legal, at once, and marked as a fallback.

The rules are those of `pilotfish.safety`, asked of what the request itself declares; the sidecar's registry is not
known here.
"""

from collections.abc import Callable
from typing import Final

from pilotfish import v1
from pilotfish.client.decision import Decision, reason_name
from pilotfish.exceptions import InvalidInputError, StateError

CIRCUIT_OPEN: Final = reason_name(v1.REASON_CODE_CIRCUIT_OPEN)
SIDECAR_UNAVAILABLE: Final = reason_name(v1.REASON_CODE_SIDECAR_UNAVAILABLE)

_MAX_NAMED_REMOVALS: Final = 16


def local_default(request: v1.SelectModuleRequest, why: str) -> Decision:
    """Return the request's baseline module if it is legal, else the first legal candidate in declared order.

    Without candidates, where the sidecar would ask its registry, the baseline and the allowed modules are the offer.

    Args:
        request: What the sidecar was to be asked.
        why: `circuit_open`; everything else means that the sidecar is not available.

    Raises:
        StateError: No candidate is legal, as the sidecar would say.
        InvalidInputError: There is no candidate, or the baseline is not among them, as the sidecar would say.
    """
    offered = _offered(request)
    rule_broken_by = _rules(request)
    reasons: tuple[str, ...] = (CIRCUIT_OPEN if why == CIRCUIT_OPEN else SIDECAR_UNAVAILABLE,)
    if request.baseline_module:
        baseline = next((module for module in offered if module.name == request.baseline_module), None)
        if baseline is None:
            raise _unknown_baseline(request.baseline_module)
        if not rule_broken_by(baseline):
            return _fallback(baseline.name, reasons)
        reasons += (reason_name(v1.REASON_CODE_BASELINE_NOT_LEGAL),)
    removed: list[tuple[str, v1.ReasonCode.ValueType]] = []
    for module in offered:
        broken = rule_broken_by(module)
        if not broken:
            return _fallback(module.name, reasons)
        removed.append((module.name, broken))
    raise _no_legal_module(request.task.type, removed)


def _fallback(module: str, reasons: tuple[str, ...]) -> Decision:
    return Decision(id="", module=module, propensity=1.0, source="fallback", reasons=reasons)


def _offered(request: v1.SelectModuleRequest) -> list[v1.Module]:
    offered = list(request.candidates)
    if not offered:
        names = dict.fromkeys([request.baseline_module, *request.allowed_modules])
        offered = [v1.Module(name=name) for name in names if name]
    if not offered:
        raise InvalidInputError(
            "candidates is empty and no sidecar is there to ask its registry, must hold at least one module",
            reason="NO_CANDIDATES",
            metadata={"field": "candidates", "rule": "offer candidates or name a baseline_module"},
        )
    return offered


def _rules(request: v1.SelectModuleRequest) -> Callable[[v1.Module], v1.ReasonCode.ValueType]:
    """Return a function that names the first rule that a module breaks, or 0."""
    denied = frozenset(request.denied_modules)
    allowed = frozenset(request.allowed_modules)
    required = frozenset(request.task.required_capabilities)
    size = request.task.data_size_bytes if request.task.HasField("data_size_bytes") else -1
    features = _feature_names(request.task)
    is_repeatable = request.task.attempt <= 1 or not request.task.non_idempotent

    def rule_broken_by(module: v1.Module) -> v1.ReasonCode.ValueType:  # noqa: PLR0911  one return for each rule
        if not is_repeatable:
            return v1.REASON_CODE_NOT_REPEATABLE
        if module.name in denied:
            return v1.REASON_CODE_DENIED
        if allowed and module.name not in allowed:
            return v1.REASON_CODE_NOT_ALLOWED
        # A module that declares nothing may well be registered with what it takes: only the sidecar knows.
        if required and module.capabilities and not required.issubset(module.capabilities):
            return v1.REASON_CODE_MISSING_CAPABILITY
        if not features.issuperset(module.required_features):
            return v1.REASON_CODE_MISSING_FEATURE
        if module.HasField("max_data_size_bytes") and size > module.max_data_size_bytes:
            return v1.REASON_CODE_DATA_TOO_LARGE
        return v1.REASON_CODE_UNSPECIFIED

    return rule_broken_by


def _feature_names(task: v1.Task) -> set[str]:
    """Return the names of a task's features, with those that every task has by itself."""
    features = task.features
    names = {"task.type", *features.numbers, *features.labels, *features.flags, *features.vectors}
    names.update(
        name
        for name, is_known in (
            ("task.priority", task.priority != 0),
            ("task.log_data_size", task.HasField("data_size_bytes")),
            ("task.log_deadline", task.HasField("deadline_duration")),
        )
        if is_known
    )
    return names


def _unknown_baseline(name: str) -> InvalidInputError:
    return InvalidInputError(
        f"baseline_module == {name}, must be one of the candidates",
        reason="UNKNOWN_BASELINE",
        metadata={"field": "baseline_module", "value": name, "rule": "one of the candidates"},
    )


def _no_legal_module(task_type: str, removed: list[tuple[str, v1.ReasonCode.ValueType]]) -> StateError:
    named = {name: reason_name(broken).upper() for name, broken in removed[:_MAX_NAMED_REMOVALS]}
    listed = ", ".join(f"{name} ({reason})" for name, reason in named.items())
    more = f" and {len(removed) - len(named)} more" if len(removed) > len(named) else ""
    return StateError(
        f"no candidate is legal for task type {task_type!r}: {listed}{more}; offer a module that qualifies",
        reason="NO_LEGAL_MODULE",
        metadata={"rule": "at least one candidate must be legal", **named},
    )
