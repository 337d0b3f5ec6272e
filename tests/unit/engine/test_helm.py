"""What is in force: changed on record first, whole, from the next decision on."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pilotfish._core import Model
from pilotfish.codes import Mode, Signal, Source
from pilotfish.engine import helm
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.engine.folding import fold
from pilotfish.engine.helm import Kept
from pilotfish.exceptions import NotFoundError, StateError
from pilotfish.experience.exposures import Exposure
from pilotfish.request import Outcome
from pilotfish.rewards import RewardFunction
from tests.unit.engine.asking import ask, decisions, reopened, signals


def test_change_takes_effect_with_the_next_decision_and_survives_a_restart(engine: Engine) -> None:
    before = engine.decide(ask(baseline_module="d", unit_id="u"))
    engine.helm.change("rollback", "ops", "why", mode=Mode.ROLLOUT, rollout_share=0.0)
    after = engine.decide(ask(baseline_module="d", unit_id="u"))
    assert (before.source, after.source) == (Source.POLICY, Source.BASELINE)
    assert (before.record.stage, after.record.stage) == (0, 1)
    known = engine.exposure
    again = reopened(engine)
    assert again.exposure == known
    assert (known.actor, known.reason, known.action, known.decision_sequence) == ("ops", "why", "rollback", 1)
    again.close()


def test_change_that_cannot_be_written_changes_nothing(engine: Engine) -> None:
    before = engine.exposure
    engine.log._connection.execute("PRAGMA query_only = 1")  # noqa: SLF001
    with pytest.raises(sqlite3.Error):
        engine.helm.change("promote", "ops", "", mode=Mode.OFF)
    assert engine.exposure == before
    engine.log._connection.execute("PRAGMA query_only = 0")  # noqa: SLF001


def test_change_waits_while_somebody_else_writes_and_decisions_do_not(engine: Engine) -> None:
    other = sqlite3.connect(engine.log.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        changed = pool.submit(engine.helm.change, "rollback", "ops", "", mode=Mode.ROLLOUT, rollout_share=0.0)
        unlogged = [engine.decide(ask(baseline_module="d")) for _ in range(5)]  # each gives the lock its own 10 ms
        assert not changed.done()
        other.execute("ROLLBACK")
        assert changed.result(10).number == engine.exposure.number == 1
    other.close()
    assert {(decision.decision_id, decision.source) for decision in unlogged} == {("", Source.FALLBACK)}


def test_change_gives_up_when_nobody_else_ends(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helm, "PATIENCE_S", 0.05)
    other = sqlite3.connect(engine.log.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    before = engine.exposure
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        engine.helm.change("rollback", "ops", "", mode=Mode.ROLLOUT, rollout_share=0.0)
    assert engine.exposure == before
    other.execute("ROLLBACK")
    other.close()


def test_version_that_cannot_be_loaded_changes_nothing(engine: Engine) -> None:
    before, serves = engine.exposure, engine.serves
    with pytest.raises(StateError, match="no registry"):
        engine.helm.change("promote", "ops", "", policy="a" * 64)
    assert (engine.exposure, engine.serves) == (before, serves)
    assert engine.changes(10) == []


def test_what_rests_on_evidence_does_not_overrule_what_came_meanwhile(engine: Engine) -> None:
    seen = engine.exposure
    engine.helm.change("rollback", "ops", "", mode=Mode.OFF)
    with pytest.raises(StateError, match="change 1 is in force, must be 0"):
        engine.helm.change("promote", "automatic", "", if_number=seen.number, mode=Mode.ON)
    assert engine.exposure.mode is Mode.OFF


@pytest.mark.parametrize(
    ("fields", "begins"),
    [
        ({"mode": Mode.SHADOW}, True),
        ({"mode": Mode.ROLLOUT, "rollout_share": 0.1}, True),
        ({"held": True}, False),
        ({"paused": True}, False),
    ],
)
def test_stage_begins_with_what_changes_who_serves(engine: Engine, fields: dict[str, Any], *, begins: bool) -> None:
    changed = engine.helm.change("x", "ops", "", **fields)
    assert changed.stage == (1 if begins else 0)


def test_every_change_is_kept_in_order(engine: Engine) -> None:
    for share in (0.05, 0.1, 0.25):
        engine.helm.change("promote", "ops", f"{share}", mode=Mode.ROLLOUT, rollout_share=share)
    changes = engine.changes(10)
    assert [change.rollout_share for change in changes] == [0.25, 0.1, 0.05]
    assert all(later.number == earlier.number + 1 for later, earlier in pairwise(changes))
    assert engine.changes(1) == changes[:1]


def test_live_model_that_is_born_takes_the_place_of_the_live_one_and_not_of_a_kept_one(engine: Engine) -> None:
    kept = Model(engine.model.specification)
    engine.helm._load_kept = lambda _: Kept(kept, 0)  # noqa: SLF001
    engine.helm.change("promote", "ops", "", policy="a" * 64, control="live")
    heir = engine._learner.grown.serving._replace(birth=7)  # noqa: SLF001
    engine._learner.on_birth(heir)  # noqa: SLF001
    serves = engine.serves
    assert serves.policy is not None
    assert serves.champion is not None
    assert (serves.policy.model, serves.champion.birth, serves.live.birth) == (kept, 7, 7)


def test_unknown_version_is_not_found(tmp_path: Path) -> None:
    def unknown(version: str) -> Kept:
        raise NotFoundError(version)

    engine = Engine(tmp_path, EngineSettings(mode=Mode.ON, growth="off"), None, unknown)
    with pytest.raises(NotFoundError):
        engine.helm.change("promote", "ops", "", policy="a" * 64)
    engine.close()


def test_paused_learning_keeps_outcomes_and_the_fold_agrees(engine: Engine) -> None:
    for i, decision_id in enumerate(decisions(engine, 10)):
        engine.record_outcome(Outcome(signals(i), decision_id=decision_id))
    learned = engine.model.learned_count
    engine.helm.change("pause_learning", "ops", "", paused=True)
    for i, decision_id in enumerate(decisions(engine, 10, seed=2)):
        assert engine.record_outcome(Outcome(signals(i), decision_id=decision_id)).recorded_count > 0
    assert engine.model.learned_count == learned
    engine.helm.change("resume_learning", "ops", "", paused=False)
    decision_id = decisions(engine, 1, seed=3)[0]
    engine.record_outcome(Outcome({Signal.QUALITY: 1.0}, decision_id=decision_id))
    assert engine.model.learned_count == learned + 1
    folded = fold(engine.log, engine.model.specification, RewardFunction())
    assert folded.state_sha256() == engine.state_sha256()


def test_fresh_log_has_the_configured_exposure_and_no_change(tmp_path: Path) -> None:
    engine = Engine(tmp_path, EngineSettings(growth="off"))
    assert engine.exposure == Exposure(mode=Mode.ROLLOUT, rollout_share=0.05)
    assert engine.exposure.share == 0.05
    engine.close()
