"""The RPCs: convert, call, convert. No arithmetic, and nothing of gRPC but messages: the back end is a setting."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message

from pilotfish import __version__
from pilotfish.codes import Source
from pilotfish.engine.engine import Engine
from pilotfish.engine.explaining import present_scores
from pilotfish.exceptions import PilotfishError
from pilotfish.experience.log import now_us
from pilotfish.experience.signals import Kind
from pilotfish.request import Request
from pilotfish.rewards import REWARD_VERSION
from pilotfish.server import convert, convert_decision
from pilotfish.server.convert_rollout import mode_from
from pilotfish.server.status import status_of
from pilotfish.v1 import control_service_pb2 as control
from pilotfish.v1 import decision_service_pb2 as decisions
from pilotfish.v1 import outcome_service_pb2 as outcomes

CONTROL_SERVICE: Final = "pilotfish.v1.ControlService"


class Method(NamedTuple):
    """One RPC as a plain function."""

    service: str
    name: str
    request_class: type[Message]
    call: Callable[[Any], Message] | None = None
    timed_call: Callable[[Any, float | None], Message] | None = None
    """Instead of `call`, if it wants to know how many seconds the caller still waits."""


def data_methods(engine: Engine) -> Sequence[Method]:
    """Return the RPCs of the data socket."""

    def select_module(
        proto: decisions.SelectModuleRequest, remaining_s: float | None
    ) -> decisions.SelectModuleResponse:
        response = decisions.SelectModuleResponse()
        convert_decision.response_to(
            engine.decide(convert.request_from(proto), remaining_s), response, explain=proto.explain
        )
        return response

    def batch_select_modules(
        proto: decisions.BatchSelectModulesRequest, remaining_s: float | None
    ) -> decisions.BatchSelectModulesResponse:
        convert.check_batch(len(proto.requests), convert.BATCH_REQUESTS)
        response = decisions.BatchSelectModulesResponse()
        answers = engine.decide_batch([_request_or_error(request) for request in proto.requests], remaining_s)
        for request, answer in zip(proto.requests, answers, strict=True):
            result = response.results.add()
            if isinstance(answer, PilotfishError):
                result.error.CopyFrom(status_of(answer))
            else:
                convert_decision.response_to(answer, result.response, explain=request.explain)
        return response

    def record_outcome(proto: outcomes.RecordOutcomeRequest) -> outcomes.RecordOutcomeResponse:
        receipt = engine.record_outcome(convert.outcome_from(proto))
        return outcomes.RecordOutcomeResponse(recorded_count=receipt.recorded_count, joined=receipt.joined)

    def batch_record_outcomes(proto: outcomes.BatchRecordOutcomesRequest) -> outcomes.BatchRecordOutcomesResponse:
        convert.check_batch(len(proto.requests), convert.BATCH_OUTCOMES)
        response = outcomes.BatchRecordOutcomesResponse()
        for request in proto.requests:
            result = response.results.add()
            try:
                result.response.CopyFrom(record_outcome(request))
            except Exception as error:  # noqa: BLE001  one bad outcome does not spoil the others
                result.error.CopyFrom(status_of(error))
        return response

    decision_service, outcome_service = "pilotfish.v1.DecisionService", "pilotfish.v1.OutcomeService"
    return (
        Method(decision_service, "SelectModule", decisions.SelectModuleRequest, timed_call=select_module),
        Method(
            decision_service,
            "BatchSelectModules",
            decisions.BatchSelectModulesRequest,
            timed_call=batch_select_modules,
        ),
        Method(outcome_service, "RecordOutcome", outcomes.RecordOutcomeRequest, record_outcome),
        Method(outcome_service, "BatchRecordOutcomes", outcomes.BatchRecordOutcomesRequest, batch_record_outcomes),
    )


def _request_or_error(proto: decisions.SelectModuleRequest) -> Request | PilotfishError:
    try:
        return convert.request_from(proto)
    except PilotfishError as error:
        return error


def control_methods(engine: Engine) -> Sequence[Method]:
    """Return the RPCs of the control socket."""
    start_time_us = now_us()

    def get_info(_: control.GetInfoRequest) -> control.GetInfoResponse:
        birth_count, last_change = engine.growth_in_words()
        response = control.GetInfoResponse(
            version=__version__,
            model_version=engine.model.version,
            mode=int(engine.mode),  # type: ignore[arg-type]  # the numbers are the proto's
            rollout_share=engine.rollout_share,
            decision_count=engine.log.decision_count,
            signal_value_count=engine.log.signal_value_count,
            learned_count=engine.model.learned_count,
            fallback_count=engine.counters["decision", Source.FALLBACK],
            explorer=engine.model.explorer,
            reward_version=REWARD_VERSION,
            state_sha256=engine.state_sha256(),
            range_warnings=engine.range_warnings,
            birth_count=birth_count,
            last_change=last_change,
            learning_paused=engine.exposure.paused,
        )
        response.start_time.FromMicroseconds(start_time_us)
        return response

    def register_modules(proto: control.RegisterModulesRequest) -> control.RegisterModulesResponse:
        modules = convert.modules_from(proto.modules, "modules", at_least=1)
        return control.RegisterModulesResponse(module_count=engine.register_modules(modules))

    def list_modules(_: control.ListModulesRequest) -> control.ListModulesResponse:
        return control.ListModulesResponse(modules=[convert.module_to(module) for module in engine.modules])

    def set_mode(proto: control.SetModeRequest) -> control.SetModeResponse:
        engine.set_mode(*mode_from(proto))
        return control.SetModeResponse(mode=int(engine.mode), rollout_share=engine.rollout_share)  # type: ignore[arg-type]

    def explain_decision(proto: control.ExplainDecisionRequest) -> control.ExplainDecisionResponse:
        logged, decision, _ = engine.explain(convert.decision_id_from(proto.decision_id))
        response = control.ExplainDecisionResponse(task_type=decision.record.request.task.type)
        convert_decision.decision_to(decision, response.decision)
        convert_decision.explanation_to(decision.record, response.explanation)
        response.decision_time.FromMicroseconds(logged.time_us)
        for row in engine.log.rows_of(logged.sequence):
            values = response.default_signals if row.kind is Kind.DEFAULT else response.signals
            values.add(signal=row.signal, value=row.value, lower_bound=row.kind is Kind.LOWER_BOUND)
        model = engine.model.frozen()
        ranking = [row.module for row in response.explanation.ranking]
        for present in present_scores(model, decision.record, decision.module, ranking):
            convert_decision.present_score_to(present, response.present_scores.add())
        response.present_learned_count = model.learned_count
        response.present_model_version = model.version
        return response

    service = CONTROL_SERVICE
    return (
        Method(service, "GetInfo", control.GetInfoRequest, get_info),
        Method(service, "RegisterModules", control.RegisterModulesRequest, register_modules),
        Method(service, "ListModules", control.ListModulesRequest, list_modules),
        Method(service, "SetMode", control.SetModeRequest, set_mode),
        Method(service, "ExplainDecision", control.ExplainDecisionRequest, explain_decision),
    )
