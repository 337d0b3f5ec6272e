"""The decision without a sidecar is legal whenever there is a legal one, and the sidecar's own error otherwise."""

from typing import Any

import pytest

from pilotfish.client import Module, select_request
from pilotfish.client.local_default import local_default
from pilotfish.codes import Mode
from pilotfish.exceptions import InvalidInputError, StateError
from pilotfish.safety.legal_set import Asked, Legality
from pilotfish.server.convert import request_from

READER = Module("reader", capabilities=("pdf",))
OCR = Module("ocr", capabilities=("pdf", "scan"), max_data_size_bytes=1000)
UNDECLARED = Module("undeclared")
ALL = [READER, OCR, UNDECLARED]


@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        ({}, "reader"),
        ({"baseline_module": "undeclared"}, "undeclared"),
        ({"denied_modules": ["reader"]}, "ocr"),
        ({"denied_modules": ["nobody"]}, "reader"),
        ({"allowed_modules": ["undeclared", "ocr"]}, "ocr"),
        ({"allowed_modules": ["reader", "ocr"], "denied_modules": ["reader"]}, "ocr"),
        ({"required_capabilities": ["scan"]}, "ocr"),
        ({"required_capabilities": ["pdf", "scan"], "denied_modules": ["ocr"]}, "undeclared"),
        ({"data_size_bytes": 1001, "required_capabilities": ["scan"]}, "undeclared"),
        ({"data_size_bytes": 1000, "required_capabilities": ["scan"]}, "ocr"),
        ({"data_size_bytes": 0, "required_capabilities": ["scan"]}, "ocr"),
        ({"data_size_bytes": 10**15}, "reader"),
        ({"non_idempotent": True}, "reader"),
        ({"attempt": 2}, "reader"),
        ({"attempt": 0, "non_idempotent": True}, "reader"),
    ],
    ids=repr,
)
def test_the_baseline_or_else_the_first_legal_candidate_is_chosen(arguments: dict[str, Any], module: str) -> None:
    decision = local_default(select_request("t", candidates=ALL, **arguments), "sidecar_unavailable")
    assert decision.module == module
    assert (decision.id, decision.propensity, decision.source, decision.is_fallback) == ("", 1.0, "fallback", True)
    assert decision.reasons == ("sidecar_unavailable",)


@pytest.mark.parametrize(
    "arguments",
    [
        {"denied_modules": ["ocr"]},
        {"allowed_modules": ["reader"]},
        {"required_capabilities": ["audio"]},
        {"data_size_bytes": 1001},
    ],
    ids=repr,
)
def test_an_illegal_baseline_is_passed_over_and_said_so(arguments: dict[str, Any]) -> None:
    request = select_request("t", candidates=ALL, baseline_module="ocr", **arguments)
    decision = local_default(request, "circuit_open")
    assert decision.module != "ocr"
    assert decision.reasons == ("circuit_open", "baseline_not_legal")


def test_the_sidecars_own_words_for_not_answering_become_sidecar_unavailable() -> None:
    assert local_default(select_request("t", candidates=ALL), "draining").reasons == ("sidecar_unavailable",)


def test_without_a_legal_candidate_it_raises_what_the_sidecar_would() -> None:
    request = select_request(
        "t",
        candidates=[READER, OCR, "plain"],
        denied_modules=["reader"],
        required_capabilities=["scan"],
        allowed_modules=["reader", "ocr"],
        data_size_bytes=2000,
    )
    with pytest.raises(StateError) as raised:
        local_default(request, "circuit_open")
    assert str(raised.value) == (
        "no candidate is legal for task type 't': reader (DENIED), ocr (DATA_TOO_LARGE), plain (NOT_ALLOWED); "
        "offer a module that qualifies"
    )
    assert raised.value.reason == "NO_LEGAL_MODULE"
    assert raised.value.metadata == {
        "rule": "at least one candidate must be legal",
        "reader": "DENIED",
        "ocr": "DATA_TOO_LARGE",
        "plain": "NOT_ALLOWED",
    }


def test_only_the_first_16_removed_modules_are_named() -> None:
    names = [f"m{index}" for index in range(20)]
    with pytest.raises(StateError, match=r"m15 \(DENIED\) and 4 more;") as raised:
        local_default(select_request("t", candidates=names, denied_modules=names), "circuit_open")
    assert len(raised.value.metadata) == 17


def test_a_baseline_that_was_not_offered_is_refused_as_the_sidecar_does() -> None:
    with pytest.raises(InvalidInputError, match="baseline_module == nobody, must be one of the candidates") as raised:
        local_default(select_request("t", candidates=ALL, baseline_module="nobody"), "circuit_open")
    assert raised.value.reason == "UNKNOWN_BASELINE"


@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        ({"baseline_module": "reader"}, "reader"),
        ({"allowed_modules": ["ocr", "reader"]}, "ocr"),
        ({"allowed_modules": ["ocr", "reader"], "denied_modules": ["ocr"]}, "reader"),
        ({"baseline_module": "ocr", "allowed_modules": ["reader"]}, "reader"),
    ],
    ids=repr,
)
def test_without_candidates_the_names_in_the_request_are_the_offer(arguments: dict[str, Any], module: str) -> None:
    assert local_default(select_request("t", candidates=[], **arguments), "circuit_open").module == module


@pytest.mark.parametrize(
    ("required", "arguments", "module"),
    [
        (("pages",), {}, "plain"),
        (("pages",), {"features": {"pages": 3.0}}, "needy"),
        (("pages",), {"features": {"pages": "many"}}, "needy"),
        (("pages",), {"features": {"pages": False}}, "needy"),
        (("pages",), {"features": {"pages": [0.0, 1.0]}}, "needy"),
        (("pages", "language"), {"features": {"pages": 3.0}}, "plain"),
        (("task.type",), {}, "needy"),
        (("task.priority",), {}, "plain"),
        (("task.priority",), {"priority": 1}, "needy"),
        (("task.log_data_size",), {}, "plain"),
        (("task.log_data_size",), {"data_size_bytes": 0}, "needy"),
        (("task.log_deadline",), {}, "plain"),
        (("task.log_deadline",), {"task_deadline_s": 0.0}, "needy"),
    ],
    ids=repr,
)
def test_a_module_that_needs_a_feature_which_is_absent_is_passed_over(
    required: tuple[str, ...], arguments: dict[str, Any], module: str
) -> None:
    request = select_request("t", candidates=[Module("needy", required_features=required), "plain"], **arguments)
    assert local_default(request, "circuit_open").module == module
    # The sidecar's own rules, asked of the same request, say the same.
    asked = request_from(request)
    legal, _ = Legality().split(asked, Asked(Mode.OFF, 0))
    assert asked.candidates[legal[0]].name == module


def test_work_that_must_not_be_done_twice_is_refused_to_every_module() -> None:
    request = select_request("t", candidates=ALL, denied_modules=["ocr"], attempt=2, non_idempotent=True)
    with pytest.raises(StateError, match=r"reader \(NOT_REPEATABLE\), ocr \(NOT_REPEATABLE\)") as raised:
        local_default(request, "circuit_open")
    assert raised.value.reason == "NO_LEGAL_MODULE"


def test_a_baseline_that_may_not_run_twice_is_refused_too() -> None:
    request = select_request("t", candidates=ALL, baseline_module="ocr", attempt=2, non_idempotent=True)
    with pytest.raises(StateError):
        local_default(request, "circuit_open")


def test_without_any_name_there_is_no_candidate() -> None:
    with pytest.raises(InvalidInputError) as raised:
        local_default(select_request("t", candidates=[]), "circuit_open")
    assert raised.value.reason == "NO_CANDIDATES"
