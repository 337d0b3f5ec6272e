"""Each limit that the proto states is taken at its value and refused one past it."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pilotfish.codes import Mode, Signal
from pilotfish.exceptions import InvalidInputError
from pilotfish.server import convert, convert_rollout
from pilotfish.v1 import (
    control_service_pb2,
    decision_service_pb2,
    outcome_service_pb2,
    policy_pb2,
)

Change = Callable[[decision_service_pb2.SelectModuleRequest], object]


def request() -> decision_service_pb2.SelectModuleRequest:
    proto = decision_service_pb2.SelectModuleRequest()
    proto.task.type = "ocr"
    proto.candidates.add(name="a")
    proto.candidates.add(name="b")
    return proto


def changed(change: Change) -> decision_service_pb2.SelectModuleRequest:
    proto = request()
    change(proto)
    return proto


def numbers(count: int) -> Change:
    return lambda p: p.task.features.numbers.update({f"n{i}": 1.0 for i in range(count)})


def number(value: float) -> Change:
    return lambda p: p.task.features.numbers.update({"n": value})


def candidates(count: int) -> Change:
    return lambda p: p.candidates.extend(policy_pb2.Module(name=f"m{i}") for i in range(count))


def vector(count: int, value: float = 1.0) -> Change:
    return lambda p: p.task.features.vectors["v"].values.extend([value] * count)


def deadline(seconds: int, nanos: int = 0) -> Change:
    def change(p: decision_service_pb2.SelectModuleRequest) -> None:
        p.task.deadline_duration.seconds = seconds
        p.task.deadline_duration.nanos = nanos

    return change


def weight(signal: int, value: float, times: int = 1) -> Change:
    return lambda p: p.task.signal_weights.extend(
        policy_pb2.SignalWeight(signal=signal, weight=value)  # type: ignore[arg-type]
        for _ in range(times)
    )


def setting(path: str, value: object) -> Change:
    def change(p: decision_service_pb2.SelectModuleRequest) -> None:
        *parents, name = path.split(".")
        target: object = p
        for parent in parents:
            target = getattr(target, parent)
        setattr(target, name, value)

    return change


def extending(path: str, values: list[str]) -> Change:
    def change(p: decision_service_pb2.SelectModuleRequest) -> None:
        target: object = p
        for part in path.split("."):
            target = getattr(target, part)
        target.extend(values)  # type: ignore[attr-defined]

    return change


@pytest.mark.parametrize(
    "change",
    [
        setting("request_id", "x" * 128),
        setting("unit_id", "x" * 128),
        setting("unit_id", "é" * 64),
        setting("task.type", "x" * 64),
        setting("task.description", "x" * 16_384),
        setting("task.priority", 10),
        setting("task.data_size_bytes", 2**53),
        deadline(30 * 86_400),
        numbers(128),
        number(1e12),
        number(-1e12),
        vector(64),
        candidates(998),
        extending("allowed_modules", [f"m{i}" for i in range(999)] + ["a"]),
        extending("denied_modules", [f"m{i}" for i in range(1000)]),
        extending("task.required_capabilities", [f"c{i}" for i in range(32)]),
        weight(policy_pb2.SIGNAL_QUALITY, 1000.0),
        lambda p: p.task.features.labels.update({"l" * 64: "x" * 256}),
        lambda p: p.candidates[0].features.numbers.update({f"n{i}": 1.0 for i in range(32)}),
        lambda p: p.candidates[0].capabilities.extend([f"c{i}" for i in range(32)]),
        setting("baseline_module", "a"),
        setting("task.attempt", 1),
        setting("task.attempt", 1000),
        lambda p: p.candidates[0].required_features.extend([f"f{i}" for i in range(31)] + ["x" * 64]),
    ],
)
def test_value_at_its_limit_is_taken(change: Change) -> None:
    convert.request_from(changed(change))


@pytest.mark.parametrize(
    ("change", "reason", "message"),
    [
        (lambda p: p.ClearField("task"), "FIELD_REQUIRED", "task must be present"),
        (setting("task.type", ""), "FIELD_REQUIRED", "task.type must not be empty"),
        (setting("task.type", "x" * 65), "TEXT_TOO_LONG", "length of task.type == 65, must have at most 64 bytes"),
        (setting("request_id", "x" * 129), "TEXT_TOO_LONG", "length of request_id == 129, must have at most 128 bytes"),
        (setting("unit_id", "é" * 65), "TEXT_TOO_LONG", "length of unit_id == 130, must have at most 128 bytes"),
        (
            setting("task.description", "x" * 16_385),
            "TEXT_TOO_LONG",
            "length of task.description == 16385, must have at most 16384 bytes",
        ),
        (setting("task.priority", 11), "VALUE_OUT_OF_RANGE", "task.priority == 11, must be in [0, 10]"),
        (setting("task.priority", -1), "VALUE_OUT_OF_RANGE", "task.priority == -1, must be in [0, 10]"),
        (
            setting("task.data_size_bytes", -1),
            "VALUE_OUT_OF_RANGE",
            "task.data_size_bytes == -1, must be in [0, 9.0072e+15]",
        ),
        (
            setting("task.data_size_bytes", 2**53 + 1),
            "VALUE_OUT_OF_RANGE",
            "task.data_size_bytes == 9007199254740993, must be in [0, 9.0072e+15]",
        ),
        (
            deadline(-1),
            "VALUE_OUT_OF_RANGE",
            "task.deadline_duration == -1.0, must be in [0, 2.592e+06]",
        ),
        (
            deadline(30 * 86_400, 1_000_000),
            "VALUE_OUT_OF_RANGE",
            "task.deadline_duration == 2592000.001, must be in [0, 2.592e+06]",
        ),
        (setting("task.attempt", 0), "VALUE_OUT_OF_RANGE", "task.attempt == 0, must be in [1, 1000]"),
        (setting("task.attempt", 1001), "VALUE_OUT_OF_RANGE", "task.attempt == 1001, must be in [1, 1000]"),
        (
            lambda p: p.candidates[0].required_features.extend([f"f{i}" for i in range(33)]),
            "COUNT_OUT_OF_RANGE",
            "number of candidates.required_features == 33, must be 0 to 32",
        ),
        (
            lambda p: p.candidates[0].required_features.append("x" * 65),
            "TEXT_TOO_LONG",
            "length of candidates.required_features == 65, must have at most 64 bytes",
        ),
        (
            lambda p: p.candidates[0].required_features.append(""),
            "FIELD_REQUIRED",
            "candidates.required_features must not hold an empty name",
        ),
        (numbers(129), "COUNT_OUT_OF_RANGE", "number of task.features == 129, must be 0 to 128"),
        (
            number(1.0000001e12),
            "VALUE_OUT_OF_RANGE",
            "task.features.numbers[n] == 1000000100000.0, must be in [-1e+12, 1e+12]",
        ),
        (number(math.nan), "VALUE_NOT_FINITE", "task.features.numbers[n] == nan, must be finite"),
        (number(math.inf), "VALUE_NOT_FINITE", "task.features.numbers[n] == inf, must be finite"),
        (number(-math.inf), "VALUE_NOT_FINITE", "task.features.numbers[n] == -inf, must be finite"),
        (vector(65), "COUNT_OUT_OF_RANGE", "number of task.features.vectors[v] == 65, must be 1 to 64"),
        (
            lambda p: p.task.features.vectors["v"].SetInParent(),
            "COUNT_OUT_OF_RANGE",
            "number of task.features.vectors[v] == 0, must be 1 to 64",
        ),
        (vector(3, math.nan), "VALUE_NOT_FINITE", "task.features.vectors[v] == nan, must be finite"),
        (candidates(999), "COUNT_OUT_OF_RANGE", "number of candidates == 1001, must be 0 to 1000"),
        (lambda p: p.candidates.add(name="a"), "DUPLICATE_ENTRY", "candidates.name == a, must be unique"),
        (lambda p: p.candidates.add(name=""), "FIELD_REQUIRED", "candidates.name must not be empty"),
        (
            lambda p: p.candidates.add(name="x" * 65),
            "TEXT_TOO_LONG",
            "length of candidates.name == 65, must have at most 64 bytes",
        ),
        (
            lambda p: p.candidates[0].features.numbers.update({f"n{i}": 1.0 for i in range(33)}),
            "COUNT_OUT_OF_RANGE",
            "number of candidates.features == 33, must be 0 to 32",
        ),
        (
            lambda p: p.candidates[0].capabilities.extend([f"c{i}" for i in range(33)]),
            "COUNT_OUT_OF_RANGE",
            "number of candidates.capabilities == 33, must be 0 to 32",
        ),
        (
            lambda p: setattr(p.candidates[0], "max_data_size_bytes", -1),
            "VALUE_OUT_OF_RANGE",
            "candidates.max_data_size_bytes == -1, must be in [0, 9.0072e+15]",
        ),
        (
            extending("allowed_modules", [f"m{i}" for i in range(1001)]),
            "COUNT_OUT_OF_RANGE",
            "number of allowed_modules == 1001, must be 0 to 1000",
        ),
        (extending("denied_modules", [""]), "FIELD_REQUIRED", "denied_modules must not hold an empty name"),
        (
            extending("task.required_capabilities", ["c" * 65]),
            "TEXT_TOO_LONG",
            "length of task.required_capabilities == 65, must have at most 64 bytes",
        ),
        (
            weight(policy_pb2.SIGNAL_QUALITY, 1000.5),
            "VALUE_OUT_OF_RANGE",
            "task.signal_weights.quality == 1000.5, must be in [0, 1000]",
        ),
        (
            weight(policy_pb2.SIGNAL_QUALITY, math.nan),
            "VALUE_NOT_FINITE",
            "task.signal_weights.quality == nan, must be finite",
        ),
        (
            weight(policy_pb2.SIGNAL_QUALITY, 0.0),
            "VALUE_OUT_OF_RANGE",
            "task.signal_weights == 0, at least one weight must be above 0",
        ),
        (
            weight(policy_pb2.SIGNAL_QUALITY, 1.0, times=2),
            "DUPLICATE_ENTRY",
            "task.signal_weights == QUALITY, each signal at most once",
        ),
        (weight(0, 1.0), "UNKNOWN_ENUM_VALUE", "task.signal_weights.signal == 0, must be one of COMPLETION"),
        (weight(99, 1.0), "UNKNOWN_ENUM_VALUE", "task.signal_weights.signal == 99, must be one of COMPLETION"),
        (
            lambda p: p.task.features.labels.update({"l": "x" * 257}),
            "TEXT_TOO_LONG",
            "length of task.features.labels[l] == 257, must have at most 256 bytes",
        ),
        (
            lambda p: p.task.features.flags.update({"f" * 65: True}),
            "TEXT_TOO_LONG",
            "length of task.features name == 65, must have at most 64 bytes",
        ),
        (
            lambda p: (p.task.features.flags.update({"x": True}), p.task.features.numbers.update({"x": 1.0})),
            "DUPLICATE_ENTRY",
            "task.features == x, must be unique",
        ),
        (
            lambda p: p.task.features.numbers.update({"task.type": 1.0}),
            "FIELD_CONFLICT",
            "task.features == task.type, names must not begin with task.",
        ),
        (
            lambda p: p.task.features.numbers.update({"": 1.0}),
            "FIELD_REQUIRED",
            "task.features name must not be empty",
        ),
    ],
)
def test_value_past_its_limit_is_refused_with_field_value_and_rule(change: Change, reason: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}") as caught:
        convert.request_from(changed(change))
    assert caught.value.reason == reason
    assert caught.value.metadata["rule"] in str(caught.value)
    assert "field" in caught.value.metadata


def outcome(signal: int = policy_pb2.SIGNAL_QUALITY, value: float = 0.5) -> outcome_service_pb2.RecordOutcomeRequest:
    proto = outcome_service_pb2.RecordOutcomeRequest(decision_id="0" * 32)
    proto.signals.add(signal=signal, value=value)
    return proto


@pytest.mark.parametrize(
    ("signal", "largest"),
    [("COMPLETION", 1), ("LATENCY_MS", 1e9), ("COST_USD", 1e6), ("QUALITY", 1), ("RETRY_COUNT", 1e6), ("RECOVERY", 1)],
)
def test_signal_range_is_closed_and_enforced(signal: str, largest: float) -> None:
    number = policy_pb2.Signal.Value(f"SIGNAL_{signal}")
    for value in (0.0, largest):
        assert convert.outcome_from(outcome(number, value)).signals == {number: value}
    for value in (-1e-9, math.nextafter(largest, math.inf), math.nan, math.inf, -math.inf):
        with pytest.raises(InvalidInputError, match=rf"^signals\.{signal.lower()} == "):
            convert.outcome_from(outcome(number, value))


@pytest.mark.parametrize("signal", [Signal.LATENCY_MS, Signal.COST_USD, Signal.RETRY_COUNT])
def test_unbounded_signal_may_be_a_lower_bound(signal: Signal) -> None:
    proto = outcome(signal, 0.5)
    assert convert.outcome_from(proto).lower_bounds == frozenset()
    proto.signals[0].lower_bound = True
    assert convert.outcome_from(proto).lower_bounds == {signal}


@pytest.mark.parametrize("signal", [Signal.COMPLETION, Signal.QUALITY, Signal.RECOVERY, Signal.SATISFACTION])
def test_bounded_signal_is_never_a_lower_bound(signal: Signal) -> None:
    proto = outcome(signal, 0.5)
    proto.signals[0].lower_bound = True
    with pytest.raises(InvalidInputError, match=r"lower_bound is taken by latency_ms, cost_usd, retry_count only$"):
        convert.outcome_from(proto)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: p.ClearField("decision_id"), "FIELD_CONFLICT"),
        (lambda p: setattr(p, "request_id", "r"), "FIELD_CONFLICT"),
        (lambda p: p.ClearField("signals"), "COUNT_OUT_OF_RANGE"),
        (lambda p: p.signals.add(signal=policy_pb2.SIGNAL_QUALITY, value=0.5), "DUPLICATE_ENTRY"),
        (lambda p: p.signals.add(value=0.5), "UNKNOWN_ENUM_VALUE"),
        (lambda p: setattr(p, "decision_id", "0" * 31), "MALFORMED_ID"),
        (lambda p: setattr(p, "decision_id", "G" * 32), "MALFORMED_ID"),
        (lambda p: setattr(p, "decision_id", "A" * 32), "MALFORMED_ID"),
        (lambda p: setattr(p, "served_module", "x" * 65), "TEXT_TOO_LONG"),
    ],
)
def test_outcome_that_breaks_a_rule_is_refused(
    change: Callable[[outcome_service_pb2.RecordOutcomeRequest], object], reason: str
) -> None:
    proto = outcome()
    change(proto)
    with pytest.raises(InvalidInputError) as caught:
        convert.outcome_from(proto)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("mode", "share", "actor", "reason"),
    [
        (0, None, "ops", "UNKNOWN_ENUM_VALUE"),
        (9, None, "ops", "UNKNOWN_ENUM_VALUE"),
        (Mode.ROLLOUT, 1.1, "ops", "VALUE_OUT_OF_RANGE"),
        (Mode.ROLLOUT, math.nan, "ops", "VALUE_NOT_FINITE"),
        (Mode.ON, 0.5, "ops", "FIELD_CONFLICT"),
        (Mode.ON, None, "", "FIELD_REQUIRED"),
        (Mode.ON, None, "x" * 129, "TEXT_TOO_LONG"),
        (Mode.ON, None, "automatic", "VALUE_OUT_OF_RANGE"),
    ],
)
def test_mode_change_that_breaks_a_rule_is_refused(mode: int, share: float | None, actor: str, reason: str) -> None:
    proto = control_service_pb2.SetModeRequest(mode=mode, rollout_share=share, actor=actor)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError) as caught:
        convert_rollout.mode_from(proto)
    assert caught.value.reason == reason


@pytest.mark.parametrize("size", [0, convert.BATCH_REQUESTS + 1])
def test_batch_of_a_wrong_size_is_refused(size: int) -> None:
    with pytest.raises(InvalidInputError, match=f"^number of requests == {size}, must be 1 to 256$"):
        convert.check_batch(size, convert.BATCH_REQUESTS)


def test_each_feature_keeps_its_type() -> None:
    proto = request()
    features = proto.task.features
    features.numbers["n"], features.labels["l"], features.flags["f"] = 1.5, "x", True
    features.vectors["v"].values.extend([1.0, 2.0])
    converted = convert.request_from(proto).task.features
    assert {name: converted[name] for name in "nlfv"} == {"n": 1.5, "l": "x", "f": True, "v": [1.0, 2.0]}
    assert converted["task.type"] == "ocr"


def test_each_limit_in_the_code_stands_in_the_proto() -> None:
    text = "".join(
        path.read_text() for path in (Path(__file__).parents[3] / "proto/pilotfish/v1").glob("*.proto")
    ).replace(",", "")
    for limit in (
        convert.NAME_BYTES,
        convert.ID_BYTES,
        convert.LABEL_BYTES,
        convert.DESCRIPTION_BYTES,
        convert.MODULES,
        convert.TASK_FEATURES,
        convert.MODULE_FEATURES,
        convert.VECTOR_VALUES,
        convert.CAPABILITIES,
        convert.BATCH_REQUESTS,
        convert.BATCH_OUTCOMES,
    ):
        assert re.search(rf"\b{limit}\b", text), limit
