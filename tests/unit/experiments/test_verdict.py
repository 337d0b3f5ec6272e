import pytest

from pilotfish.experiments.evidence import Evidence
from pilotfish.experiments.settings import RolloutSettings
from pilotfish.experiments.verdict import Judgement, judge
from tests.unit.experiments.traffic import World, feed, fresh
from tests.unit.experiments.twins import TWINS, TwinSequence

PLAN = RolloutSettings(guardrails={"reward": 0.02}, min_outcomes=1, min_stage_s=0.0, outcome_window_s=0.0)


def with_interval(lower: float, upper: float) -> Evidence:
    class Fixed(TwinSequence):
        def interval(self) -> tuple[float, float]:
            return (lower, upper)

    evidence = Evidence(1, 0.25, PLAN, TWINS._replace(sequence=Fixed))
    return feed(evidence, list(World(n=80).observations()))


@pytest.mark.parametrize(
    ("lower", "upper", "judgement"),
    [
        (-0.01, 0.3, Judgement.PASS),
        (-0.0199, 0.3, Judgement.PASS),
        (-0.02, 0.3, Judgement.HOLD),
        (-0.5, -0.02, Judgement.HOLD),
        (-0.5, 0.5, Judgement.HOLD),
        (-0.5, -0.0201, Judgement.BREACH),
    ],
)
def test_margin_decides_and_a_touch_is_no_crossing(lower: float, upper: float, judgement: Judgement) -> None:
    verdict = judge(with_interval(lower, upper))

    assert verdict.judgement is judgement
    assert [(row.lower, row.upper, row.judgement) for row in verdict.rows] == [(lower, upper, judgement)]


def test_reasons_say_what_was_compared() -> None:
    assert judge(with_interval(-0.031, 0.012)).reasons == ("reward: −0.031 … +0.012 crosses −0.020",)
    assert judge(with_interval(-0.4, -0.1)).reasons == ("reward: −0.400 … −0.100 is below −0.020",)


def test_one_breached_guardrail_is_enough() -> None:
    worse = list(World(share=0.5, policy_success=0.2, control_success=0.9, n=300).observations())
    verdict = judge(
        feed(fresh(share=0.5, settings=RolloutSettings(guardrails={"quality": 0.0, "reward": 0.02})), worse)
    )

    assert verdict.judgement is Judgement.BREACH
    assert [row.judgement for row in verdict.rows] == [Judgement.HOLD, Judgement.BREACH]


def test_row_shows_both_sides() -> None:
    observations = list(World(n=400).observations())
    row = judge(feed(fresh(), observations)).rows[0]
    policy = [o.utilities["reward"] for o in observations if o.in_treatment]
    control = [o.utilities["reward"] for o in observations if not o.in_treatment]

    assert (row.policy_count, row.policy_measured, row.control_count) == (len(policy), len(policy), len(control))
    assert row.policy_mean == pytest.approx(sum(policy) / len(policy))
    assert row.control_mean == pytest.approx(sum(control) / len(control))


def test_verdict_is_plain_data_for_the_audit_log() -> None:
    plain = judge(feed(fresh(), list(World(n=40).observations()))).plain()

    assert (plain["visit"], plain["judgement"], plain["rows"][0]["metric"]) == (1, "hold", "reward")


def test_breach_that_showed_once_stays_though_luck_turns() -> None:
    evidence = feed(fresh(), World(policy_success=0.2, control_success=0.9, n=600).observations())
    assert judge(evidence).judgement is Judgement.BREACH
    feed(evidence, World(policy_success=0.95, control_success=0.6, n=6000, seed=2).observations())
    assert evidence.metrics[0].difference[2] > -evidence.metrics[0].margin
    assert judge(evidence).judgement is Judgement.BREACH
    assert judge(evidence).rows[0].upper < -evidence.metrics[0].margin
