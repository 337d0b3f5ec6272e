"""Each limit of the rollout's messages is taken at its value and refused one past it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from pilotfish.codes import Mode
from pilotfish.exceptions import InvalidInputError
from pilotfish.experience.exposures import Exposure
from pilotfish.experiments.verdict import Judgement, Row
from pilotfish.safety.breakers import BreakerView, State
from pilotfish.safety.budgets import BudgetUse, BudgetView
from pilotfish.server import convert_rollout as convert
from pilotfish.v1 import control_service_pb2 as control

CHANGES: tuple[type[Message], ...] = (
    control.SetModeRequest,
    control.PromoteRequest,
    control.RollbackRequest,
    control.HoldRolloutRequest,
    control.PauseLearningRequest,
)


@pytest.mark.parametrize("kind", CHANGES)
def test_actor_and_reason_are_taken_up_to_their_limits(kind: type[Message]) -> None:
    proto = kind(actor="é" * 64, reason="é" * 512)

    assert convert.actor_from(proto) == ("é" * 64, "é" * 512)


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize(
    ("fields", "reason", "message"),
    [
        ({}, "FIELD_REQUIRED", "actor must say who changes this"),
        ({"actor": "x" * 129}, "TEXT_TOO_LONG", "length of actor == 129, must have at most 128 bytes"),
        ({"actor": "é" * 65}, "TEXT_TOO_LONG", "length of actor == 130, must have at most 128 bytes"),
        (
            {"actor": "automatic"},
            "VALUE_OUT_OF_RANGE",
            "actor == automatic, must not be the name of the sidecar's own changes",
        ),
        (
            {"actor": "x", "reason": "x" * 1025},
            "TEXT_TOO_LONG",
            "length of reason == 1025, must have at most 1024 bytes",
        ),
    ],
)
def test_whoever_changes_something_must_say_who(
    kind: type[Message], fields: dict[str, str], reason: str, message: str
) -> None:
    assert refused(lambda: convert.actor_from(kind(**fields))) == (reason, message)


@pytest.mark.parametrize("kind", [control.PromoteRequest, control.RollbackRequest])
@pytest.mark.parametrize("version", ["", "live", "0" * 8, "0123456789abcdef" * 4])
def test_version_is_empty_live_or_8_to_64_digits(kind: Callable[..., Any], version: str) -> None:
    assert convert.version_from(kind(policy_version=version)) == version


@pytest.mark.parametrize("kind", [control.PromoteRequest, control.RollbackRequest])
@pytest.mark.parametrize(
    "version", ["0" * 7, "0" * 65, "A" * 8, "g" * 8, "Live", " live", "../../etc/passwd", "0" * 9999]
)
def test_version_of_another_form_is_refused(kind: Callable[..., Any], version: str) -> None:
    reason, message = refused(lambda: convert.version_from(kind(policy_version=version)))

    assert reason == "MALFORMED_ID"
    assert message == f"policy_version == {version[:64]}, must be `live`, or 8 to 64 hexadecimal digits"


@pytest.mark.parametrize("share", [5e-324, 0.5, 1.0])
def test_share_is_taken_with_force(share: float) -> None:
    assert convert.promotion_from(control.PromoteRequest(rollout_share=share, force=True)) == ("", share)


def test_without_a_share_the_next_stage_is_meant() -> None:
    assert convert.promotion_from(control.PromoteRequest(policy_version="live", force=True)) == ("live", None)


@pytest.mark.parametrize(
    ("share", "reason", "message"),
    [
        (0.0, "VALUE_OUT_OF_RANGE", "rollout_share == 0.0, must be above 0: to take exposure away, roll back"),
        (-0.1, "VALUE_OUT_OF_RANGE", "rollout_share == -0.1, must be in [0, 1]"),
        (math.nextafter(1.0, 2.0), "VALUE_OUT_OF_RANGE", "rollout_share == 1.0000000000000002, must be in [0, 1]"),
        (math.nan, "VALUE_NOT_FINITE", "rollout_share == nan, must be finite"),
        (math.inf, "VALUE_NOT_FINITE", "rollout_share == inf, must be finite"),
    ],
)
def test_share_past_its_range_is_refused(share: float, reason: str, message: str) -> None:
    proto = control.PromoteRequest(rollout_share=share, force=True)

    assert refused(lambda: convert.promotion_from(proto)) == (reason, message)


@pytest.mark.parametrize("share", [0.0, 0.05, 1.0, math.nan])
def test_share_without_force_is_refused_whatever_it_is(share: float) -> None:
    reason, message = refused(lambda: convert.promotion_from(control.PromoteRequest(rollout_share=share)))

    assert (reason, message) == (
        "FIELD_CONFLICT",
        "rollout_share is taken with force only: the gate goes by stages",
    )


@pytest.mark.parametrize(("size", "page"), [(0, 100), (1, 1), (1000, 1000)])
def test_page_size_is_at_most_1000_and_100_if_nothing_is_said(size: int, page: int) -> None:
    assert convert.page_from(control.ListChangesRequest(page_size=size)) == page


@pytest.mark.parametrize("size", [-1, 1001, -(2**31), 2**31 - 1])
def test_page_size_past_its_range_is_refused(size: int) -> None:
    reason, message = refused(lambda: convert.page_from(control.ListChangesRequest(page_size=size)))

    assert (reason, message) == ("VALUE_OUT_OF_RANGE", f"page_size == {size}, must be in [0, 1000]")


def test_note_and_path_are_taken_up_to_their_limits() -> None:
    proto = control.KeepModelVersionRequest(actor="a", note="x" * 1024, path="/" + "x" * 4095)

    assert convert.keeping_from(proto) == ("a", "x" * 1024, "/" + "x" * 4095)


@pytest.mark.parametrize(
    ("fields", "reason", "message"),
    [
        ({}, "FIELD_REQUIRED", "actor must say who changes this"),
        (
            {"actor": "a", "note": "x" * 1025},
            "TEXT_TOO_LONG",
            "length of note == 1025, must have at most 1024 bytes",
        ),
        (
            {"actor": "a", "path": "x" * 4097},
            "TEXT_TOO_LONG",
            "length of path == 4097, must have at most 4096 bytes",
        ),
        ({"actor": "a", "path": "/a\x00b"}, "VALUE_OUT_OF_RANGE", "path must not hold a null character"),
    ],
)
def test_what_cannot_be_kept_is_refused(fields: dict[str, str], reason: str, message: str) -> None:
    assert refused(lambda: convert.keeping_from(control.KeepModelVersionRequest(**fields))) == (reason, message)


def test_module_is_named_with_at_most_64_bytes() -> None:
    assert convert.module_name_from(control.ResetBreakerRequest(module="x" * 64)) == "x" * 64
    assert refused(lambda: convert.module_name_from(control.ResetBreakerRequest(module="x" * 65))) == (
        "TEXT_TOO_LONG",
        "length of module == 65, must have at most 64 bytes",
    )
    assert refused(lambda: convert.module_name_from(control.ResetBreakerRequest())) == (
        "FIELD_REQUIRED",
        "module must name a module",
    )


def test_each_limit_in_the_code_stands_in_the_proto() -> None:
    path = Path(__file__).parents[3] / "proto/pilotfish/v1/control_service.proto"
    text = path.read_text().replace(",", "")

    for limit in (
        convert.PATH_BYTES,
        convert.CHANGES,
        convert.CHANGES_DEFAULT,
        convert.LISTED,
        *convert.VERSION_DIGITS,
    ):
        assert f" {limit}" in text, limit


def test_exposure_arrives_whole() -> None:
    exposure = Exposure(
        number=7,
        time_us=1_700_000_000_123_456,
        action="promote",
        actor="ops",
        reason="trial",
        mode=Mode.ROLLOUT,
        rollout_share=0.25,
        policy="a" * 64,
        control="live",
        held=True,
        paused=True,
        stage=5,
        evidence='{"visit": 4}',
    )
    message = control.Exposure()
    convert.exposure_to(exposure, message)

    assert message.change_time.ToMicroseconds() == exposure.time_us
    assert [value for field, value in message.ListFields() if field.name != "change_time"] == [
        *(7, "promote", "ops", "trial", int(Mode.ROLLOUT), 0.25, "a" * 64, "live", True, True, 5, '{"visit": 4}'),
    ]


def test_guardrail_shows_the_numbers_that_decide() -> None:
    row = Row(
        metric="completion",
        margin=0.02,
        estimate=-0.1,
        lower=-0.3,
        upper=0.1,
        judgement=Judgement.HOLD,
        policy_count=3,
        policy_measured=2,
        control_count=4,
        policy_mean=0.5,
        control_mean=None,
    )
    message = control.Guardrail()
    convert.guardrail_to(row, message)

    assert message == control.Guardrail(
        metric="completion",
        difference=-0.1,
        lower_bound=-0.3,
        upper_bound=0.1,
        margin=0.02,
        observation_count=7,
        policy_mean=0.5,
        control_mean=0.0,
        state="hold",
    )


def test_the_worst_100_breakers_are_listed_first_those_that_are_not_closed() -> None:
    views = {f"m{i:03}": BreakerView(State.CLOSED, i / 1000, 10, None, 0) for i in range(120)}
    views["late"] = BreakerView(State.OPEN, 0.1, 5, 12.5, 3)
    views["past"] = BreakerView(State.OPEN, 0.05, 5, 9.0, 1)
    response = control.GetRolloutResponse()
    convert.breakers_to(views, 10.0, response)

    assert len(response.breakers) == 100
    assert response.breakers[0] == control.BreakerState(
        module="late", state="open", failure_rate=0.1, call_count=5, remaining_s=2.5, trip_count=3
    )
    assert response.breakers[1].remaining_s == 0.0
    assert [breaker.module for breaker in response.breakers[2:4]] == ["m119", "m118"]


def test_budgets_are_listed_by_their_rule() -> None:
    views = {"b": BudgetView(None, BudgetUse(3, 60), None), "a": BudgetView(BudgetUse(0.5, 2.5), None, BudgetUse(1, 4))}
    response = control.GetRolloutResponse()
    convert.budgets_to(views, response)

    assert [(budget.module, budget.rule, budget.used, budget.limit) for budget in response.budgets] == [
        ("a", "budget.cost_usd_per_hour", 0.5, 2.5),
        ("a", "budget.concurrent_calls", 1.0, 4.0),
        ("b", "budget.calls_per_minute", 3.0, 60.0),
    ]


def refused(call: Callable[[], object]) -> tuple[str, str]:
    """Return the reason and the message of the refusal, which names a field and a rule."""
    with pytest.raises(InvalidInputError) as caught:
        call()
    assert {"field", "rule"} <= caught.value.metadata.keys()
    return caught.value.reason, str(caught.value)
