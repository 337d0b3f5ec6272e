"""What the stage has shown is the fold of the log: read again after a restart, while decisions are answered."""

import random
import sqlite3
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from pilotfish.codes import Mode, Reason, Signal
from pilotfish.engine.deciding import Decision
from pilotfish.exceptions import StateError
from pilotfish.experience.log import ExperienceLog, now_us
from pilotfish.experience.retelling import Told, retell
from pilotfish.experiments import following
from pilotfish.experiments.conductor import Conductor
from pilotfish.experiments.verdict import Judgement
from pilotfish.request import Outcome
from tests.unit.experiments.conducted import PLAN, conducted, decide, report, traffic

GOES_ON = threading.Event()
"""Never set."""
GATED = msgspec.structs.replace(PLAN, conservative_loss=0.5)


def test_restart_in_the_middle_of_a_stage_gives_the_same_verdict_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Outcomes wait and come in another order than decisions, in parts and some twice; in the end all have settled.
    monkeypatch.setattr(following, "now_us", lambda: now_us() + 3_600_000_000)
    plan = msgspec.structs.replace(PLAN, settle_s=0.02, outcome_window_s=1.0, min_stage_s=1.0)
    rng = random.Random(7)
    with conducted(tmp_path, plan) as conductor:
        conductor.engine.helm.change("set_mode", "ops", "", rollout_share=0.4)
        waiting: list[Decision] = []
        for i in range(200):
            waiting.append(decide(conductor, f"u{rng.randrange(150)}", "bad"))
            while waiting and rng.random() < 0.55:
                decision = waiting.pop(rng.randrange(len(waiting)))
                report(conductor, decision)
                quality = Outcome({Signal.QUALITY: rng.random()}, decision.decision_id)
                for _ in range(rng.randrange(3)):
                    conductor.engine.record_outcome(quality)
            if i == 100:
                conductor.hold("ops", "lunch", hold=True)  # changes no stage
        exposure, before, evidence = conductor.verdict()

    assert (exposure.stage, exposure.number) == (2, 3)
    with conducted(tmp_path, plan) as conductor:
        exposure_again, again, evidence_again = conductor.verdict()

    assert exposure_again == exposure
    assert again.plain() == before.plain()
    assert before.rows[0].policy_count > 20
    assert (
        (evidence_again.n_decisions, evidence_again.active_s) == (evidence.n_decisions, evidence.active_s) != (0, 0.0)
    )


def test_the_gate_remembers_over_a_restart(tmp_path: Path) -> None:
    with conducted(tmp_path, GATED, mode=Mode.ON) as conductor:
        for i in range(41):
            report(conductor, decide(conductor, f"u{i}", "good"), 0.25)
        before = conductor.following.gate
        assert before is not None
        known = (before.n_control, before.n_policy, before.policy_reward, before.missing())

    with conducted(tmp_path, GATED, mode=Mode.ON) as conductor:
        after = conductor.following.gate
        assert after is not None
        assert (after.n_control, after.n_policy, after.policy_reward, after.missing()) == known
        assert min(known[:2]) > 5


class Halfway(BaseException):
    """Ends a recall where a test wants it."""


def recall_halfway(conductor: Conductor, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let half of what 60 decisions left in the log be read, then fail."""

    def halfway(log: ExperienceLog, after: tuple[int, int], up_to: tuple[int, int]) -> Iterator[Told]:
        yield from islice(retell(log, after, up_to), 50)
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(following, "retell", halfway)
        with pytest.raises(type(error)):
            conductor.following.recall(GOES_ON)


def test_decisions_go_on_while_the_log_is_read_and_the_verdict_is_then_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with conducted(tmp_path) as conductor:
        traffic(conductor, 59, "bad")
        late = decide(conductor, "u59", "bad")

    with conducted(tmp_path, recalled=False) as conductor:
        report(conductor, late)
        recall_halfway(conductor, monkeypatch, Halfway())
        traffic(conductor, 60, "bad", first=60)
        exposure, verdict, _ = conductor.verdict()
        assert (exposure.share, verdict.judgement, verdict.rows) == (0.5, Judgement.HOLD, ())
        assert verdict.reasons == ("the stage is being read from the log again: 42% done",)
        with pytest.raises(StateError, match="being read from the log again"):
            conductor.promote("ops", "now")

        conductor.following.recall(GOES_ON)  # begins anew
        verdict = conductor.verdict()[1]

    with conducted(tmp_path) as conductor:
        undisturbed = conductor.verdict()[1]
    assert [row.policy_count + row.control_count for row in verdict.rows] == [120, 120]
    assert verdict.plain() == undisturbed.plain()


def test_the_first_look_of_the_thread_reads_the_log(tmp_path: Path) -> None:
    with conducted(tmp_path) as conductor:
        traffic(conductor, 40, "bad")
    with conducted(tmp_path, recalled=False) as conductor:
        conductor.tick()
        assert sum(conductor.verdict()[2].metrics[0].count) == 40


def test_a_new_stage_need_not_know_of_the_one_that_is_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with conducted(tmp_path) as conductor:
        traffic(conductor, 60, "bad")
    with conducted(tmp_path, recalled=False) as conductor:
        recall_halfway(conductor, monkeypatch, Halfway())
        traffic(conductor, 5, "bad", first=60)
        changed = conductor.promote("ops", "trial", share=0.75, force=True)
        traffic(conductor, 10, "bad", first=100)
        conductor.following.recall(GOES_ON)
        evidence = conductor.verdict()[2]

    assert (evidence.visit, evidence.n_decisions, sum(evidence.metrics[0].count)) == (changed.stage, 10, 10)


def test_a_log_that_cannot_be_read_is_read_again_from_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with conducted(tmp_path) as conductor:
        traffic(conductor, 60, "bad")
        before = conductor.verdict()[1]
    with conducted(tmp_path, recalled=False) as conductor:
        recall_halfway(conductor, monkeypatch, sqlite3.OperationalError("disk I/O error"))
        conductor.following.recall(GOES_ON)
        assert [row.estimate for row in conductor.verdict()[1].rows] == [row.estimate for row in before.rows]


def test_stopping_ends_the_reading_at_once(tmp_path: Path) -> None:
    stopping = threading.Event()
    stopping.set()
    with conducted(tmp_path) as conductor:
        traffic(conductor, 60, "bad")
    with conducted(tmp_path, recalled=False) as conductor:
        conductor.following.recall(stopping)
        assert conductor.verdict()[1].reasons == ("the stage is being read from the log again: 0% done",)


def test_the_gate_is_closed_while_the_log_is_read(tmp_path: Path) -> None:
    with conducted(tmp_path, GATED, mode=Mode.ON) as conductor:
        for i in range(60):
            report(conductor, decide(conductor, f"u{i}", "good"), 1.0)
        assert Reason.HELD_BACK not in decide(conductor, "v", "good").reasons
    with conducted(tmp_path, GATED, mode=Mode.ON, recalled=False) as conductor:
        assert Reason.HELD_BACK in decide(conductor, "w", "good").reasons
        conductor.following.recall(GOES_ON)
        assert Reason.HELD_BACK not in decide(conductor, "x", "good").reasons
