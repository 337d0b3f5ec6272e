"""The RPCs of the rollout: convert, call, convert."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pilotfish.codes import Source
from pilotfish.exceptions import NotFoundError, PilotfishError, StateError
from pilotfish.experience.exposures import Exposure
from pilotfish.experience.log import now_us
from pilotfish.experiments.conductor import Conductor
from pilotfish.server import convert_rollout as convert
from pilotfish.server.servicer import CONTROL_SERVICE, Method
from pilotfish.training.registry import Registry
from pilotfish.v1 import control_service_pb2 as control

logger = logging.getLogger(__name__)


def rollout_methods(  # noqa: C901  a list of methods
    conductor: Conductor, registry: Registry
) -> Sequence[Method]:
    """Return the RPCs that look at exposure and change it."""
    engine = conductor.engine

    def get_rollout(_: control.GetRolloutRequest) -> control.GetRolloutResponse:
        exposure, verdict, evidence = conductor.verdict()
        response = control.GetRolloutResponse(
            verdict=str(verdict.judgement) if verdict.rows else "none",
            verdict_reasons=verdict.reasons,
            held_back_share=conductor.following.held_back_share,
            next_share=conductor.settings.next_stage(exposure.share) or 0.0,
            decision_counts={source.name.lower(): engine.counters["decision", source] for source in Source},
        )
        convert.exposure_to(exposure, response.exposure)
        for row in verdict.rows:
            convert.guardrail_to(row, response.guardrails.add())
        if verdict.rows:
            response.policy_outcome_count = verdict.rows[0].policy_count
            response.control_outcome_count = verdict.rows[0].control_count
        if evidence.unit_ratio is not None:
            response.unit_count = evidence.unit_ratio.count
            response.policy_unit_count = evidence.unit_ratio.treatment_count
        now_s = time.monotonic()
        convert.breakers_to(engine.safeguards.breakers.snapshot(now_s), now_s, response)
        if engine.safeguards.budgets.is_active:
            convert.budgets_to(engine.safeguards.budgets.snapshot(now_s), response)
        return response

    def promote(proto: control.PromoteRequest) -> control.PromoteResponse:
        version, share = convert.promotion_from(proto)
        with _of_versions():
            changed = conductor.promote(*convert.actor_from(proto), version=version, share=share, force=proto.force)
        return control.PromoteResponse(exposure=_message(changed))

    def rollback(proto: control.RollbackRequest) -> control.RollbackResponse:
        with _of_versions():
            changed = conductor.rollback(*convert.actor_from(proto), version=convert.version_from(proto))
        return control.RollbackResponse(exposure=_message(changed))

    def hold_rollout(proto: control.HoldRolloutRequest) -> control.HoldRolloutResponse:
        changed = conductor.hold(*convert.actor_from(proto), hold=proto.hold)
        return control.HoldRolloutResponse(exposure=_message(changed))

    def pause_learning(proto: control.PauseLearningRequest) -> control.PauseLearningResponse:
        changed = conductor.pause_learning(*convert.actor_from(proto), pause=proto.pause)
        return control.PauseLearningResponse(exposure=_message(changed))

    def list_changes(proto: control.ListChangesRequest) -> control.ListChangesResponse:
        changes = engine.changes(convert.page_from(proto))
        return control.ListChangesResponse(changes=[_message(change) for change in changes])

    def list_model_versions(_: control.ListModelVersionsRequest) -> control.ListModelVersionsResponse:
        response = control.ListModelVersionsResponse()
        for info in registry.list():
            if info.damage:
                response.faults.append(f"{info.sha256 or 'a file'}: {info.damage}")
            else:
                convert.version_to(info, response.versions.add())
        return response

    def keep_model_version(proto: control.KeepModelVersionRequest) -> control.KeepModelVersionResponse:
        actor, note, path = convert.keeping_from(proto)
        with _of_versions():
            info = registry.add_file(Path(path), now_us=now_us()) if path else conductor.keep(note, actor)
        response = control.KeepModelVersionResponse()
        convert.version_to(info, response.version)
        return response

    def reset_breaker(proto: control.ResetBreakerRequest) -> control.ResetBreakerResponse:
        actor, _ = convert.actor_from(proto)
        module = convert.module_name_from(proto)
        engine.safeguards.breakers.reset(module)
        logger.warning("breaker of %s: reset by %s", module, actor)
        return control.ResetBreakerResponse()

    return (
        Method(CONTROL_SERVICE, "GetRollout", control.GetRolloutRequest, get_rollout),
        Method(CONTROL_SERVICE, "Promote", control.PromoteRequest, promote),
        Method(CONTROL_SERVICE, "Rollback", control.RollbackRequest, rollback),
        Method(CONTROL_SERVICE, "HoldRollout", control.HoldRolloutRequest, hold_rollout),
        Method(CONTROL_SERVICE, "PauseLearning", control.PauseLearningRequest, pause_learning),
        Method(CONTROL_SERVICE, "ListChanges", control.ListChangesRequest, list_changes),
        Method(CONTROL_SERVICE, "ListModelVersions", control.ListModelVersionsRequest, list_model_versions),
        Method(CONTROL_SERVICE, "KeepModelVersion", control.KeepModelVersionRequest, keep_model_version),
        Method(CONTROL_SERVICE, "ResetBreaker", control.ResetBreakerRequest, reset_breaker),
    )


@contextmanager
def _of_versions() -> Iterator[None]:
    """Give errors that name no reason or rule those that they have where versions are handled."""
    try:
        yield
    except PilotfishError as error:
        if isinstance(error, NotFoundError | StateError):
            absent = isinstance(error, NotFoundError)
            error.reason = error.reason or ("MODEL_VERSION_NOT_FOUND" if absent else "MODEL_VERSION_REFUSED")
        error.metadata = error.metadata or {"rule": str(error)}
        raise


def _message(exposure: Exposure) -> control.Exposure:
    message = control.Exposure()
    convert.exposure_to(exposure, message)
    return message
