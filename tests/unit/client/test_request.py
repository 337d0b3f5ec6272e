"""A hub's arguments arrive in the contract's request as they were meant."""

from typing import Any

import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration

from pilotfish import v1
from pilotfish.client import Decision, Module, outcome_request, select_request
from pilotfish.client.features import Features
from pilotfish.client.request import SIGNALS
from pilotfish.exceptions import InvalidInputError


def test_every_argument_reaches_its_field() -> None:
    request = select_request(
        "extract_pdf",
        candidates=["marker"],
        description="a scanned invoice",
        features={"pages": 12.0},
        priority=7,
        data_size_bytes=0,
        task_deadline_s=1.5,
        required_capabilities=["ocr"],
        signal_weights={"quality": 2.0, "latency_ms": 1},
        baseline_module="marker",
        unit_id="session-1",
        request_id="r-1",
        allowed_modules=("marker", "pypdf"),
        denied_modules=["tika"],
        attempt=3,
        non_idempotent=True,
        critical=True,
        explain=True,
    )
    task = v1.Task(
        type="extract_pdf",
        description="a scanned invoice",
        features=v1.Features(numbers={"pages": 12.0}),
        priority=7,
        data_size_bytes=0,
        deadline_duration=Duration(seconds=1, nanos=500_000_000),
        required_capabilities=["ocr"],
        attempt=3,
        non_idempotent=True,
        critical=True,
        signal_weights=[
            v1.SignalWeight(signal=v1.SIGNAL_QUALITY, weight=2.0),
            v1.SignalWeight(signal=v1.SIGNAL_LATENCY_MS, weight=1.0),
        ],
    )
    assert request == v1.SelectModuleRequest(
        request_id="r-1",
        unit_id="session-1",
        task=task,
        candidates=[v1.Module(name="marker")],
        baseline_module="marker",
        allowed_modules=["marker", "pypdf"],
        denied_modules=["tika"],
        explain=True,
    )


def test_what_is_not_said_is_not_sent() -> None:
    request = select_request("t", candidates=["a"], request_id="")
    assert request == v1.SelectModuleRequest(task=v1.Task(type="t"), candidates=[v1.Module(name="a")])
    assert not request.task.HasField("data_size_bytes")
    assert not request.task.HasField("features")
    assert not request.task.HasField("deadline_duration")
    assert not request.task.HasField("attempt")


def test_the_features_that_a_module_needs_reach_the_wire_from_every_form() -> None:
    needs = {"name": "b", "required_features": ["pages"]}
    request = select_request("t", candidates=[Module("a", required_features=("pages", "language")), needs])  # type: ignore[list-item]
    assert [list(module.required_features) for module in request.candidates] == [["pages", "language"], ["pages"]]


@pytest.mark.parametrize("attempt", [2**31, 1.5, "2"])
def test_an_attempt_that_is_no_int32_is_refused_here(attempt: Any) -> None:  # noqa: ANN401  what a hub may pass
    with pytest.raises(InvalidInputError) as raised:
        select_request("t", candidates=["a"], attempt=attempt)
    assert raised.value.reason == "MALFORMED_MESSAGE"


def test_each_request_gets_its_own_id_so_that_a_retry_is_harmless() -> None:
    ids = {select_request("t", candidates=["a"]).request_id for _ in range(100)}
    assert len(ids) == 100
    assert {len(request_id) for request_id in ids} == {32}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.5, v1.Features(numbers={"f": 1.5})),
        (2, v1.Features(numbers={"f": 2.0})),
        (0.0, v1.Features(numbers={"f": 0.0})),
        (np.float32(0.5), v1.Features(numbers={"f": 0.5})),
        (np.int64(3), v1.Features(numbers={"f": 3.0})),
        ("scan", v1.Features(labels={"f": "scan"})),
        ("", v1.Features(labels={"f": ""})),
        (np.str_("scan"), v1.Features(labels={"f": "scan"})),
        (True, v1.Features(flags={"f": True})),
        (False, v1.Features(flags={"f": False})),
        (np.bool_(True), v1.Features(flags={"f": True})),  # noqa: FBT003 - NumPy's signature
        ([1.0, 2], v1.Features(vectors={"f": v1.NumberList(values=[1.0, 2.0])})),
        ((0.5,), v1.Features(vectors={"f": v1.NumberList(values=[0.5])})),
        (np.array([1.0, 2.0]), v1.Features(vectors={"f": v1.NumberList(values=[1.0, 2.0])})),
    ],
    ids=repr,
)
def test_a_feature_goes_into_the_map_of_its_type(value: Any, expected: v1.Features) -> None:  # noqa: ANN401 - the types are the cases
    request = select_request("t", candidates=["a"], features={"f": value})
    assert request.task.features == expected


@pytest.mark.parametrize("value", [None, object(), {"x": 1}, b"bytes", ["a"], np.zeros((2, 2)), 10**400], ids=repr)
def test_a_feature_of_no_known_type_is_refused_by_name(value: Any) -> None:  # noqa: ANN401 - the types are the cases
    with pytest.raises(InvalidInputError) as raised:
        select_request("t", candidates=["a"], features={"f": value})
    assert raised.value.reason == "MALFORMED_MESSAGE"


def test_all_ways_to_offer_a_module_say_the_same() -> None:
    features: Features = {"speed": 2.0, "kind": "ocr", "gpu": True}
    message = v1.Module(
        name="marker",
        features=v1.Features(numbers={"speed": 2.0}, labels={"kind": "ocr"}, flags={"gpu": True}),
        capabilities=["pdf"],
        max_data_size_bytes=9,
    )
    offers: list[Any] = [
        Module("marker", features=features, capabilities=("pdf",), max_data_size_bytes=9),
        {"name": "marker", "features": features, "capabilities": ["pdf"], "max_data_size_bytes": 9},
        message,
    ]
    for offer in offers:
        assert list(select_request("t", candidates=[offer]).candidates) == [message]


def test_candidates_keep_their_order_however_they_are_given() -> None:
    request = select_request("t", candidates=["c", Module("a"), {"name": "d"}, v1.Module(name="b")])
    assert [module.name for module in request.candidates] == ["c", "a", "d", "b"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"candidates": "pypdf"},
        {"candidates": [7]},
        {"candidates": [{"name": "a", "speed": 2}]},
        {"candidates": [{}]},
        {"candidates": ["\ud800"]},
        {"required_capabilities": "pdf"},
        {"allowed_modules": "pdf"},
        {"priority": 2**40},
        {"data_size_bytes": 1.5},
        {"task_deadline_s": float("nan")},
        {"description": 3},
        {"signal_weights": {"speed": 1.0}},
        {"signal_weights": {"unspecified": 1.0}},
        {"signal_weights": {"quality": "high"}},
    ],
    ids=repr,
)
def test_what_cannot_be_encoded_is_refused(wrong: dict[str, Any]) -> None:
    arguments = {"candidates": ["a"]} | wrong
    with pytest.raises(InvalidInputError):
        select_request("t", **arguments)


def test_every_signal_of_the_contract_is_an_argument_of_an_outcome() -> None:
    values: dict[str, Any] = {name: float(number) for name, number in SIGNALS.items()}
    request = outcome_request("f" * 32, served_module="marker", **values)
    assert len(SIGNALS) == len(v1.Signal.keys()) - 1
    assert {signal.signal: signal.value for signal in request.signals} == {n: float(n) for n in SIGNALS.values()}
    assert (request.decision_id, request.served_module) == ("f" * 32, "marker")


def test_a_signal_of_zero_is_a_measurement_and_none_is_not() -> None:
    decision = Decision(id="a" * 32, module="marker", propensity=1.0, source="policy")
    request = outcome_request(decision, completion=0.0, retry_count=0, quality=None)
    assert [(signal.signal, signal.value) for signal in request.signals] == [
        (v1.SIGNAL_COMPLETION, 0.0),
        (v1.SIGNAL_RETRY_COUNT, 0.0),
    ]
    assert request.decision_id == decision.id


def test_a_signal_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="cannot be encoded"):
        outcome_request("a" * 32, quality="good")  # type: ignore[arg-type]


def test_only_the_named_signals_are_lower_bounds() -> None:
    request = outcome_request("a" * 32, completion=0.0, latency_ms=30_000, cost_usd=0.1, lower_bounds={"latency_ms"})
    assert [(entry.signal, entry.lower_bound) for entry in request.signals] == [
        (v1.SIGNAL_COMPLETION, False),
        (v1.SIGNAL_LATENCY_MS, True),
        (v1.SIGNAL_COST_USD, False),
    ]


@pytest.mark.parametrize("wrong", [["latency_ms"], ["speed"], "cost_usd", 3], ids=repr)
def test_lower_bound_of_what_has_no_value_is_refused(wrong: Any) -> None:  # noqa: ANN401
    with pytest.raises(InvalidInputError):
        outcome_request("a" * 32, cost_usd=0.1, lower_bounds=wrong)
