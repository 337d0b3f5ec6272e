"""Which candidates may take a task at all. What is removed here never reaches the core, and is refused by the guard."""

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from pilotfish._core import RuleSet
from pilotfish.codes import Mode, Reason
from pilotfish.request import Module, Removal, Request
from pilotfish.safety.constraints import EVERY, NONE, Constraints

Modules: TypeAlias = Sequence[Module]
Broken: TypeAlias = Sequence[bool]
"""For each module whether it breaks a rule. Built by comprehensions: a call for each module takes twice as long."""

PRIORITY: Final = "task.priority"
"""The reserved feature that holds a tenth of the priority."""


_MODE_NAMES: Final = {mode: mode.name.lower() for mode in Mode}
_HOUR_US: Final = 3_600_000_000
_EPOCH_WEEKDAY: Final = 3
"""1970-01-01 was a Thursday."""


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
    test: Callable[[Request, Modules, Constraints], Broken | None]
    """Looks at each of the modules by itself; None: the rule does not apply to the request."""


def _lacks(required: tuple[str, ...], present: Container[str]) -> bool:
    for name in required:  # noqa: SIM110  `any` over a generator takes four times as long, for each module
        if name not in present:
            return True
    return False


def _denied(request: Request, modules: Modules, _: Constraints) -> Broken | None:
    if not request.denied_modules:
        return None
    denied = frozenset(request.denied_modules)
    return [module.name in denied for module in modules]


def _not_allowed(request: Request, modules: Modules, _: Constraints) -> Broken | None:
    if not request.allowed_modules:
        return None
    allowed = frozenset(request.allowed_modules)
    return [module.name not in allowed for module in modules]


def _missing_capability(request: Request, modules: Modules, _: Constraints) -> Broken | None:
    required = request.task.required_capabilities
    return [_lacks(required, module.capabilities) for module in modules] if required else None


def _data_too_large(request: Request, modules: Modules, _: Constraints) -> Broken | None:
    size = request.task.data_size_bytes
    if size is None:
        return None
    return [module.max_data_size_bytes is not None and size > module.max_data_size_bytes for module in modules]


def _missing_feature(request: Request, modules: Modules, _: Constraints) -> Broken | None:
    required = [module.required_features for module in modules]
    features = request.task.features
    return [_lacks(names, features) for names in required] if any(required) else None


def _not_repeatable(request: Request, modules: Modules, _: Constraints) -> Broken | None:
    return [True] * len(modules) if request.task.non_idempotent and request.task.attempt > 1 else None


def _denied_here(_: Request, modules: Modules, constraints: Constraints) -> Broken | None:
    denied = constraints.denied_modules
    return [module.name in denied for module in modules] if denied else None


def _not_allowed_here(_: Request, modules: Modules, constraints: Constraints) -> Broken | None:
    allowed = constraints.allowed_modules
    return [module.name not in allowed for module in modules] if allowed else None


def _banned(request: Request, modules: Modules, constraints: Constraints) -> Broken | None:
    bans = constraints.bans
    banned = (*bans.get(EVERY, ()), *bans.get(request.task.type, ()))
    return [module.name in banned for module in modules] if banned else None


def _data_too_large_here(request: Request, modules: Modules, constraints: Constraints) -> Broken | None:
    size, limits = request.task.data_size_bytes, constraints.max_data_size_bytes
    return [size > limits.get(module.name, size) for module in modules] if limits and size is not None else None


def _deadline_too_short(request: Request, modules: Modules, constraints: Constraints) -> Broken | None:
    deadline_s, needs = request.task.deadline_s, constraints.min_deadline_s
    return (
        [deadline_s < needs.get(module.name, 0.0) for module in modules] if needs and deadline_s is not None else None
    )


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
        # Plain tuples: they are unpacked faster than named ones.
        self._asked: Final = tuple(
            (rule.reason, rule.id, rule.test) for rule in RULES if not rule.id or getattr(constraints, _field(rule))
        )

    def is_critical(self, request: Request) -> bool:
        """Return whether nothing may be explored on this task."""
        task, constraints = request.task, self.constraints
        if task.critical or task.type in constraints.critical_task_types:
            return True
        priority = task.features.get(PRIORITY, 0.0)
        return isinstance(priority, float) and round(priority * 10.0) >= constraints.critical_priority

    def split(self, request: Request, asked: Asked) -> tuple[tuple[int, ...], tuple[Removal, ...]]:
        """Return the indices of the legal candidates in declared order, and each removed one with its reason."""
        candidates, constraints = request.candidates, self.constraints
        first: dict[int, Removal] = {}
        for reason, rule, test in self._asked:
            broken = test(request, candidates, constraints)
            if broken and True in broken:
                for index, is_broken in enumerate(broken):
                    if is_broken and index not in first:
                        first[index] = Removal(index, int(reason), rule)
        legal = [index for index in range(len(candidates)) if index not in first]
        removed = [first[index] for index in sorted(first)]
        if self._rules is None or not legal:
            return tuple(legal), tuple(removed)
        violated = self._violations(request, [candidates[index] for index in legal], asked)
        if max(violated) < 0:  # most requests
            return tuple(legal), tuple(removed)
        for index, place in zip(legal, violated, strict=True):
            if place >= 0:
                removed.append(Removal(index, int(Reason.RULE_VIOLATED), self._rule_ids[place]))
        kept = [index for index, place in zip(legal, violated, strict=True) if place < 0]
        return tuple(kept), tuple(removed)

    def fault_of(self, request: Request, index: int, asked: Asked) -> str:
        """Return the rule that a candidate breaks, in words, or "" if it breaks none: what the guard asks."""
        modules = (request.candidates[index],)
        for reason, rule, test in self._asked:
            if True in (test(request, modules, self.constraints) or ()):
                return f"{reason.name} {rule}".rstrip()
        if self._rules is not None:
            (rule_index,) = self._violations(request, modules, asked)
            if rule_index >= 0:
                return f"{Reason.RULE_VIOLATED.name} {self._rule_ids[rule_index]}"
        return ""

    def _violations(self, request: Request, modules: Modules, asked: Asked) -> list[int]:
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
    hours = asked.time_us // _HOUR_US
    return {
        "mode": _MODE_NAMES[asked.mode],
        "baseline": request.baseline_module,
        "unit_id": request.unit_id,
        "hour": hours % 24,
        "weekday": (hours // 24 + _EPOCH_WEEKDAY) % 7,
    }
