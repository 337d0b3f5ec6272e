import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.codes import Mode, Reason
from pilotfish.exceptions import InvalidInputError
from pilotfish.request import Module, Removal, Request, Task
from pilotfish.safety.constraints import NONE, Constraints, read_constraints
from pilotfish.safety.legal_set import RULES, Asked, Legality, decision_facts

PDF = Module("pdf", capabilities=("extract", "ocr"), max_data_size_bytes=1000)
TEXT = Module("text", capabilities=("extract",))
BARE = Module("bare", {"cost_class": "high"}, required_features=("pages",))
CANDIDATES = (PDF, TEXT, BARE)
NOON = Asked(Mode.ON, 12 * 3_600_000_000)  # Thursday, 1970-01-01


def ask(
    task: Mapping[str, Any] | None = None,
    *,
    allowed: tuple[str, ...] = (),
    denied: tuple[str, ...] = (),
) -> Request:
    fields: dict[str, Any] = {"features": {"pages": 3.0, "task.priority": 0.5}, **(task or {})}
    return Request(Task("scan", **fields), CANDIDATES, allowed_modules=allowed, denied_modules=denied)


def named(removed: tuple[Removal, ...]) -> dict[str, tuple[Reason, str]]:
    return {CANDIDATES[removal.index].name: (Reason(removal.reason), removal.rule) for removal in removed}


REQUESTS = [
    (ask(), {}),
    (ask({"required_capabilities": ("extract",)}), {"bare": Reason.MISSING_CAPABILITY}),
    (
        ask({"required_capabilities": ("extract", "ocr")}),
        {"text": Reason.MISSING_CAPABILITY, "bare": Reason.MISSING_CAPABILITY},
    ),
    (ask({"data_size_bytes": 1000}), {}),
    (ask({"data_size_bytes": 1001}), {"pdf": Reason.DATA_TOO_LARGE}),
    (ask(allowed=("text", "unknown")), {"pdf": Reason.NOT_ALLOWED, "bare": Reason.NOT_ALLOWED}),
    (ask(denied=("text",)), {"text": Reason.DENIED}),
    (
        ask(allowed=("text",), denied=("text",)),
        {"pdf": Reason.NOT_ALLOWED, "text": Reason.DENIED, "bare": Reason.NOT_ALLOWED},
    ),
    (
        ask({"data_size_bytes": 2000, "required_capabilities": ("ocr",)}, denied=("pdf",)),
        {"pdf": Reason.DENIED, "text": Reason.MISSING_CAPABILITY, "bare": Reason.MISSING_CAPABILITY},
    ),
    (ask({"features": {}}), {"bare": Reason.MISSING_FEATURE}),
    (ask({"attempt": 2}), {}),
    (ask({"non_idempotent": True}), {}),
    (ask({"attempt": 2, "non_idempotent": True}), dict.fromkeys(("pdf", "text", "bare"), Reason.NOT_REPEATABLE)),
]


@pytest.mark.parametrize(("request_", "expected"), REQUESTS)
def test_each_rule_of_a_request_removes_what_breaks_it_and_says_why(
    request_: Request, expected: dict[str, Reason]
) -> None:
    legal, removed = Legality().split(request_, NOON)
    assert named(removed) == {name: (reason, "") for name, reason in expected.items()}
    assert [CANDIDATES[index].name for index in legal] == [m.name for m in CANDIDATES if m.name not in expected]


RULE = {"late": 'task.features.pages < 5 || module.name != "pdf"'}
CONFIGURED = [
    ({"denied_modules": ("text",)}, {}, {"text": (Reason.DENIED, "safety.denied_modules")}),
    (
        {"allowed_modules": ("text",)},
        {},
        dict.fromkeys(("pdf", "bare"), (Reason.NOT_ALLOWED, "safety.allowed_modules")),
    ),
    ({"bans": {"scan": ("pdf",)}}, {}, {"pdf": (Reason.BANNED, "safety.bans")}),
    ({"bans": {"*": ("pdf",)}}, {}, {"pdf": (Reason.BANNED, "safety.bans")}),
    ({"bans": {"other": ("pdf",)}}, {}, {}),
    (
        {"max_data_size_bytes": {"text": 10}},
        {"data_size_bytes": 11},
        {"text": (Reason.DATA_TOO_LARGE, "safety.max_data_size_bytes")},
    ),
    ({"max_data_size_bytes": {"text": 10}}, {"data_size_bytes": 10}, {}),
    ({"max_data_size_bytes": {"text": 10}}, {}, {}),
    (
        {"min_deadline_s": {"text": 2.0}},
        {"deadline_s": 1.9},
        {"text": (Reason.DEADLINE_TOO_SHORT, "safety.min_deadline_s")},
    ),
    ({"min_deadline_s": {"text": 2.0}}, {"deadline_s": 2.0}, {}),
    ({"min_deadline_s": {"text": 2.0}}, {}, {}),
    ({"rules": RULE}, {}, {}),
    ({"rules": RULE}, {"features": {"pages": 5.0}}, {"pdf": (Reason.RULE_VIOLATED, "late")}),
    ({"rules": {"day": "decision.hour == 12 && decision.weekday == 3"}}, {}, {}),
    ({"rules": {"mode": 'decision.mode == "on"'}}, {}, {}),
    (
        {"rules": {"faulty": 'module.features.cost_class == "high"'}},
        {},
        dict.fromkeys(("pdf", "text"), (Reason.RULE_VIOLATED, "faulty")),
    ),
]


@pytest.mark.parametrize(("configured", "task", "expected"), CONFIGURED)
def test_each_configured_rule_removes_what_breaks_it_and_is_named(
    configured: dict[str, Any], task: dict[str, Any], expected: dict[str, tuple[Reason, str]]
) -> None:
    legality = Legality(Constraints(**configured))
    legal, removed = legality.split(ask(task), NOON)
    assert named(removed) == expected
    faults = [legality.fault_of(ask(task), index, NOON) for index in range(3)]
    assert [index for index in range(3) if not faults[index]] == list(legal)
    assert all(rule in faults[removal.index] for removal in removed for rule in (removal.rule,))


def test_each_candidate_is_either_legal_or_removed_once() -> None:
    request = ask({"required_capabilities": ("ocr",), "data_size_bytes": 5000}, denied=("bare",))
    legal, removed = Legality(Constraints(rules=RULE)).split(request, NOON)
    assert sorted([*legal, *(removal.index for removal in removed)]) == [0, 1, 2]


def test_each_rule_has_its_own_name() -> None:
    assert len({(rule.reason, rule.id) for rule in RULES}) == len(RULES)


@given(st.integers(-(10**15), 10**16))
def test_hour_and_weekday_are_those_of_the_calendar(time_us: int) -> None:
    moment = time.gmtime(time_us // 1_000_000)
    facts = decision_facts(ask(), Asked(Mode.ON, time_us))
    assert (facts["hour"], facts["weekday"]) == (moment.tm_hour, moment.tm_wday)


def test_module_that_breaks_several_rules_is_removed_by_the_first_in_declared_order() -> None:
    request = ask({"required_capabilities": ("ocr", "extract"), "data_size_bytes": 5000}, denied=("bare", "pdf"))
    _, removed = Legality(Constraints(denied_modules=("text",), rules=RULE)).split(request, NOON)
    reasons = [Reason.DENIED, Reason.MISSING_CAPABILITY, Reason.DENIED]
    assert [(each.index, each.reason, each.rule) for each in removed] == [(i, reasons[i], "") for i in range(3)]


def test_malformed_rule_is_refused_with_its_name() -> None:
    with pytest.raises(InvalidInputError, match="broken"):
        Legality(Constraints(rules={"broken": "task.type =="}))


@pytest.mark.parametrize(
    ("configured", "task", "is_critical"),
    [
        ({}, {}, False),
        ({}, {"critical": True}, True),
        ({"critical_task_types": ("scan",)}, {}, True),
        ({"critical_task_types": ("other",)}, {}, False),
        ({"critical_priority": 5}, {}, True),
        ({"critical_priority": 6}, {}, False),
    ],
)
def test_task_is_critical_by_its_word_its_type_or_its_priority(
    configured: dict[str, Any], task: dict[str, Any], *, is_critical: bool
) -> None:
    assert Legality(Constraints(**configured)).is_critical(ask(task)) == is_critical


def test_constraints_come_back_from_what_the_log_keeps_and_none_is_empty() -> None:
    constraints = Constraints(bans={"a": ("b",)}, rules=RULE, critical_priority=9)
    assert read_constraints(constraints.content()) == constraints
    assert json.loads(constraints.content())["critical_priority"] == 9
    assert (NONE.content(), read_constraints(b"")) == (b"", NONE)
