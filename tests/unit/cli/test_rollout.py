"""What `pilotfish rollout` and `pilotfish models` ask for and print; the sidecar is a stand-in."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from google.protobuf.message import Message

from pilotfish import v1
from pilotfish.cli import main, models, rollout

EXPOSURE = v1.Exposure(
    number=3,
    action="promote",
    actor="ops",
    reason="trial",
    mode=v1.MODE_ROLLOUT,
    rollout_share=0.25,
    policy_version="a" * 64,
    control_version="live",
)
IN_WORDS = "rollout 0.25, policy aaaaaaaaaaaa, control live"


class StandIn:
    """Answers as it is told, and remembers what it was asked."""

    def __init__(self, answers: Mapping[str, Message]) -> None:
        self.asked: list[tuple[Path | None, str, Message]] = []
        self._answers = answers

    def __call__(self, socket: Path | None, method: str, request: Message, response_class: type[Message]) -> Message:
        self.asked.append((socket, method, request))
        answer = self._answers[method]
        assert isinstance(answer, response_class)
        return answer


def run(monkeypatch: pytest.MonkeyPatch, arguments: str, **answers: Message) -> tuple[Result, StandIn]:
    stand_in = StandIn(answers)
    for module in (rollout, models):
        monkeypatch.setattr(module, "control", stand_in)
    monkeypatch.setenv("LOGNAME", "me")
    return CliRunner().invoke(main, arguments.split()), stand_in


@pytest.mark.parametrize(
    ("arguments", "method", "request_", "answer"),
    [
        (
            "rollout promote",
            "Promote",
            v1.PromoteRequest(actor="me"),
            v1.PromoteResponse(exposure=EXPOSURE),
        ),
        (
            "rollout promote --version live --share 0.5 --force --actor ops --reason trial",
            "Promote",
            v1.PromoteRequest(actor="ops", reason="trial", policy_version="live", rollout_share=0.5, force=True),
            v1.PromoteResponse(exposure=EXPOSURE),
        ),
        (
            "rollout rollback --actor ops",
            "Rollback",
            v1.RollbackRequest(actor="ops"),
            v1.RollbackResponse(exposure=EXPOSURE),
        ),
        (
            "rollout rollback --to aaaaaaaa --reason slow",
            "Rollback",
            v1.RollbackRequest(actor="me", reason="slow", policy_version="aaaaaaaa"),
            v1.RollbackResponse(exposure=EXPOSURE),
        ),
        (
            "rollout hold --reason lunch",
            "HoldRollout",
            v1.HoldRolloutRequest(hold=True, actor="me", reason="lunch"),
            v1.HoldRolloutResponse(exposure=EXPOSURE),
        ),
        (
            "rollout resume",
            "HoldRollout",
            v1.HoldRolloutRequest(hold=False, actor="me"),
            v1.HoldRolloutResponse(exposure=EXPOSURE),
        ),
        (
            "rollout pause-learning",
            "PauseLearning",
            v1.PauseLearningRequest(pause=True, actor="me"),
            v1.PauseLearningResponse(exposure=EXPOSURE),
        ),
        (
            "rollout pause-learning --off",
            "PauseLearning",
            v1.PauseLearningRequest(pause=False, actor="me"),
            v1.PauseLearningResponse(exposure=EXPOSURE),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_a_change_is_asked_for_as_meant_and_what_is_in_force_is_printed(
    monkeypatch: pytest.MonkeyPatch, arguments: str, method: str, request_: Message, answer: Message
) -> None:
    said, stand_in = run(monkeypatch, arguments, **{method: answer})

    assert (said.exit_code, said.output) == (0, IN_WORDS + "\n")
    assert stand_in.asked == [(None, method, request_)]


def test_the_socket_that_is_named_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = v1.RollbackResponse(exposure=EXPOSURE)
    _, stand_in = run(monkeypatch, "rollout rollback --socket /run/c.sock", Rollback=answer)

    assert stand_in.asked[0][0] == Path("/run/c.sock")


@pytest.mark.parametrize("share", ["0", "1.01", "-1", "half"])
def test_a_share_out_of_range_is_not_even_asked_for(monkeypatch: pytest.MonkeyPatch, share: str) -> None:
    said, stand_in = run(monkeypatch, f"rollout promote --force --share {share}")

    assert said.exit_code == 2
    assert "--share" in said.output
    assert stand_in.asked == []


def test_a_breaker_is_reset_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    said, stand_in = run(monkeypatch, "rollout reset-breaker ocr", ResetBreaker=v1.ResetBreakerResponse())

    assert said.output == "ocr closed\n"
    assert stand_in.asked[0][2] == v1.ResetBreakerRequest(module="ocr", actor="me")


def test_status_prints_the_numbers_that_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    standing = v1.GetRolloutResponse(
        exposure=EXPOSURE,
        verdict="hold",
        verdict_reasons=["reward: 25 of 200 outcomes"],
        next_share=0.5,
        unit_count=60,
        policy_unit_count=25,
        guardrails=[
            v1.Guardrail(
                metric="reward",
                difference=-0.045,
                lower_bound=-0.4624,
                upper_bound=0.3734,
                margin=0.02,
                observation_count=60,
                policy_mean=0.92,
                control_mean=1.0,
                state="hold",
            )
        ],
        breakers=[
            v1.BreakerState(module="ocr", state="open", failure_rate=0.75, call_count=8, remaining_s=1.25),
            v1.BreakerState(module="well", state="closed", failure_rate=0.1, call_count=9),
        ],
    )

    said, _ = run(monkeypatch, "rollout status", GetRollout=standing)

    assert said.output.splitlines() == [
        f"exposure    {IN_WORDS}",
        f"policy      {'a' * 64}",
        "control     live",
        "next stage  50%",
        "held        no",
        "learning    on",
        "units       25 of 60 with the policy",
        "verdict     hold",
        "  reward: 25 of 200 outcomes",
        "",
        "GUARDRAIL  POLICY  CONTROL  DIFFERENCE  INTERVAL         MARGIN  OUTCOMES  STATE",
        "reward     0.920   1.000    -0.045      -0.462 … +0.373  -0.020  60        hold",
        "",
        "BREAKER  STATE  FAILURES  CALLS  OPEN FOR",
        "ocr      open   75%       8      1.2 s",
    ]


def test_status_without_evidence_leaves_the_tables_out(monkeypatch: pytest.MonkeyPatch) -> None:
    exposure = v1.Exposure(mode=v1.MODE_OFF, is_held=True, is_learning_paused=True)
    said, _ = run(monkeypatch, "rollout status", GetRollout=v1.GetRolloutResponse(exposure=exposure, verdict="none"))

    assert said.output.splitlines() == [
        "exposure    off, held, learning paused",
        "policy      live",
        "control     baseline",
        "next stage  none",
        "held        yes",
        "learning    paused",
        "units       0 of 0 with the policy",
        "verdict     none",
    ]


def test_changes_are_a_table_or_the_contract_s_message(monkeypatch: pytest.MonkeyPatch) -> None:
    change = v1.Exposure()
    change.CopyFrom(EXPOSURE)
    change.change_time.FromJsonString("2026-11-25T10:20:30Z")
    answer = v1.ListChangesResponse(changes=[change])

    said, stand_in = run(monkeypatch, "rollout changes --limit 7", ListChanges=answer)
    printed, _ = run(monkeypatch, "rollout changes --json", ListChanges=answer)

    assert stand_in.asked[0][2] == v1.ListChangesRequest(page_size=7)
    assert [cell.strip() for cell in said.output.splitlines()[1].split("  ") if cell] == [
        *("3", "2026-11-25 10:20:30", "promote", IN_WORDS, "ops", "trial"),
    ]
    assert json.loads(printed.output)["changes"][0]["policy_version"] == "a" * 64


def test_versions_are_listed_and_faults_go_to_the_error_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    version = v1.ModelVersion(version="b" * 64, learned_count=60, size_bytes=1234, note="as it is", actor="ops")
    version.create_time.FromJsonString("2026-11-25T10:20:30Z")
    answer = v1.ListModelVersionsResponse(versions=[version], faults=["cccc: too short"])

    said, _ = run(monkeypatch, "models list", ListModelVersions=answer)

    assert said.stdout.splitlines()[1].split() == [
        *("b" * 16, "2026-11-25", "10:20:30", "60", "1234", "ops", "as", "it", "is"),
    ]
    assert said.stderr == "warning: cccc: too short\n"


def test_keeping_sends_a_whole_path_and_prints_the_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    answer = v1.KeepModelVersionResponse(version=v1.ModelVersion(version="b" * 64))

    said, stand_in = run(monkeypatch, "models keep --file x.snapshot --note why", KeepModelVersion=answer)
    _, live = run(monkeypatch, "models keep", KeepModelVersion=answer)

    assert said.output == "b" * 64 + "\n"
    assert stand_in.asked[0][2] == v1.KeepModelVersionRequest(actor="me", note="why", path=str(tmp_path / "x.snapshot"))
    assert live.asked[0][2] == v1.KeepModelVersionRequest(actor="me")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"mode": v1.MODE_ON}, "on"),
        ({"mode": v1.MODE_SHADOW, "rollout_share": 0.5}, "shadow"),
        ({"mode": v1.MODE_ROLLOUT, "rollout_share": 0.05}, "rollout 0.05"),
        (
            {"mode": v1.MODE_ROLLOUT, "is_held": True, "control_version": "b" * 64},
            f"rollout 0, control {'b' * 12}, held",
        ),
    ],
)
def test_exposure_in_a_few_words(fields: dict[str, Any], words: str) -> None:
    assert rollout.described(v1.Exposure(**fields)) == words
