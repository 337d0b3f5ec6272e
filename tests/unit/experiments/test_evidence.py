import math
import random
from itertools import permutations

import pytest

from pilotfish.exceptions import InvalidInputError
from pilotfish.experiments.evidence import Evidence
from pilotfish.experiments.observation import Observation
from pilotfish.experiments.sequences import CORE, opening_length
from pilotfish.experiments.settings import RolloutSettings
from pilotfish.experiments.units import Units
from tests.unit.experiments.traffic import PLAN, SECOND_US, START_US, World, assignment_of, changed, feed, fresh

SOUND = list(World(n=400).observations())


class Recorder:
    """A sequence that keeps what it is given."""

    def __init__(self, *setting: float | None) -> None:
        self.setting = setting
        self.values: list[float] = []

    @property
    def count(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return math.fsum(self.values) / len(self.values)

    def observe(self, x: float) -> None:
        self.values.append(x)

    def interval(self) -> tuple[float, float]:
        return (-1.0, 1.0)


def recording(share: float, settings: RolloutSettings = PLAN) -> tuple[Evidence, list[Recorder]]:
    """Evidence whose opening is over, and its sequences by guardrail; the opening agreed, and says nothing of sides."""
    made: list[Recorder] = []

    def make(*setting: float | None) -> Recorder:
        made.append(Recorder(*setting))
        return made[-1]

    evidence = Evidence(1, share, settings, CORE._replace(sequence=make))
    agreed = changed(SOUND[0], decided_us=START_US - SECOND_US, policy_probability=0.5, control_probability=0.5)
    names = [f"opening-{i}" for i in range(opening_length(share))]
    return feed(evidence, [changed(agreed, decision_id=name, unit_id=name) for name in names]), made


def state_of(evidence: Evidence) -> list[object]:
    return [(m.difference, m.count, m.measured, m.ratio.test.count) for m in evidence.metrics]


def test_range_and_level_of_each_sequence() -> None:
    _, made = recording(0.05)

    assert [sequence.setting[:5] for sequence in made] == [pytest.approx((-20.0, 20.0, -1.0, 1.0, 0.02))] * 2


def test_outcomes_of_the_opening_tell_nothing_of_the_difference() -> None:
    length = opening_length(0.25)
    evidence = feed(fresh(0.25), SOUND[:length])

    assert [metric.difference for metric in evidence.metrics] == [(0.0, -1.0, 1.0)] * 2
    assert [sum(metric.count) for metric in evidence.metrics] == [length] * 2
    feed(evidence, SOUND[length : length + 1])
    assert [metric.difference[0] != 0.0 for metric in evidence.metrics] == [True] * 2


def test_first_observations_by_hand() -> None:
    evidence, (reward, _) = recording(0.25)
    policy = changed(
        SOUND[0], in_treatment=True, policy_probability=0.5, control_probability=0.25, utilities={"reward": 1.0}
    )
    control = changed(policy, decision_id="b", unit_id="b", in_treatment=False)

    feed(evidence, [policy, control])

    contrast = 0.25 / (0.25 * 0.5 + 0.75 * 0.25)
    centre = (0.5 + contrast**2) / (1.0 + contrast**2)
    assert reward.values == pytest.approx([0.5 * contrast, (1.0 - centre) * contrast], rel=1e-15)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_mean_observation_is_the_difference_of_values(share: float) -> None:
    """E[X | past] over side and action, summed exactly, whatever was seen before."""
    policy, control, values = (0.7, 0.2, 0.1), (0.1, 0.3, 0.6), (0.9, 0.4, 0.1)
    for history in permutations(range(3), 2):
        expected = 0.0
        for action in range(3):
            evidence, (reward, _) = recording(share)
            told = [
                changed(
                    SOUND[i],
                    policy_probability=policy[a],
                    control_probability=control[a],
                    utilities={"reward": values[a]},
                )
                for i, a in enumerate([*history, action])
            ]
            feed(evidence, told)
            expected += (share * policy[action] + (1.0 - share) * control[action]) * reward.values[-1]
        truth = sum((p - c) * v for p, c, v in zip(policy, control, values, strict=True))
        assert expected == pytest.approx(truth, abs=1e-12)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5, 0.95])
def test_observations_stay_in_their_range(share: float) -> None:
    evidence, made = recording(share)
    generator = random.Random(7)
    feed(
        evidence,
        [
            changed(
                o,
                policy_probability=float(o.in_treatment),
                control_probability=float(not o.in_treatment),
                utilities={"reward": float(generator.random() < 0.5)},
            )
            for o in World(share=share, n=500).observations()
        ],
    )

    bound = max(1.0 / share, 1.0 / (1.0 - share))
    assert all(abs(value) <= bound for value in made[0].values)
    assert made[0].count == 500


def test_only_the_first_outcome_of_a_unit_counts() -> None:
    once = state_of(feed(fresh(), SOUND))
    again = [changed(o, decision_id=o.decision_id + "x", utilities={"reward": 0.5, "completion": 0.5}) for o in SOUND]

    assert state_of(feed(fresh(), [*SOUND, *again])) == once


def test_parts_of_an_outcome_count_for_their_metrics() -> None:
    parts = [changed(o, utilities={name: o.utilities[name]}) for o in SOUND for name in ("reward", "completion")]

    assert state_of(feed(fresh(), parts)) == state_of(feed(fresh(), SOUND))


def test_decisions_without_a_unit_are_units_of_their_own() -> None:
    assert state_of(feed(fresh(), [changed(o, unit_id="") for o in SOUND])) == state_of(feed(fresh(), SOUND))


def test_unit_is_not_mixed_up_with_a_decision_of_that_name() -> None:
    evidence = feed(fresh(), [changed(SOUND[0], unit_id="a"), changed(SOUND[0], unit_id="", decision_id="a")])

    assert sum(evidence.metrics[0].count) == 2


def test_outcomes_are_judged_in_the_order_of_decisions() -> None:
    straight, shuffled = fresh(), fresh()
    delayed = [
        changed(o, joined_us=o.decided_us + 400_000 * (i % 3))
        for i, o in enumerate(changed(o, decided_us=START_US + i * 100_000) for i, o in enumerate(SOUND))
    ]
    for evidence, order in ((straight, delayed), (shuffled, sorted(delayed, key=lambda o: o.joined_us))):
        for observation in order:
            evidence.observe(observation)
        evidence.settle(START_US + 10**12)

    assert state_of(shuffled) == state_of(straight)


def test_looking_in_between_changes_nothing_so_a_restart_is_exact() -> None:
    late = [changed(o, joined_us=o.joined_us + (i % 7 == 0) * 30 * SECOND_US) for i, o in enumerate(SOUND)]
    late.sort(key=lambda o: o.joined_us)
    watched = fresh()
    for observation, following in zip(late, [*late[1:], late[-1]], strict=True):
        watched.observe(observation)
        for now_us in range(observation.joined_us, following.joined_us, SECOND_US // 3):
            watched.settle(now_us)
    watched.settle(START_US + 10**12)
    fed = fresh()
    for observation in late:
        fed.observe(observation)
    fed.settle(START_US + 10**12)

    assert state_of(watched) == state_of(fed)


def test_slow_side_is_not_a_missing_one() -> None:
    """The policy's outcomes take 40 s; at the start of the stage there are none of them for long."""
    slow = sorted(
        (
            changed(o, joined_us=o.decided_us + o.in_treatment * 40 * SECOND_US)
            for o in World(spacing_us=SECOND_US // 10).observations()
        ),
        key=lambda o: o.joined_us,
    )
    evidence = fresh()
    for observation in slow:
        evidence.observe(observation)
        assert evidence.faults() == []


def test_outcome_after_its_window_is_a_missing_one() -> None:
    evidence = feed(
        fresh(), [changed(o, joined_us=o.decided_us + o.in_treatment * 61 * SECOND_US) for o in World().observations()]
    )

    assert [fault.split(":")[0] for fault in evidence.faults()] == ["reward", "completion"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"utilities": {"reward": math.nan}}, "utilities.reward == nan, must be in [0, 1]"),
        ({"utilities": {"reward": 1.1}}, "utilities.reward == 1.1, must be in [0, 1]"),
        ({"utilities": {"reward": -math.inf}}, "utilities.reward == -inf, must be in [0, 1]"),
        ({"policy_probability": math.nan}, "policy_probability == nan, must be in [0, 1]"),
        ({"control_probability": 1.5}, "control_probability == 1.5, must be in [0, 1]"),
        (
            {"in_treatment": True, "policy_probability": 0.0},
            "policy_probability == 0, must be > 0 for the side that served",
        ),
        (
            {"in_treatment": False, "control_probability": 0.0},
            "control_probability == 0, must be > 0 for the side that served",
        ),
    ],
)
def test_impossible_observation_is_refused(changes: dict[str, object], message: str) -> None:
    sound: Observation = changed(SOUND[0], policy_probability=0.5, control_probability=0.5)

    with pytest.raises(InvalidInputError) as raised:
        changed(sound, **changes)

    assert str(raised.value) == message


def test_unknown_metric_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"utilities\.speed is unknown, must be one of reward, completion"):
        changed(SOUND[0], utilities={"speed": 1.0})


def test_foreign_decisions_are_counted_and_nothing_else() -> None:
    evidence = feed(fresh(visit=2), SOUND)

    assert (evidence.n_foreign, evidence.n_decisions, evidence.n_waiting) == (2 * len(SOUND), 0, 0)
    assert sum(evidence.metrics[0].count) == 0


def test_units_beyond_memory_are_sampled_and_never_look_new() -> None:
    units = Units(max_units=100)
    names = [f"u{i}" for i in range(5000)]
    first = {name for name in names if units.flag(name, 1) == 0}

    assert len(units) <= 100
    assert all(units.flag(name, 1) != 0 for name in names), "a unit that was seen looks new"
    assert units.sampled_share == 2.0 ** -round(-math.log2(units.sampled_share))
    assert len(first) > 200, "after memory is full, new units still count, though fewer"


def test_evidence_beyond_memory_has_no_unit_twice() -> None:
    evidence = fresh(max_units=64)
    feed(evidence, SOUND)
    before = state_of(evidence)
    feed(evidence, [changed(o, decision_id=o.decision_id + "x") for o in SOUND])

    assert state_of(evidence) == before
    assert evidence.sampled_share < 1.0
    assert evidence.faults() == []


def test_time_of_traffic_is_capped_gap_by_gap() -> None:
    evidence = fresh()
    for i, at_s in enumerate([0, 10, 9, 20, 100_000, 100_001, 50, 51]):
        evidence.decided(assignment_of(changed(SOUND[i], decided_us=START_US + at_s * SECOND_US)))

    assert evidence.active_s == 10 + 10 + 60 + 1 + 1


def test_ratio_of_units_counts_each_unit_once() -> None:
    evidence = fresh()
    for i, observation in enumerate(SOUND * 3):
        evidence.decided(assignment_of(changed(observation, decision_id=str(i))))

    assert evidence.unit_ratio is not None
    assert evidence.unit_ratio.count == len(SOUND)
    assert evidence.unit_ratio.treatment_count == sum(o.in_treatment for o in SOUND)


def test_clock_that_goes_back_keeps_no_outcome_waiting() -> None:
    evidence = fresh()
    evidence.settle(START_US + 10 * SECOND_US)
    evidence.observe(changed(SOUND[0], decided_us=START_US, joined_us=START_US + SECOND_US // 2))
    evidence.settle(START_US + SECOND_US // 2)

    assert evidence.n_waiting == 0
