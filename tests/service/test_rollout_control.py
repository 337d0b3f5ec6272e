"""The rollout as operators steer it, on a real server."""

import json
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from pilotfish import v1
from tests.service.running_server import Server, running_server

MODULES = [v1.Module(name="good"), v1.Module(name="bad")]
AnswerT = TypeVar("AnswerT")


def decide(server: Server, unit: str = "", baseline: str = "bad") -> v1.Decision:
    request = v1.SelectModuleRequest(task=v1.Task(type="t"), candidates=MODULES, baseline_module=baseline, unit_id=unit)
    return server.decisions.SelectModule(request, timeout=5).decision


def report(server: Server, decision: v1.Decision, completion: float) -> None:
    outcome = v1.RecordOutcomeRequest(decision_id=decision.decision_id)
    outcome.signals.add(signal=v1.SIGNAL_COMPLETION, value=completion)
    server.outcomes.RecordOutcome(outcome, timeout=5)


def promote(server: Server, reason: str = "", **fields: Any) -> v1.Exposure:  # noqa: ANN401  the message's own
    request = v1.PromoteRequest(actor="ops", reason=reason, **fields)
    return server.control.Promote(request, timeout=5).exposure


def rollback(server: Server, reason: str = "", version: str = "") -> v1.Exposure:
    request = v1.RollbackRequest(actor="ops", reason=reason, policy_version=version)
    return server.control.Rollback(request, timeout=5).exposure


def keep(server: Server, **fields: str) -> v1.ModelVersion:
    return server.control.KeepModelVersion(v1.KeepModelVersionRequest(actor="ops", **fields), timeout=5).version


def changes(server: Server, page_size: int = 0) -> list[v1.Exposure]:
    return list(server.control.ListChanges(v1.ListChangesRequest(page_size=page_size), timeout=5).changes)


def standing(server: Server) -> v1.GetRolloutResponse:
    return server.control.GetRollout(v1.GetRolloutRequest(), timeout=5)


def refused(call: Callable[[], Message]) -> tuple[str, str, str]:
    """Return code, reason and message of a refusal."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    trailers: dict[str, Any] = dict(caught.value.trailing_metadata())  # type: ignore[arg-type]
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return caught.value.code().name, info.reason, caught.value.details() or ""


def test_the_gate_refuses_with_what_is_missing_until_forced() -> None:
    with running_server(policy__rollout_share="0.05") as server:
        decide(server)
        code, reason, why = refused(lambda: promote(server))
        assert (code, reason) == ("FAILED_PRECONDITION", "PROMOTION_REFUSED")
        assert why.startswith("promotion to 0.1 must wait: reward: 0 of 200 outcomes; ")
        assert tuple(why.removeprefix("promotion to 0.1 must wait: ").split("; ")) == tuple(
            standing(server).verdict_reasons
        )
        assert changes(server) == []

        forced = promote(server, "trial", force=True)
        assert (forced.rollout_share, forced.action, forced.actor) == (0.1, "promote", "ops")
        assert (forced.reason, forced.number, forced.stage) == ("trial (forced)", 1, 1)
        assert json.loads(forced.evidence_json)["judgement"] == "hold"
        assert promote(server, rollout_share=0.6, force=True).rollout_share == 0.6
        _, reason, why = refused(lambda: promote(server, rollout_share=0.5, force=True))
        assert (reason, why) == ("VALUE_OUT_OF_RANGE", "to_share == 0.5, must be in (0.6, 1]")
        promote(server, rollout_share=1.0, force=True)
        assert refused(lambda: promote(server, force=True))[:2] == ("FAILED_PRECONDITION", "PROMOTION_REFUSED")


def test_steering_is_on_record_with_actor_reason_and_order() -> None:
    with running_server(policy__rollout_share="0.05") as server:
        control = server.control
        set_mode = v1.SetModeRequest(mode=v1.MODE_ROLLOUT, rollout_share=0.3, actor="a", reason="wider")
        control.SetMode(set_mode, timeout=5)
        held = control.HoldRollout(v1.HoldRolloutRequest(hold=True, actor="b", reason="lunch"), timeout=5).exposure
        assert held.is_held
        assert refused(lambda: promote(server))[2] == (
            "promotion to 0.5 must wait: the rollout is held, resume it first"
        )
        assert not control.HoldRollout(v1.HoldRolloutRequest(hold=False, actor="b"), timeout=5).exposure.is_held
        back = rollback(server, "too slow")
        assert (back.mode, back.rollout_share, back.is_held) == (v1.MODE_ROLLOUT, 0.0, True)

        listed = changes(server)

        assert [(c.number, c.action, c.actor, c.reason, c.stage) for c in listed] == [
            (4, "rollback", "ops", "too slow", 4),
            (3, "resume", "b", "", 1),
            (2, "hold", "b", "lunch", 1),
            (1, "set_mode", "a", "wider", 1),
        ]
        assert [c.change_time.ToMicroseconds() for c in listed] == sorted(
            (c.change_time.ToMicroseconds() for c in listed), reverse=True
        )
        assert changes(server, page_size=2) == listed[:2]
        assert standing(server).exposure == listed[0]
        reserved = v1.RollbackRequest(actor="automatic")
        assert refused(lambda: control.Rollback(reserved, timeout=5))[1] == "VALUE_OUT_OF_RANGE"


def test_what_comes_while_learning_is_paused_is_kept_and_never_learned() -> None:
    with running_server(policy__mode="on") as server:
        report(server, decide(server), 1.0)
        learned = server.control.GetInfo(v1.GetInfoRequest(), timeout=5).learned_count
        paused = server.control.PauseLearning(v1.PauseLearningRequest(pause=True, actor="ops"), timeout=5)
        assert paused.exposure.is_learning_paused
        report(server, decide(server), 0.0)
        during = server.control.GetInfo(v1.GetInfoRequest(), timeout=5)
        assert (during.learned_count, during.signal_value_count, during.learning_paused) == (learned, 2, True)

        server.restart()
        assert server.control.GetInfo(v1.GetInfoRequest(), timeout=5).state_sha256 == during.state_sha256
        server.control.PauseLearning(v1.PauseLearningRequest(pause=False, actor="ops"), timeout=5)
        report(server, decide(server), 1.0)
        after = server.control.GetInfo(v1.GetInfoRequest(), timeout=5)
        assert (after.learned_count, after.signal_value_count, after.learning_paused) == (learned + 1, 3, False)


def test_a_kept_version_goes_into_service_and_survives_a_restart() -> None:
    with running_server(policy__mode="on") as server:
        first = keep(server, note="as it is")
        assert keep(server, note="again") == first  # nothing has been learned meanwhile
        report(server, decide(server), 1.0)
        second = keep(server)
        listed = server.control.ListModelVersions(v1.ListModelVersionsRequest(), timeout=5)
        assert list(listed.versions) == [second, first]
        assert (first.note, first.actor, first.learned_count, second.learned_count) == ("as it is", "ops", 0, 1)

        begun = promote(server, policy_version=first.version[:10])
        assert (begun.policy_version, begun.control_version, begun.rollout_share) == (first.version, "live", 0.05)
        half = promote(server, rollout_share=0.5, force=True)
        sources = {f"u{i}": decide(server, f"u{i}").source for i in range(64)}
        assert set(sources.values()) == {v1.DECISION_SOURCE_POLICY, v1.DECISION_SOURCE_CHAMPION}

        server.restart()

        assert standing(server).exposure == half
        assert {unit: decide(server, unit).source for unit in sources} == sources
        assert rollback(server).control_version == "live"
        assert {decide(server, unit).source for unit in sources} == {v1.DECISION_SOURCE_CHAMPION}


def test_versions_that_cannot_be_meant_are_refused_and_change_nothing() -> None:
    with running_server(policy__mode="on") as server:
        version = keep(server).version
        for call in (promote, rollback):
            named: Any = "policy_version" if call is promote else "version"
            code, reason, _ = refused(partial(call, server, **{named: "0" * 64}))
            assert (code, reason) == ("NOT_FOUND", "MODEL_VERSION_NOT_FOUND")
            code, reason, _ = refused(partial(call, server, **{named: version[:7]}))
            assert (code, reason) == ("INVALID_ARGUMENT", "MALFORMED_ID")
        # A second file whose name begins alike; what begins alike cannot be meant.
        directory = server.state_directory / "models"
        (file,) = directory.glob("*.snapshot")
        other = version[:12] + ("0" if version[12] != "0" else "1") * 52
        (directory / file.name.replace(version, other)).write_bytes(file.read_bytes())
        code, reason, why = refused(lambda: promote(server, policy_version=version[:8]))
        assert (code, reason) == ("INVALID_ARGUMENT", "MALFORMED_ID")
        assert version in why
        assert other in why
        assert changes(server) == []


def test_a_damaged_file_is_refused_and_the_last_good_one_serves_on() -> None:
    with running_server(policy__mode="on") as server:
        good = keep(server)
        report(server, decide(server), 1.0)
        damaged = keep(server)
        promote(server, policy_version=good.version, rollout_share=1.0, force=True)
        in_force = standing(server).exposure
        (file,) = (server.state_directory / "models").glob(f"*{damaged.version}*")
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 0x10
        file.write_bytes(content)

        for call in (
            lambda: promote(server, policy_version=damaged.version),
            lambda: rollback(server, version=damaged.version),
            lambda: keep(server, path=str(file)),
        ):
            code, reason, _ = refused(call)
            assert (code, reason) == ("FAILED_PRECONDITION", "MODEL_VERSION_REFUSED")

        assert standing(server).exposure == in_force
        served = decide(server)
        assert (served.source, served.model_version) == (v1.DECISION_SOURCE_POLICY, good.model_version)
        listed = server.control.ListModelVersions(v1.ListModelVersionsRequest(), timeout=5)
        assert [version.version for version in listed.versions] == [good.version]
        assert [fault.split(":")[0] for fault in listed.faults] == [damaged.version]


def test_a_file_from_elsewhere_is_taken_in_after_validation() -> None:
    with running_server(policy__mode="on") as server:
        kept = keep(server, note="here")
        (file,) = (server.state_directory / "models").glob("*.snapshot")
        elsewhere = server.directory / "carried.snapshot"
        file.rename(elsewhere)
        assert not server.control.ListModelVersions(v1.ListModelVersionsRequest(), timeout=5).versions

        assert keep(server, path=str(elsewhere)) == kept
        assert elsewhere.exists()
        code, reason, _ = refused(lambda: keep(server, path=str(server.directory / "absent")))
        assert (code, reason) == ("NOT_FOUND", "MODEL_VERSION_NOT_FOUND")
        code, reason, _ = refused(lambda: keep(server, path=str(server.directory)))
        assert (code, reason) == ("FAILED_PRECONDITION", "MODEL_VERSION_REFUSED")


def test_a_missing_pinned_version_at_start_falls_back_to_its_control_and_says_so() -> None:
    with running_server(policy__mode="on") as server:
        kept = keep(server)
        promote(server, policy_version=kept.version, rollout_share=1.0, force=True)
        server.kill()
        (file,) = (server.state_directory / "models").glob("*.snapshot")
        file.unlink()
        server.start()

        assert standing(server).exposure.policy_version == kept.version
        served = decide(server)
        assert served.source == v1.DECISION_SOURCE_FALLBACK
        assert v1.REASON_CODE_CHAMPION_ANSWERED in served.reasons
        assert f"kept version {kept.version} cannot serve" in server.log + server.errors


def test_breakers_survive_a_restart_and_are_reset_by_hand() -> None:
    with running_server(policy__mode="off", safety__breakers="{open_s: 60}") as server:
        for _ in range(40):
            decision = decide(server, baseline="bad")
            report(server, decision, 0.0 if decision.module == "bad" else 1.0)
        (tripped,) = (breaker for breaker in standing(server).breakers if breaker.module == "bad")
        assert (tripped.state, tripped.trip_count) == ("open", 1)
        assert 0.0 < tripped.remaining_s <= 60.0

        server.restart()
        (again,) = (breaker for breaker in standing(server).breakers if breaker.module == "bad")
        assert again.state == "open"
        assert again.remaining_s <= tripped.remaining_s
        assert decide(server, baseline="bad").module == "good"

        server.control.ResetBreaker(v1.ResetBreakerRequest(module="bad", actor="ops"), timeout=5)
        assert "bad" not in {breaker.module for breaker in standing(server).breakers}
        assert decide(server, baseline="bad").module == "bad"
        assert "breaker of bad: reset by ops" in server.log


def test_after_a_rollback_has_returned_no_decision_is_the_policy_s() -> None:
    errors: list[Exception] = []
    served: list[tuple[int, int]] = []
    era = [0]  # odd from when a rollback has returned until the next promotion is asked for

    def hub(server: Server, number: int, over: threading.Event) -> None:
        i = 0
        while not over.is_set():
            i += 1
            before = era[0]
            try:
                source = decide(server, f"hub{number}-{i}").source
            except grpc.RpcError as error:
                errors.append(error)
                continue
            if before == era[0]:
                served.append((before, source))

    with running_server(policy__mode="on") as server:
        over = threading.Event()
        hubs = [threading.Thread(target=hub, args=(server, number, over)) for number in range(3)]
        for thread in hubs:
            thread.start()
        try:
            for _ in range(50):
                rollback(server)
                era[0] += 1
                served.extend((1, decide(server, f"operator-{i}").source) for i in range(10))
                era[0] += 1
                promote(server, rollout_share=1.0, force=True)
                decide(server)
        finally:
            over.set()
            for thread in hubs:
                thread.join(30)

    assert errors == []
    assert v1.DECISION_SOURCE_POLICY in {source for _, source in served}
    after_rollback = [source for when, source in served if when % 2]
    assert len(after_rollback) > 500  # ten of each rollback, and those of the hubs
    assert set(after_rollback) == {v1.DECISION_SOURCE_BASELINE}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rollout.stages", "[0.5, 0.1]", "rollout.stages == [0.5, 0.1], must rise"),
        ("rollout.guardrails", "{speed: 1}", "rollout.guardrails.speed is unknown, must be one of reward"),
        ("safety.rules", "{half: 'module.name =='}", "rule 'half' == \"module.name ==\", must be a CEL expression"),
        ("safety.breakers", "{opens_s: 3}", "must not hold the unknown key `opens_s`"),
    ],
)
def test_a_wrong_plan_ends_the_start_with_its_name_and_origin(
    server: Server, name: str, value: str, message: str
) -> None:
    ended = server.refused_start({name: value})

    assert ended.returncode == 64
    assert message in ended.stderr
    assert f"(environment PILOTFISH_{name.replace('.', '__').upper()})" in ended.stderr
    assert "Traceback" not in ended.stderr
    # Commands that look for the socket where `serve` would put it say the same.
    asked = server.command("rollout", "status", settings={**server.settings, name: value})
    assert asked.returncode == 64
    assert message in asked.stderr
    assert "Traceback" not in asked.stderr
