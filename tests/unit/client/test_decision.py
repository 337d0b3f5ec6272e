"""A sidecar's answer in plain Python."""

import dataclasses
import pickle

import pytest

from pilotfish import v1
from pilotfish.client import Decision, Explanation, RankedModule, RemovedModule
from pilotfish.client.decision import read_decision


def response(**fields: object) -> v1.SelectModuleResponse:
    decision = v1.Decision(decision_id="a" * 32, module="ocr", propensity=0.25, model_version="b" * 64)
    decision.MergeFrom(v1.Decision(**fields))  # type: ignore[arg-type]
    return v1.SelectModuleResponse(decision=decision)


def test_every_field_of_a_decision_is_read() -> None:
    decision = read_decision(
        response(
            source=v1.DECISION_SOURCE_BASELINE, reasons=[v1.REASON_CODE_MODE_SHADOW, v1.REASON_CODE_ONLY_CANDIDATE]
        )
    )
    assert decision == Decision(
        id="a" * 32,
        module="ocr",
        propensity=0.25,
        source="baseline",
        reasons=("mode_shadow", "only_candidate"),
        model_version="b" * 64,
        explanation=None,
    )


@pytest.mark.parametrize(
    ("source", "name", "is_fallback"),
    [
        (v1.DECISION_SOURCE_POLICY, "policy", False),
        (v1.DECISION_SOURCE_BASELINE, "baseline", False),
        (v1.DECISION_SOURCE_FALLBACK, "fallback", True),
    ],
)
def test_only_the_fallback_is_a_fallback(source: v1.DecisionSource.ValueType, name: str, *, is_fallback: bool) -> None:
    decision = read_decision(response(source=source))
    assert (decision.source, decision.is_fallback) == (name, is_fallback)


def test_codes_of_a_newer_sidecar_are_kept_as_numbers() -> None:
    decision = read_decision(response(source=9, reasons=[99]))
    assert (decision.source, decision.reasons) == ("source_9", ("reason_99",))


def test_every_field_of_an_explanation_is_read() -> None:
    message = response()
    message.explanation.CopyFrom(
        v1.Explanation(
            ranking=[
                v1.RankedModule(module="ocr", score=0.5, uncertainty=0.1, policy_probability=0.75, probability=0.25)
            ],
            removed=[v1.RemovedModule(module="tika", reason=v1.REASON_CODE_DENIED)],
            baseline_module="reader",
            policy_share=0.05,
            unit_in_policy_share=True,
            mode=v1.MODE_ROLLOUT,
            learned_count=17,
            policy_evaluated=True,
        )
    )
    assert read_decision(message).explanation == Explanation(
        ranking=(RankedModule("ocr", 0.5, 0.1, 0.75, 0.25),),
        removed=(RemovedModule("tika", "denied"),),
        baseline_module="reader",
        policy_share=0.05,
        unit_in_policy_share=True,
        mode="rollout",
        learned_count=17,
        policy_evaluated=True,
    )


def test_no_field_of_the_contract_is_forgotten() -> None:
    def contract(message: type) -> set[str]:
        return {field.name for field in message.DESCRIPTOR.fields}  # type: ignore[attr-defined]

    def plain(kind: type) -> set[str]:
        return {field.name for field in dataclasses.fields(kind)}

    assert plain(Decision) - {"explanation"} == contract(v1.Decision) - {"decision_id"} | {"id"}
    assert plain(Explanation) == contract(v1.Explanation)
    assert plain(RankedModule) == contract(v1.RankedModule)
    assert plain(RemovedModule) == contract(v1.RemovedModule)


def test_a_decision_can_be_stored_and_not_changed() -> None:
    decision = read_decision(response(source=v1.DECISION_SOURCE_POLICY))
    assert pickle.loads(pickle.dumps(decision)) == decision  # noqa: S301 - its own bytes
    with pytest.raises(dataclasses.FrozenInstanceError):
        decision.module = "tika"  # type: ignore[misc]
