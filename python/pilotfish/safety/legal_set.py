"""Which candidates may take a task at all. What is removed here never reaches the core, and is refused by the guard."""

import time
from collections.abc import Callable, Container, Mapping
from typing import Final, NamedTuple

from pilotfish._core import RuleSet
from pilotfish.codes import Mode, Reason
from pilotfish.request import Module, Removal, Request
from pilotfish.safety.constraints import EVERY, NONE, Constraints

Breaks = Callable[[Module], bool]
"""True for a module that breaks a rule."""

PRIORITY: Final = "task.priority"
"""The reserved feature that holds a tenth of the priority."""


_MODE_NAMES: Final = {mode: mode.name.lower() for mode in Mode}


class Asked(NamedTuple):
    """What rules may know of a decision before it is made."""

    mode: Mode
    time_us: int
    """Microseconds since the epoch; hours and weekdays are UTC."""


class Rule(NamedTuple):
    """A rule that may remove candidates."""

    reason: Reason
    id: str
    """Its name in the configuration; empty: a rule of the request itself."""
    test: Callable[[Request, Constraints], Breaks | None]
    """Looks at the request; returns a test of modules, or None if the rule does not apply."""


def _lacks(required: tuple[str, ...], present: Container[str]) -> bool:
    for name in required:  # noqa: SIM110  `any` over a generator takes four times as long, for each module
        if name not in present:
            return True
    return False


def _denied(request: Request, _: Constraints) -> Breaks | None:
    if not request.denied_modules:
        return None
    denied = frozenset(request.denied_modules)
    return lambda module: module.name in denied


def _not_allowed(request: Request, _: Constraints) -> Breaks | None:
    if not request.allowed_modules:
        return None
    allowed = frozenset(request.allowed_modules)
    return lambda module: module.name not in allowed


def _missing_capability(request: Request, _: Constraints) -> Breaks | None:
    required = request.task.required_capabilities
    return (lambda module: _lacks(required, module.capabilities)) if required else None


def _data_too_large(request: Request, _: Constraints) -> Breaks | None:
    size = request.task.data_size_bytes
    if size is None:
        return None
    return lambda module: module.max_data_size_bytes is not None and size > module.max_data_size_bytes


def _missing_feature(request: Request, _: Constraints) -> Breaks | None:
    if not any([module.required_features for module in request.candidates]):  # noqa: C419  a list is twice as fast
        return None
    features = request.task.features
    return lambda module: _lacks(module.required_features, features)


def _not_repeatable(request: Request, _: Constraints) -> Breaks | None:
    return (lambda _: True) if request.task.non_idempotent and request.task.attempt > 1 else None


def _denied_here(_: Request, constraints: Constraints) -> Breaks | None:
    denied = constraints.denied_modules
    return (lambda module: module.name in denied) if denied else None


def _not_allowed_here(_: Request, constraints: Constraints) -> Breaks | None:
    allowed = constraints.allowed_modules
    return (lambda module: module.name not in allowed) if allowed else None


def _banned(request: Request, constraints: Constraints) -> Breaks | None:
    if not constraints.bans:
        return None
    banned = {*constraints.bans.get(EVERY, ()), *constraints.bans.get(request.task.type, ())}
    return (lambda module: module.name in banned) if banned else None


def _data_too_large_here(request: Request, constraints: Constraints) -> Breaks | None:
    size, limits = request.task.data_size_bytes, constraints.max_data_size_bytes
    return (lambda module: size > limits.get(module.name, size)) if limits and size is not None else None


def _deadline_too_short(request: Request, constraints: Constraints) -> Breaks | None:
    deadline_s, needs = request.task.deadline_s, constraints.min_deadline_s
    return (lambda module: deadline_s < needs.get(module.name, 0.0)) if needs and deadline_s is not None else None


RULES: Final = (
    Rule(Reason.NOT_REPEATABLE, "", _not_repeatable),
    Rule(Reason.DENIED, "", _denied),
    Rule(Reason.NOT_ALLOWED, "", _not_allowed),
    Rule(Reason.MISSING_CAPABILITY, "", _missing_capability),
    Rule(Reason.MISSING_FEATURE, "", _missing_feature),
    Rule(Reason.DATA_TOO_LARGE, "", _data_too_large),
    Rule(Reason.DENIED, "safety.denied_modules", _denied_here),
    Rule(Reason.NOT_ALLOWED, "safety.allowed_modules", _not_allowed_here),
    Rule(Reason.BANNED, "safety.bans", _banned),
    Rule(Reason.DATA_TOO_LARGE, "safety.max_data_size_bytes", _data_too_large_here),
    Rule(Reason.DEADLINE_TOO_SHORT, "safety.min_deadline_s", _deadline_too_short),
)
"""In the order in which they are asked; a module is removed by the first that it breaks. Rules in CEL come last."""


def _field(rule: Rule) -> str:
    """Return the field of `Constraints` that a rule of the configuration looks at."""
    return rule.id.removeprefix("safety.")


class Legality:
    """The rules of a configuration, compiled. Thread-safe; reads nothing but its arguments.

    Args:
        constraints: The configuration.

    Raises:
        InvalidInputError: A rule in CEL is malformed; the message names it.
    """

    def __init__(self, constraints: Constraints = NONE) -> None:
        self.constraints = constraints
        self._rules = RuleSet(list(constraints.rules.items())) if constraints.rules else None
        self._rule_ids = tuple(constraints.rules)
        self._asked: Final = tuple(rule for rule in RULES if not rule.id or getattr(constraints, _field(rule)))

    def is_critical(self, request: Request) -> bool:
        """Return whether nothing may be explored on this task."""
        task, constraints = request.task, self.constraints
        if task.critical or task.type in constraints.critical_task_types:
            return True
        priority = task.features.get(PRIORITY, 0.0)
        return isinstance(priority, float) and round(priority * 10.0) >= constraints.critical_priority

    def split(self, request: Request, asked: Asked) -> tuple[tuple[int, ...], tuple[Removal, ...]]:
        """Return the indices of the legal candidates in declared order, and each removed one with its reason."""
        candidates = request.candidates
        tests = self._tests(request)
        if not tests and self._rules is None:  # most requests
            return tuple(range(len(candidates))), ()
        legal: list[int] = []
        removed: list[Removal] = []
        for index, module in enumerate(candidates):
            for reason, rule, breaks in tests:
                if breaks(module):
                    removed.append(Removal(index, int(reason), rule))
                    break
            else:
                legal.append(index)
        if self._rules is None or not legal:
            return tuple(legal), tuple(removed)
        violated = self._violations(request, [candidates[index] for index in legal], asked)
        if max(violated) < 0:  # most requests
            return tuple(legal), tuple(removed)
        for index, broken in zip(legal, violated, strict=True):
            if broken >= 0:
                removed.append(Removal(index, int(Reason.RULE_VIOLATED), self._rule_ids[broken]))
        kept = [index for index, broken in zip(legal, violated, strict=True) if broken < 0]
        return tuple(kept), tuple(removed)

    def fault_of(self, request: Request, index: int, asked: Asked) -> str:
        """Return the rule that a candidate breaks, in words, or "" if it breaks none: what the guard asks."""
        module = request.candidates[index]
        for reason, rule, breaks in self._tests(request):
            if breaks(module):
                return f"{reason.name} {rule}".rstrip()
        if self._rules is not None:
            (rule_index,) = self._violations(request, [module], asked)
            if rule_index >= 0:
                return f"{Reason.RULE_VIOLATED.name} {self._rule_ids[rule_index]}"
        return ""

    def _tests(self, request: Request) -> list[tuple[Reason, str, Breaks]]:
        constraints = self.constraints
        return [
            (reason, rule, breaks)
            for reason, rule, test in self._asked
            if (breaks := test(request, constraints)) is not None
        ]

    def _violations(self, request: Request, modules: list[Module], asked: Asked) -> list[int]:
        task = request.task
        assert self._rules is not None  # noqa: S101  the callers look
        return self._rules.violations(
            {
                "type": task.type,
                "description": task.description,
                "features": task.features,
                "required_capabilities": task.required_capabilities,
                "data_size_bytes": task.data_size_bytes,
                "priority": round(10.0 * float(task.features.get(PRIORITY, 0.0))),  # type: ignore[arg-type]  # a number
                "deadline_s": task.deadline_s,
                "attempt": task.attempt,
                "idempotent": not task.non_idempotent,
                "critical": self.is_critical(request),
            },
            [(module.name, module.features, module.capabilities, module.max_data_size_bytes) for module in modules],
            decision_facts(request, asked),
        )


def decision_facts(request: Request, asked: Asked) -> Mapping[str, str | int]:
    """Return what rules see as `decision`: mode, baseline, unit_id, and the hour and weekday (0 is Monday) in UTC."""
    moment = time.gmtime(asked.time_us // 1_000_000)
    return {
        "mode": _MODE_NAMES[asked.mode],
        "baseline": request.baseline_module,
        "unit_id": request.unit_id,
        "hour": moment.tm_hour,
        "weekday": moment.tm_wday,
    }
