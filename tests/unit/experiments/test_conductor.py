"""A real engine is conducted: evidence comes from its decisions and outcomes, and changes rest on evidence alone."""

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from pilotfish.codes import Mode, Reason, Signal, Source
from pilotfish.engine.deciding import Decision
from pilotfish.exceptions import InvalidInputError, NotFoundError, StateError
from pilotfish.experience.exposures import Exposure
from pilotfish.experience.record import LoggedDecision
from pilotfish.experience.signals import SignalRow
from pilotfish.experiments import conductor as conducting
from pilotfish.experiments.conductor import Conductor
from pilotfish.experiments.conservative import ConservativeGate
from pilotfish.experiments.evidence import Evidence
from pilotfish.experiments.verdict import Judgement
from pilotfish.request import Outcome
from pilotfish.training.registry import Registry
from tests.unit.experiments.conducted import PLAN, conducted, decide, report, traffic


def evidence_of(conductor: Conductor) -> Evidence:
    return conductor.verdict()[2]


def test_a_stage_is_promoted_when_it_has_passed_and_only_then(tmp_path: Path) -> None:
    with conducted(tmp_path) as conductor:
        for i in range(500):
            traffic(conductor, 1, "bad", first=i)
            _, verdict, _ = conductor.verdict()
            changed = conductor.tick()
            assert (changed is not None) == (verdict.judgement is Judgement.PASS), verdict.reasons
            if changed is not None:
                break

        assert changed is not None
        assert (changed.action, changed.actor, changed.rollout_share) == ("promote", "automatic", 1.0)
        assert conductor.engine.exposure == changed
        assert json.loads(changed.evidence) == verdict.plain()
        assert min(row.policy_measured for row in verdict.rows) >= PLAN.min_outcomes


def test_the_live_model_is_kept_before_more_is_given_to_it(tmp_path: Path) -> None:
    with conducted(tmp_path) as conductor:
        conductor.promote("ops", "trial", share=0.75, force=True)

        (kept,) = conductor._registry.list()  # noqa: SLF001

        assert (kept.actor, kept.note) == ("ops", "before 0.75")
        assert kept.state_sha256 == conductor.keep("again", "ops").state_sha256


def test_a_breach_takes_everything_away_and_holds(tmp_path: Path) -> None:
    with conducted(tmp_path) as conductor:
        traffic(conductor, 300, "good")
        changed = conductor.tick()

        assert changed is not None
        assert (changed.action, changed.actor, changed.mode, changed.rollout_share, changed.held) == (
            *("rollback", "automatic", Mode.ROLLOUT, 0.0, True),
        )
        assert "completion" in changed.reason
        assert {decision.source for decision in traffic(conductor, 50, "good", first=300)} == {Source.BASELINE}
        assert conductor.tick() is None
        with pytest.raises(StateError, match="the rollout is held, resume it first") as refused:
            conductor.promote("ops", "again")
        assert refused.value.reason == "PROMOTION_REFUSED"


def test_what_a_later_stage_is_told_of_an_earlier_one_does_not_count(tmp_path: Path) -> None:
    with conducted(tmp_path) as conductor:
        early = [decide(conductor, f"u{i}", "bad") for i in range(30)]
        assert evidence_of(conductor).n_decisions == 30
        changed = conductor.promote("ops", "trial", share=0.75, force=True)
        for decision in early:
            report(conductor, decision)
        evidence = evidence_of(conductor)

        assert (evidence.visit, evidence.n_decisions, evidence.n_waiting) == (changed.stage, 0, 0)
        assert all(metric.count == [0, 0] for metric in evidence.metrics)

        traffic(conductor, 10, "bad", first=100)
        assert sum(evidence_of(conductor).metrics[0].count) == 10


def test_a_held_rollout_is_not_promoted_but_rolled_back(tmp_path: Path) -> None:
    with conducted(tmp_path / "better") as conductor:
        conductor.hold("ops", "lunch", hold=True)
        traffic(conductor, 300, "bad")
        assert conductor.verdict()[1].judgement is Judgement.PASS
        assert conductor.tick() is None
        conductor.hold("ops", "back", hold=False)
        promoted = conductor.tick()
        assert promoted is not None
        assert promoted.action == "promote"

    with conducted(tmp_path / "worse") as conductor:
        conductor.hold("ops", "lunch", hold=True)
        traffic(conductor, 300, "good")
        rolled_back = conductor.tick()
        assert rolled_back is not None
        assert rolled_back.action == "rollback"


@pytest.mark.parametrize("mode", [Mode.OFF, Mode.SHADOW, Mode.ON])
@pytest.mark.parametrize("baseline", ["good", "bad"])
def test_where_nobody_is_compared_nothing_is_done(tmp_path: Path, mode: Mode, baseline: str) -> None:
    with conducted(tmp_path, mode=mode) as conductor:
        traffic(conductor, 300, baseline)
        exposure, verdict, _ = conductor.verdict()

        assert (verdict.rows, verdict.judgement) == ((), Judgement.HOLD)
        assert conductor.tick() is None
        assert conductor.engine.exposure == exposure
        assert len(conductor.engine.changes(10)) == 1


@pytest.mark.parametrize("baseline", ["good", "bad"])
def test_what_an_operator_does_meanwhile_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, baseline: str) -> None:
    with conducted(tmp_path) as conductor:
        traffic(conductor, 300, baseline)
        looked = conductor.verdict()
        set_by_ops = conductor.engine.helm.change("set_mode", "ops", "stop", mode=Mode.SHADOW)
        monkeypatch.setattr(conductor, "verdict", lambda: looked)

        with pytest.raises(StateError, match="change 2 is in force, must be 1"):
            conductor.tick()
        with pytest.raises(StateError) as refused:
            conductor.promote("other", "", share=0.9, force=True)

        assert refused.value.reason == "PROMOTION_REFUSED"
        assert conductor.engine.exposure == set_by_ops
        assert conductor.engine.changes(1) == [set_by_ops]


def test_the_gate_gives_its_decisions_to_the_baseline_with_certainty(tmp_path: Path) -> None:
    plan = msgspec.structs.replace(PLAN, conservative_loss=0.5)
    twin = ConservativeGate(0.5)
    held_back = 0
    with conducted(tmp_path, plan, mode=Mode.ON) as conductor:
        for i in range(60):
            may_explore = twin.may_explore()
            decision = decide(conductor, f"u{i}", "good")
            record = decision.record
            assert (Reason.HELD_BACK in decision.reasons) == (not may_explore)
            if not may_explore:
                held_back += 1
                assert (decision.module, decision.propensity, decision.source) == ("good", 1.0, Source.BASELINE)
                assert (record.policy_share, record.in_policy_share) == (0.0, False)
            else:
                assert (record.policy_share, decision.source) == (1.0, Source.POLICY)
            twin.served(by_policy=may_explore)
            reward = 0.0 if may_explore else 1.0
            report(conductor, decision, reward)
            twin.rewarded(reward, by_policy=may_explore)

    assert 20 < held_back < 60


def test_an_outcome_that_comes_twice_counts_once(tmp_path: Path) -> None:
    with conducted(tmp_path) as conductor:
        decision = decide(conductor, "u", "bad")
        for _ in range(3):
            report(conductor, decision)
        repeated = decide(conductor, "u", "bad")
        report(conductor, repeated)

        # The same unit again is the same draw of the hash: it counts with its first decision.
        assert [sum(metric.count) for metric in evidence_of(conductor).metrics] == [1, 1]
        assert evidence_of(conductor).n_decisions == 2


class _Broken:
    """A follower that fails on everything."""

    def decided(self, decision: Decision) -> None:
        raise RuntimeError(decision.decision_id)

    def happened(self, decision: LoggedDecision, rows: Sequence[SignalRow]) -> None:
        raise RuntimeError(decision.decision_id, rows)


def test_a_follower_that_raises_loses_neither_an_answer_nor_what_others_are_told(tmp_path: Path) -> None:
    with conducted(tmp_path) as conductor:
        engine = conductor.engine
        engine.followers.insert(0, _Broken())

        decision = decide(conductor, "u", "bad")
        receipt = engine.record_outcome(Outcome({Signal.COMPLETION: 1.0}, decision.decision_id))

        assert (receipt.recorded_count, receipt.joined) == (1, True)
        assert engine.log.signals_of(engine.log.get_decision(decision.decision_id).sequence) == {1: 1.0}
        assert engine.counters["following_failed", 0] == 2
        assert sum(evidence_of(conductor).metrics[0].count) == 1


def test_a_forced_promotion_is_on_record_as_such(tmp_path: Path) -> None:
    with conducted(tmp_path, share=0.25) as conductor:
        with pytest.raises(StateError, match=r"promotion to 0.5 must wait: no data") as refused:
            conductor.promote("ops", "now")
        assert refused.value.reason == "PROMOTION_REFUSED"

        forced = conductor.promote("ops", "now", force=True)
        assert (forced.rollout_share, forced.reason) == (0.5, "now (forced)")
        assert json.loads(forced.evidence)["judgement"] == "hold"
        assert conductor.promote("ops", "", force=True).reason == "(forced)"


def test_a_version_takes_the_policy_s_place_and_who_served_everybody_becomes_the_control(tmp_path: Path) -> None:
    with conducted(tmp_path, mode=Mode.ON) as conductor:
        version = conductor.keep("as it is", "ops").sha256
        begun = conductor.promote("ops", "", version=version[:8])

        assert fields(begun) == (Mode.ROLLOUT, 0.25, version, "live", False)
        served = {decide(conductor, f"u{i}", "good").source for i in range(100)}
        assert served == {Source.POLICY, Source.CHAMPION}
        for again, why in ((version, "is the policy already"), ("live", "is the control already")):
            with pytest.raises(StateError, match=why):
                conductor.promote("ops", "", version=again)

        rolled_back = conductor.rollback("ops", "")
        assert fields(rolled_back) == (Mode.ROLLOUT, 0.0, version, "live", True)
        assert {decide(conductor, f"u{i}", "good").source for i in range(50)} == {Source.CHAMPION}


def test_rollback_to_a_version_keeps_the_share(tmp_path: Path) -> None:
    with conducted(tmp_path) as conductor:
        version = conductor.keep("as it is", "ops").sha256
        assert fields(conductor.rollback("ops", "", version=version)) == (Mode.ROLLOUT, 0.5, version, "", True)
        assert fields(conductor.rollback("ops", "", version="live")) == (Mode.ROLLOUT, 0.5, "", "", True)


def test_a_version_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    with conducted(tmp_path) as conductor:
        for call in (conductor.promote, conductor.rollback):
            with pytest.raises(NotFoundError):
                call("ops", "", version="0" * 64)
            with pytest.raises(InvalidInputError, match="must be 8 to 64 digits"):
                call("ops", "", version="none")
        assert len(conductor.engine.changes(10)) == 1


def test_more_than_the_first_stage_of_a_version_needs_force(tmp_path: Path) -> None:
    with conducted(tmp_path) as conductor:
        version = conductor.keep("as it is", "ops").sha256
        with pytest.raises(StateError, match=r"rollout_share == 0\.9, must be 0\.25 unless forced"):
            conductor.promote("ops", "", version=version, share=0.9)
        assert conductor.promote("ops", "", version=version, share=0.9, force=True).rollout_share == 0.9


def test_versions_in_force_are_never_pruned(tmp_path: Path) -> None:
    with conducted(tmp_path) as conductor:
        conductor._registry = Registry(tmp_path / "models", keep_count=1, keep_s=0.0)  # noqa: SLF001
        version = conductor.keep("first", "ops").sha256
        conductor.promote("ops", "", version=version)
        conductor.pause_learning("ops", "", pause=False)
        for i in range(3):
            traffic(conductor, 2, "bad", first=10 * i)
            newest = conductor.keep(f"{i}", "ops").sha256

        assert [info.sha256 for info in conductor._registry.list()] == [newest, version]  # noqa: SLF001


def test_the_thread_looks_by_itself_and_goes_on_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conducting, "INTERVAL_S", 0.001)
    looks: list[int] = []
    with conducted(tmp_path) as conductor:

        def tick() -> None:
            looks.append(1)
            if len(looks) == 1:
                raise StateError("change 3 is in force")
            if len(looks) == 2:
                raise RuntimeError("a bug")
            conductor._stopping.set()  # noqa: SLF001

        monkeypatch.setattr(conductor, "tick", tick)
        conductor.start()
        conductor._thread.join(10.0)  # noqa: SLF001
        conductor.stop()

    assert len(looks) == 3


def fields(exposure: Exposure) -> tuple[Mode, float, str, str, bool]:
    return exposure.mode, exposure.rollout_share, exposure.policy, exposure.control, exposure.held
