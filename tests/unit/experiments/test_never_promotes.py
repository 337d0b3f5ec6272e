"""Ways in which rollouts have been promoted by mistake elsewhere; here none of them raises exposure."""

from collections.abc import Callable, Mapping

import pytest

from pilotfish.experiments.evidence import Evidence
from pilotfish.experiments.observation import Observation
from pilotfish.experiments.rollout import Kind, RolloutState, apply, resume, rollback, step
from pilotfish.experiments.settings import RolloutSettings
from pilotfish.experiments.verdict import Judgement, judge
from tests.unit.experiments.traffic import PLAN, SECOND_US, START_US, World, assignment_of, changed, feed, fresh

SOUND = list(World().observations())
STAGE = RolloutState(share=0.25, visit=1, since_us=START_US)
QUALITY = RolloutSettings(guardrails={"quality": 0.02}, min_stage_s=600.0, outcome_window_s=60.0)


def told(drop: Callable[[int, Observation], bool]) -> Evidence:
    """All decisions, without the outcomes that are dropped."""
    evidence = fresh()
    for i, observation in enumerate(SOUND):
        evidence.decided(assignment_of(observation))
        if not drop(i, observation):
            evidence.observe(observation)
    evidence.settle(START_US + 10**12)
    return evidence


def restarted() -> Evidence:
    """A process that dies before the stage has shown enough; its successor is fed the log so far."""
    for _ in range(20):
        evidence = feed(fresh(), SOUND[:300])
    return evidence


def late() -> Evidence:
    """Nothing but decisions so far: all outcomes are under way."""
    evidence = fresh()
    for observation in SOUND:
        evidence.decided(assignment_of(observation))
    return evidence


def twice() -> Evidence:
    """60 decisions whose outcomes are sent 50 times each."""
    return feed(fresh(), [observation for observation in SOUND[:60] for _ in range(50)])


def same_units() -> Evidence:
    """A few units that decide all day."""
    return feed(
        fresh(),
        [
            changed(
                o,
                unit_id=SOUND[i % 40].unit_id,
                in_treatment=SOUND[i % 40].in_treatment,
                policy_probability=SOUND[i % 40].policy_probability,
                control_probability=SOUND[i % 40].control_probability,
            )
            for i, o in enumerate(SOUND)
        ],
    )


def both_sides() -> Evidence:
    """A hash that is not sticky: one unit comes back on the other side."""
    extra = next(o for o in SOUND if o.in_treatment)
    other = changed(extra, decision_id="x", in_treatment=False, policy_probability=0.0, control_probability=1.0)
    return feed(fresh(), [*SOUND, other])


def clock(jump: Callable[[int], int]) -> Evidence:
    """Ten minutes of traffic in one, by a clock that jumps."""
    observations = World(spacing_us=SECOND_US // 100).observations()
    return feed(
        fresh(),
        [
            changed(o, decided_us=o.decided_us + jump(i), joined_us=o.joined_us + jump(i))
            for i, o in enumerate(observations)
        ],
    )


def quality_of_one_side(*, policy: bool) -> Evidence:
    """An annotator who looks at one side only."""
    utilities: Mapping[str, float] = {"quality": 0.9}
    return feed(
        fresh(settings=QUALITY), [changed(o, utilities=utilities if o.in_treatment is policy else {}) for o in SOUND]
    )


SCENARIOS: dict[str, tuple[Callable[[], Evidence], str]] = {
    "no traffic": (fresh, "no data"),
    "decisions without outcomes": (late, "reward: 0 of 200 outcomes"),
    "little data": (lambda: feed(fresh(), SOUND[:300]), "of 200 outcomes"),
    "tiny n, perfect score": (
        lambda: feed(fresh(), list(World(n=40, policy_success=1.0, control_success=0.0).observations())),
        "of 200 outcomes",
    ),
    "restarts amid a stage": (restarted, "of 200 outcomes"),
    "inconclusive": (
        lambda: feed(fresh(), list(World(policy_success=0.6).observations())),
        "crosses −0.020",
    ),
    "control only": (lambda: only(policy=False), "reward: 0 of 200 outcomes"),
    "policy only": (lambda: only(policy=True), "reward: no outcome of the control"),
    "outcomes of the control only": (lambda: told(lambda _, o: o.in_treatment), "reward: 0 of 200 outcomes"),
    "outcomes of the policy only": (lambda: told(lambda _, o: not o.in_treatment), "reward: no outcome of the control"),
    "half of one side's outcomes lost": (
        lambda: told(lambda i, o: o.in_treatment and i % 2 == 0),
        "outcomes are of the policy's side, not 0.25",
    ),
    "sample ratio": (
        lambda: feed(fresh(), [o for i, o in enumerate(SOUND) if o.in_treatment or i % 2]),
        "units on the policy's side, not 0.25",
    ),
    "a unit on both sides": (both_sides, "exposure: 1 units were served by both sides"),
    "duplicate outcomes": (twice, "of 200 outcomes"),
    "the same few units": (same_units, "of 200 outcomes"),
    "clock jumps forwards": (lambda: clock(lambda i: (i > 1000) * 86_400 * SECOND_US), "of 600 s of traffic"),
    "clock jumps backwards": (lambda: clock(lambda i: -(i > 1000) * 86_400 * SECOND_US), "of 600 s of traffic"),
    "clock jumps forwards and back": (
        lambda: clock(lambda i: (1000 < i < 1100) * 86_400 * SECOND_US),
        "of 600 s of traffic",
    ),
    "silence instead of time": (
        lambda: feed(fresh(), list(World(spacing_us=SECOND_US // 100).observations())),
        "of 600 s of traffic",
    ),
    "outcomes of an earlier stage": (
        lambda: feed(fresh(visit=2), SOUND),
        "no data",
    ),
    "quality of the control only": (lambda: quality_of_one_side(policy=False), "quality: 0 of 200 outcomes"),
    "quality of the policy only": (lambda: quality_of_one_side(policy=True), "quality: no outcome of the control"),
    "nothing was measured": (
        lambda: feed(fresh(), list(World(assumed=frozenset({"reward", "completion"})).observations())),
        "reward: 0 of 200 outcomes",
    ),
    "share 0": (lambda: feed(fresh(share=0.0), SOUND), "share 0: nobody is compared"),
    "a share of next to nothing": (lambda: feed(fresh(share=1e-9), SOUND), "share 1e-09: nobody is compared"),
    "share 1": (lambda: feed(fresh(share=1.0), SOUND), "share 1: nobody is compared"),
}


def only(*, policy: bool) -> Evidence:
    return feed(fresh(), [o for o in SOUND if o.in_treatment is policy])


def test_sound_stage_is_promoted() -> None:
    action = step(STAGE, judge(feed(fresh(), SOUND)), PLAN, START_US)

    assert action is not None
    assert (action.kind, action.from_share, action.to_share, action.actor) == (Kind.PROMOTE, 0.25, 0.5, "automatic")


@pytest.mark.parametrize("name", SCENARIOS)
def test_fault_never_promotes(name: str) -> None:
    make, reason = SCENARIOS[name]

    evidence = make()
    verdict = judge(evidence)
    state = RolloutState(share=evidence.share, visit=evidence.visit)

    assert verdict.judgement is Judgement.HOLD
    assert any(reason in said for said in verdict.reasons), verdict.reasons
    assert step(state, verdict, evidence.settings, START_US) is None


@pytest.mark.parametrize(
    ("state", "settings"),
    [
        (RolloutState(share=0.25, visit=1, held=True), PLAN),
        (STAGE, RolloutSettings(automatic=False)),
        (STAGE, RolloutSettings(stages=(0.05, 0.25))),
        (RolloutState(share=0.25, visit=2), PLAN),
        (RolloutState(share=0.5, visit=1), PLAN),
        (apply(STAGE, rollback(STAGE, actor="ann", reason="", now_us=0)), PLAN),
    ],
    ids=["held", "not automatic", "last stage", "verdict of an earlier visit", "of another share", "rolled back"],
)
def test_pass_does_not_promote_everywhere(state: RolloutState, settings: RolloutSettings) -> None:
    assert step(state, judge(feed(fresh(), SOUND)), settings, START_US) is None


def test_after_a_rollback_the_automatic_actor_stays_at_zero_even_when_resumed() -> None:
    state = apply(STAGE, rollback(STAGE, actor="ann", reason="", now_us=0))
    state = apply(state, resume(state, actor="ann", reason="", now_us=0))
    forged = judge(feed(fresh(), SOUND))
    forged = type(forged)(state.visit, 0.0, Judgement.PASS, (), forged.rows)

    assert step(state, forged, PLAN, START_US) is None
