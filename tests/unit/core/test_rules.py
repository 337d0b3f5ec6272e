"""Safety rules: what an expression reads and means, and that whatever goes wrong violates."""

from array import array
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish import InvalidInputError
from pilotfish._core import RuleSet

TASK: dict[str, Any] = {
    "type": "ocr",
    "description": "Größe",
    "features": {
        "pages": 12,
        "price": 0.5,
        "language": "de",
        "urgent": True,
        "v": [1.0, 2],
        "buffer": array("d", [3.0]),
        "long": [0.0] * 1025,
        "nan": float("nan"),
        "holes": [1.0, float("inf")],
        "none": None,
        "nested": {"a": 1.0},
        "huge": 10**400,
        "surrogate": "\ud800",
    },
    "required_capabilities": ("gpu",),
    "data_size_bytes": 1_000,
    "priority": 5,
    "attempt": 1,
    "idempotent": True,
    "critical": False,
}
MODULE: tuple[str, dict[str, Any], list[str], None] = (
    "fast",
    {"cost_class": "low", "region": "eu", "load": 0.5},
    ["gpu", "ocr"],
    None,
)
DECISION: dict[str, Any] = {"mode": "on", "policy_share": 1, "baseline": None, "hour": 10, "weekday": 2}


def is_allowed(
    expression: str,
    task: Mapping[str, Any] = TASK,
    module: tuple[Any, ...] = MODULE,
    decision: Mapping[str, Any] = DECISION,
) -> bool:
    """The verdict of one rule on one module."""
    (violation,) = RuleSet([("rule", expression)]).violations(task, [cast(Any, module)], decision)
    assert violation in (-1, 0)
    return violation == -1


@pytest.mark.parametrize(
    "expression",
    [
        'task.type == "ocr"',
        'task["type"] == "ocr"',
        "task.features.pages <= 100.0",
        "task.features.pages < 100",
        "task.features.pages == 12",
        'task.features["pages"] > 11',
        "task.features.pages in [1, 12]",
        "task.features.pages * 2.0 - 4.0 == 20.0",
        "int(task.features.pages) % 5 == 2",
        "task.features.urgent",
        "task.features.v == [1, 2]",
        "task.features.v[1] == 2.0",
        "2 in task.features.v",
        "task.features.v.all(x, x > 0)",
        "task.features.v.exists(x, x > 1.0) && task.features.v.exists_one(x, x == 1)",
        "task.features.v.map(x, x + 1.0).filter(y, y > 2.5).size() == 1",
        "task.features.buffer == [3.0]",
        '"gpu" in module.capabilities && !("tpu" in module.capabilities)',
        "task.required_capabilities.all(c, c in module.capabilities)",
        'module.name.startsWith("fa") && module.name.endsWith("st") && module.name.contains("as")',
        'module.features["cost_class"] != "high"',
        'has(module.features.region) && module.features.region == "eu"',
        '"region" in module.features && !("zone" in module.features) && !has(module.features.zone)',
        "decision.hour >= 8 && decision.hour < 20",
        'task.priority < 9 || !(module.name in ["fast"])',
        "module.max_data_size_bytes == null && !has(module.max_data_size_bytes)",
        "module.max_data_size_bytes == null || task.data_size_bytes <= module.max_data_size_bytes",
        "task.deadline_s == null && !has(task.deadline_s)",
        "decision.baseline == null && !has(decision.baseline)",
        "decision.policy_share * 0.5 == 0.5",
        "!has(decision.unit_id) && has(decision.weekday)",
        "task.idempotent && !task.critical && task.attempt == 1",
        "task.critical ? false : task.priority - 1 == 4",
        "size(task.description) == 5 && task.description.size() == 5",
        "type(task.priority) == int && type(task.features.pages) == double",
        'string(task.priority) == "5" && double(task.priority) == 5.0',
        "-task.priority == -5 && -task.features.price == -0.5",
        '{"eu": true}[string(module.features.region)]',
        # An error that cannot change the outcome is none: the language says so.
        "task.features.absent > 1.0 || true",
    ],
)
def test_a_true_rule_allows_and_its_negation_does_not(expression: str) -> None:
    assert is_allowed(expression)
    assert not is_allowed(f"!({expression})")


@pytest.mark.parametrize(
    "expression",
    [
        "task.features.absent < 1.0",
        "module.features.absent != 1.0",
        "decision.unit_id != 'a'",
        "task.deadline_s < 5.0",
        "task.type < 5",
        "task.features.language < 1.0",
        "task.features.language + task.features.pages != 'a'",
        "1 / (task.priority - 5) != 1",
        "1.0 / (task.features.price - 0.5) != 1.0",
        "(task.features.price - 0.5) / (task.features.price - 0.5) != 1.0",
        "task.features.price * 1e308 * 1e308 > 1.0",
        "double('inf') > 1.0",
        "task.priority % (task.attempt - 1) != 1",
        "task.priority + 9223372036854775807 != 1",
        "task.priority * 9223372036854775807 != 1",
        "-(-9223372036854775807 - task.attempt) != 1",
        "int(1e300) != 1",
        "double(task.type) != 1.0",
        "[1][task.attempt] != 1",
        "{1: 2}[task.attempt + 1] != 1",
        "task.features.v.all(x, x / (task.features.price - 0.5) > x || x < 'a')",
        "task.features.pages.deeper != 1",
        "task.features.nan != 1.0",
        "task.features.holes[0] == 1.0",
        "task.features.long[0] == 0.0",
        "task.features.none != 1.0",
        "task.features.nested != 1.0",
        "task.features.huge != 1.0",
        "task.features.surrogate != 'a'",
        "task.features.pages",
        "task.priority",
        "task.type",
        "task.required_capabilities",
        "null",
        "true && task.priority",
        "!task.priority",
        "task.priority ? true : true",
        "task.type.size().startsWith('a')",
    ],
)
def test_an_error_violates_the_rule_and_its_negation(expression: str) -> None:
    assert not is_allowed(expression)
    assert not is_allowed(f"!({expression})")


@pytest.mark.parametrize(
    ("field", "value"),
    [("type", 5), ("priority", 5.0), ("priority", True), ("priority", 2**63), ("critical", 1), ("description", None)],
)
def test_a_field_of_another_type_violates_what_reads_it(field: str, value: object) -> None:
    assert not is_allowed(f"task.{field} != 'a'", task=TASK | {field: value})
    assert not is_allowed(f"task.{field} != 'a'", task={key: TASK[key] for key in TASK.keys() - {field}})
    assert is_allowed("task.attempt == 1", task=TASK | {field: value})


@pytest.mark.parametrize("capabilities", ["gpu", 5, ["gpu", 5], ["gpu"] * 1025])
def test_capabilities_that_are_no_texts_violate(capabilities: object) -> None:
    module = ("fast", dict[str, float](), capabilities, None)
    assert not is_allowed("'gpu' in module.capabilities", module=module)
    assert not is_allowed("!('gpu' in module.capabilities)", module=module)


def test_what_is_there_but_unreadable_has_a_presence_so_that_no_rule_takes_it_for_absent() -> None:
    for name in ("nan", "none", "long", "nested"):
        assert not is_allowed(f"!has(task.features.{name}) || task.features.{name} < 5.0")


def test_the_first_violated_rule_is_named_whether_it_reads_the_module_or_not() -> None:
    rules = RuleSet(
        [("name", 'module.name != "a"'), ("hour", "decision.hour < 20"), ("load", "module.features.load < 0.9")]
    )
    modules: Any = [("a", {"load": 0.1}, [], None), ("b", {"load": 0.1}, [], None), ("c", {"load": 1.0}, [], None)]
    assert rules.ids == ["name", "hour", "load"]
    assert rules.violations(TASK, modules, {"hour": 10}) == [0, -1, 2]
    assert rules.violations(TASK, modules, {"hour": 22}) == [0, 1, 1]
    assert rules.violations(TASK, [], {"hour": 22}) == []


def test_nothing_of_one_module_is_left_for_the_next() -> None:
    rules = RuleSet([("r", "module.features.ok && has(module.features.ok)")])
    modules: Any = [("a", {"ok": True}, [], None), ("b", {}, [], None), ("c", {"ok": True}, [], None)]
    assert rules.violations(TASK, modules, DECISION) == [-1, 0, -1]


def test_other_mappings_than_dicts_are_read() -> None:
    task = MappingProxyType(TASK | {"features": MappingProxyType(TASK["features"])})
    module = ("fast", MappingProxyType(MODULE[1]), MODULE[2], None)
    expression = "task.features.pages == 12 && module.features.load < 1 && !has(task.features.absent)"
    assert is_allowed(expression, task, module, MappingProxyType(DECISION))


def test_no_rules_allow_everything() -> None:
    assert RuleSet([]).violations({}, [MODULE, MODULE], {}) == [-1, -1]


NAMES = "made of known names, but reads {}"
TASK_NAMES = (
    "task has features, type, description, required_capabilities, data_size_bytes, priority, deadline_s, attempt, "
    "idempotent, critical"
)


@pytest.mark.parametrize(
    ("expression", "rule"),
    [
        ("task.type == 'a", "a CEL expression: 1:14: Syntax error: token recognition error at: ''a'"),
        ("1 == 1 1", "a CEL expression: 1:8: Syntax error: extraneous input '1' expecting <EOF>"),
        ("return == 1", "a CEL expression: 1:1: reserved identifier: return"),
        ("user == 1", "made of task, module, decision, but reads user"),
        ("[1].all(x, y > 1)", "made of task, module, decision, but reads y"),
        ("[1].all(x, true) && x > 1", "made of task, module, decision, but reads x"),
        ("task.kind == 1", NAMES.format("task.kind; ") + TASK_NAMES),
        ("module.nam == 1", NAMES.format("module.nam; module has features, name, capabilities, max_data_size_bytes")),
        (
            "decision['huor'] == 1",
            NAMES.format("decision.huor; decision has mode, policy_share, baseline, hour, weekday, unit_id"),
        ),
        ("task == task", "made of fields, as in task.NAME, but reads task as a whole"),
        (
            "task.features.all(k, true)",
            "made of named features, as in task.features.NAME, but reads task.features as a whole",
        ),
        (
            "module.features[task.type] == 1",
            "made of named features, as in module.features.NAME, but reads module.features as a whole",
        ),
        ("task.type.matches('a')", "made of known functions, but calls matches with 1 argument"),
        ("size(1, 2) == 1", "made of known functions, but calls size with 2 arguments"),
        ("Message{a: 1} == 1", "free of messages, but has Message"),
        ("[1].all(x, [2].all(y, true))", "free of comprehensions inside comprehensions"),
        ("[1].all(task, true)", "free of a variable of its own named task"),
        (
            "task.features.pages * 2 < 9",
            "free of arithmetic between whole numbers and doubles: write 2.0 or double(...)",
        ),
        (
            "(task.priority + 1) * 0.5 < 9",
            "free of arithmetic between whole numbers and doubles: write 2.0 or double(...)",
        ),
        ("(" * 70 + "true" + ")" * 70, "nested at most 64 deep"),
        ("+".join("1" * 100) + " == 1", "an expression of at most 64 levels"),
    ],
)
def test_a_faulty_expression_is_refused_with_its_id_itself_and_what_is_wrong(expression: str, rule: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        RuleSet([("fine", "true"), ("faulty", expression)])
    assert str(refusal.value) == f"rule 'faulty' == \"{expression}\", must be {rule}"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([("", "true")], "id of rule 0 == '', must be a text that is not empty"),
        ([("a", "true"), ("a", "true")], "id of rule 1 == 'a', must be the only one of its name"),
        ([(str(n), "true") for n in range(65)], "number of rules == 65, must be at most 64"),
        ([("a", "true".ljust(4097))], "rule 'a' == 4097 bytes, must be an expression of at most 4096 bytes"),
        ("ab", "rules == str, must be a sequence of pairs (id, expression)"),
        ([("a", 1)], "rules == list, must be a sequence of pairs (id, expression)"),
    ],
)
def test_a_limit_is_refused(rules: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        RuleSet(rules)
    assert str(refusal.value) == message
    assert RuleSet([(str(n), "true".ljust(4096)) for n in range(64)]).violations({}, [MODULE], {}) == [-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, [], {}), "task == int, must be a mapping"),
        (({}, [], []), "decision == list, must be a mapping"),
        (({}, 1, {}), "modules == int, must be a sequence of tuples"),
        (
            ({}, [("a", {})], {}),
            "module == a tuple of 2, must be a tuple (name, features, capabilities, max_data_size_bytes)",
        ),
        (({"features": 1}, [], {}), "task features == int, must be a mapping"),
        (({}, [("a", 1, [], None)], {}), "module features == int, must be a mapping"),
    ],
)
def test_an_argument_of_another_shape_is_refused(arguments: tuple[Any, Any, Any], message: str) -> None:
    rules = RuleSet([("r", "module.features.a == 1 || task.features.a == 1")])
    with pytest.raises(InvalidInputError) as refusal:
        rules.violations(*arguments)
    assert str(refusal.value) == message


# The same rules as a reader of them would write them in Python; a KeyError or TypeError violates.
TWINS: list[tuple[str, Callable[[Any, Any, Any], bool]]] = [
    ("task.features.a <= 3 && task.features.b != 'x'", lambda t, _m, _d: t["a"] <= 3 and t["b"] != "x"),
    (
        "!has(task.features.a) || module.features.a > task.features.a",
        lambda t, m, _d: "a" not in t or m[1]["a"] > t["a"],
    ),
    ("decision.hour + 2 < 9 || module.name.startsWith('m')", lambda _t, m, d: d["hour"] + 2 < 9 or m[0][:1] == "m"),
    ("'gpu' in module.capabilities", lambda _t, m, _d: "gpu" in m[2]),
    ("module.max_data_size_bytes == null ? true : module.max_data_size_bytes > 5", lambda _t, m, _d: (m[3] or 9) > 5),
]
NUMBERS = st.integers(-6, 6) | st.floats(-6, 6)
FEATURES = st.fixed_dictionaries({}, optional={"a": NUMBERS, "b": st.sampled_from("xyz")})
MODULES = st.tuples(
    st.sampled_from(["m", "n"]), FEATURES, st.lists(st.sampled_from(["gpu", "cpu"])), st.none() | st.integers(1, 9)
)


@settings(max_examples=300)
@given(task=FEATURES, modules=st.lists(MODULES), hour=st.integers(0, 23))
def test_verdicts_are_those_of_the_same_rules_in_python(task: dict[str, Any], modules: list[Any], hour: int) -> None:
    def first_violated(module: tuple[Any, ...]) -> int:
        for place, (_, holds) in enumerate(TWINS):
            try:
                if not holds(task, module, {"hour": hour}):
                    return place
            except (KeyError, TypeError):
                return place
        return -1

    rules = RuleSet([(str(place), expression) for place, (expression, _) in enumerate(TWINS)])
    assert rules.violations({"features": task}, modules, {"hour": hour}) == [first_violated(m) for m in modules]


def test_a_thousand_modules_in_many_threads_each_get_their_own_verdict() -> None:
    rules = RuleSet([("load", "module.features.load < decision.policy_share"), ("name", "module.name != 'm7'")])
    modules: Any = [(f"m{n}", {"load": n / 1000}, [], None) for n in range(1000)]

    def verdicts(share: float) -> list[int]:
        return rules.violations(TASK, modules, {"policy_share": share})

    shares = [share / 8 for share in range(1, 9)] * 5
    with ThreadPoolExecutor(8) as pool:
        for share, verdict in zip(shares, pool.map(verdicts, shares), strict=True):
            assert verdict == [0 if n / 1000 >= share else 1 if n == 7 else -1 for n in range(1000)]
