"""Whatever arrives, the answer is an answer or a stated reason; never UNKNOWN, never INTERNAL, never half a write."""

import math
import random
import sqlite3
import string
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from pilotfish import v1
from pilotfish.experience.log import DATABASE_NAME
from tests.service.running_server import Server, running_server

Unary: TypeAlias = "grpc.UnaryUnaryMultiCallable[bytes, bytes]"

N_FUZZED = 20_000
METHODS: tuple[tuple[str, type[Message]], ...] = (
    ("DecisionService/SelectModule", v1.SelectModuleRequest),
    ("DecisionService/BatchSelectModules", v1.BatchSelectModulesRequest),
    ("OutcomeService/RecordOutcome", v1.RecordOutcomeRequest),
    ("OutcomeService/BatchRecordOutcomes", v1.BatchRecordOutcomesRequest),
)
NUMBERS = (0.0, -0.0, 1.0, 0.5, -1.0, 1e12, 1.1e12, 1e308, -1e308, 5e-324, math.nan, math.inf, -math.inf)
INTEGERS = (0, 1, 2, 7, 8, 99, -1, 10, 11, 2**31 - 1, -(2**31))
LONGS = (*INTEGERS, 2**53, 2**53 + 1, 2**63 - 1, -(2**63))
TEXTS = (
    "",
    "a",
    "b",
    "ocr",
    "task.type",
    "é" * 40,
    "x" * 64,
    "x" * 65,
    "0" * 32,
    "f" * 32,
    "\x00",
    "😀",
    "a\nb",
    "'; --",
)


def random_message(kind: type[Message], rng: random.Random, depth: int = 0) -> Message:
    """Return a message of this type, drawn from values at and past the limits."""
    message = kind()
    for descriptor in kind.DESCRIPTOR.fields:
        if rng.random() < 0.35 and depth:
            continue
        fill(message, descriptor, rng, depth)
    return message


def class_of(kind: Descriptor) -> type[Message]:
    return message_factory.GetMessageClass(kind)


def fill(message: Message, descriptor: Any, rng: random.Random, depth: int) -> None:  # noqa: ANN401
    target = getattr(message, descriptor.name)
    kind = descriptor.message_type
    if kind is not None and kind.GetOptions().map_entry:
        for _ in range(rng.randint(0, 3)):
            value = kind.fields_by_name["value"]
            if value.message_type is None:
                target[rng.choice(TEXTS)] = scalar(value, rng)
            else:
                target[rng.choice(TEXTS)].MergeFrom(random_message(type(target[""]), rng, depth + 1))
    elif descriptor.is_repeated:
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            if kind is None:
                target.append(scalar(descriptor, rng))
            else:
                target.add().MergeFrom(random_message(class_of(kind), rng, depth + 1))
    elif kind is not None:
        target.MergeFrom(random_message(class_of(kind), rng, depth + 1))
    else:
        setattr(message, descriptor.name, scalar(descriptor, rng))


def scalar(descriptor: FieldDescriptor, rng: random.Random) -> float | int | str | bool:
    draw: dict[int, Callable[[], float | int | str | bool]] = {
        FieldDescriptor.CPPTYPE_DOUBLE: lambda: rng.choice(NUMBERS),
        FieldDescriptor.CPPTYPE_INT32: lambda: rng.choice(INTEGERS),
        FieldDescriptor.CPPTYPE_ENUM: lambda: rng.choice(INTEGERS),
        FieldDescriptor.CPPTYPE_INT64: lambda: rng.choice(LONGS),
        FieldDescriptor.CPPTYPE_BOOL: lambda: rng.random() < 0.5,
        FieldDescriptor.CPPTYPE_STRING: lambda: rng.choice((*TEXTS, "".join(rng.choices(string.printable, k=9)))),
    }
    return draw[descriptor.cpp_type]()


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Return the bytes cut, flipped, doubled or replaced."""
    way = rng.randrange(5)
    if way == 0:
        return content[: rng.randrange(len(content) + 1)]
    if way == 1 and content:
        position = rng.randrange(len(content))
        return content[:position] + bytes([rng.randrange(256)]) + content[position + 1 :]
    if way == 2:
        return content + content[rng.randrange(len(content) + 1) :]
    if way == 3:
        return rng.randbytes(rng.randrange(64))
    return content


def good_request(rng: random.Random) -> v1.SelectModuleRequest:
    request = v1.SelectModuleRequest(unit_id="u", candidates=[v1.Module(name=name) for name in "abc"])
    request.task.type = rng.choice(("ocr", "search"))
    return request


class Fuzzed(NamedTuple):
    """What came back, and what was left behind."""

    codes: Counter[grpc.StatusCode]
    reasons: Counter[str]
    counts: dict[str, int]
    output: str


@pytest.fixture(scope="module")
def fuzzed() -> Fuzzed:
    """Sends everything once; the tests below look at what came back."""
    rng, codes, reasons = random.Random(13), Counter[grpc.StatusCode](), Counter[str]()
    with running_server() as server:
        calls: list[Unary] = [server.channel().unary_unary(f"/pilotfish.v1.{name}") for name, _ in METHODS]
        for i in range(N_FUZZED):
            which = rng.choices(range(len(METHODS)), (5, 1, 4, 1))[0]
            kind = METHODS[which][1]
            message = good_request(rng) if which == 0 and i % 4 == 0 else random_message(kind, rng)
            try:
                calls[which](mutated(message.SerializeToString(), rng), timeout=10)
                codes[grpc.StatusCode.OK] += 1
            except grpc.RpcError as error:
                codes[error.code()] += 1
                reasons[reason_of(error)] += 1
        stub = v1.OutcomeServiceStub(server.channel())
        decision = server.decisions.SelectModule(good_request(rng), timeout=5).decision
        report = v1.RecordOutcomeRequest(decision_id=decision.decision_id)
        report.signals.add(signal=v1.SIGNAL_QUALITY, value=0.5)
        assert stub.RecordOutcome(report, timeout=5).recorded_count == 1
        connection = sqlite3.connect(server.state_directory / DATABASE_NAME)
        counts = {
            "bad_values": connection.execute(
                "SELECT COUNT(*) FROM signal_value WHERE NOT (value >= 0 AND value <= 1e9)"
            ).fetchone()[0],
            "decisions": connection.execute("SELECT COUNT(*) FROM decision").fetchone()[0],
        }
        connection.close()
        info = server.control.GetInfo(v1.GetInfoRequest(), timeout=5)
        counts["counted"], counts["fallbacks"] = info.decision_count, info.fallback_count
        return Fuzzed(codes, reasons, counts, server.log + server.errors)


def reason_of(error: grpc.RpcError) -> str:
    trailers: dict[str, Any] = {entry[0]: entry[1] for entry in error.trailing_metadata() or ()}  # type: ignore[index]
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "pilotfish.dev"
    assert error.details() == status.message
    return str(info.reason)


def test_no_fuzzed_request_is_an_internal_error(fuzzed: Fuzzed) -> None:
    codes = fuzzed.codes
    assert sum(codes.values()) == N_FUZZED
    allowed = {
        grpc.StatusCode.OK,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
    assert set(codes) <= allowed, codes
    assert "Traceback" not in fuzzed.output


def test_the_fuzz_reaches_both_sides_of_the_rules(fuzzed: Fuzzed) -> None:
    codes, reasons, counts, _ = fuzzed
    assert codes[grpc.StatusCode.OK] > N_FUZZED // 50
    assert counts["decisions"] > N_FUZZED // 50
    expected = {"MALFORMED_MESSAGE", "FIELD_REQUIRED", "VALUE_OUT_OF_RANGE", "VALUE_NOT_FINITE", "UNKNOWN_ENUM_VALUE"}
    assert expected <= set(reasons), reasons


def test_no_bad_value_reaches_the_log(fuzzed: Fuzzed) -> None:
    counts = fuzzed.counts
    assert counts["bad_values"] == 0
    assert counts["decisions"] == counts["counted"]
    assert counts["fallbacks"] == 0


@pytest.mark.parametrize("size", [2**20 + 1, 5 * 10**6])
def test_message_over_the_limit_is_refused_with_its_size(server: Server, size: int) -> None:
    call: Unary = server.channel().unary_unary("/pilotfish.v1.DecisionService/SelectModule")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"\x00" * size, timeout=10)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason_of(caught.value) == "MESSAGE_TOO_LARGE"
    assert caught.value.details() == f"message size in bytes == {size}, must be at most 1048576"


def test_message_at_the_limit_is_read(server: Server) -> None:
    call: Unary = server.channel().unary_unary("/pilotfish.v1.DecisionService/SelectModule")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"\x00" * 2**20, timeout=10)
    assert reason_of(caught.value) == "MALFORMED_MESSAGE"
