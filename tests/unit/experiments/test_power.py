"""What the guardrails find, and how soon; and how rarely they find what is not there."""

import random
from statistics import median

import pytest

from pilotfish.experiments.evidence import Evidence
from pilotfish.experiments.sequences import CORE, Statistics
from pilotfish.experiments.settings import RolloutSettings
from pilotfish.experiments.verdict import Judgement, judge
from tests.unit.experiments.traffic import World, assignment_of, fresh
from tests.unit.experiments.twins import TWINS

PLAN = RolloutSettings(settle_s=0.0, min_stage_s=600.0, outcome_window_s=60.0)


def served_until(world: World, wanted: Judgement, every: int = 10, statistics: Statistics = CORE) -> int | None:
    """The policy-served decisions until a judgement; None if it never comes."""
    evidence: Evidence = fresh(share=world.share, settings=PLAN, statistics=statistics)
    n_policy = 0
    for i, observation in enumerate(world.observations()):
        evidence.decided(assignment_of(observation))
        evidence.observe(observation)
        n_policy += observation.in_treatment
        if i % every == 0 and judge(evidence).judgement is wanted:
            return n_policy
    return None


@pytest.mark.parametrize("statistics", [CORE, TWINS], ids=["core", "twin"])
@pytest.mark.parametrize("success", [0.2, 0.6])
def test_harmful_policy_is_found_at_five_percent_within_200_of_its_decisions(
    success: float, statistics: Statistics
) -> None:
    delays = [
        served_until(
            World(share=0.05, policy_success=success, control_success=0.9, n=4800, seed=seed),
            Judgement.BREACH,
            statistics=statistics,
        )
        for seed in range(20)
    ]
    found = [delay for delay in delays if delay is not None]

    print(f"policy {success}, control 0.9: median {median(found)}, worst {max(found)} of {len(found)}")  # noqa: T201
    assert len(found) == len(delays)
    assert max(found) <= 200


def test_equal_policy_is_hardly_ever_rolled_back() -> None:
    """Level 0.05 for both guardrails together; 60 runs that are looked at all the time."""
    alarms = [
        served_until(World(share=0.25, policy_success=0.7, control_success=0.7, n=1500, seed=seed), Judgement.BREACH)
        for seed in range(60)
    ]

    assert sum(alarm is not None for alarm in alarms) <= 4  # P(Binomial(60, 0.025) > 4) = 0.018


def test_better_policy_passes() -> None:
    passed = served_until(
        World(share=0.25, policy_success=0.9, control_success=0.7, n=6000, seed=3), Judgement.PASS, every=50
    )

    assert passed is not None
    assert 200 <= passed <= 600


def test_policy_at_the_margin_hardly_ever_passes() -> None:
    """The least favourable loss: exactly 0.02 worse."""
    passes = [
        served_until(
            World(share=0.5, policy_success=0.68, control_success=0.7, n=1500, seed=seed), Judgement.PASS, every=20
        )
        for seed in range(40)
    ]

    assert sum(passed is not None for passed in passes) <= 3


def test_adaptive_policy_is_judged_without_bias() -> None:
    """A policy that learns amid the stage: the interval holds the running mean of its true advantage."""
    outside = 0
    for seed in range(20):
        generator = random.Random(seed)
        evidence = fresh(share=0.25, settings=PLAN)
        truth = 0.0
        for i, shell in enumerate(World(share=0.25, n=1500, seed=seed).observations(), start=1):
            better = 0.1 + 0.8 * i / 1500
            policy, control = (better, 1.0 - better), (0.5, 0.5)
            values = (0.8, 0.3)
            truth += sum((p - c) * v for p, c, v in zip(policy, control, values, strict=True))
            action = int(generator.random() >= (policy if shell.in_treatment else control)[0])
            utility = float(generator.random() < values[action])
            evidence.observe(
                type(shell)(
                    visit=1,
                    decision_id=shell.decision_id,
                    decided_us=shell.decided_us,
                    unit_id=shell.unit_id,
                    in_treatment=shell.in_treatment,
                    joined_us=shell.joined_us,
                    policy_probability=policy[action],
                    control_probability=control[action],
                    utilities={"reward": utility},
                )
            )
        # Of the sequence: the verdict keeps the moment of the breach that this policy's first hundreds of tasks are.
        _, lower, upper = evidence.metrics[0].difference
        outside += not lower <= truth / 1500 <= upper
    assert outside <= 2
