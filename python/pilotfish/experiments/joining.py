"""From the log's decisions and outcomes to what the rollout counts."""

from collections.abc import Sequence

from pilotfish.codes import Reason, Signal
from pilotfish.engine.sides import sides_of
from pilotfish.experience.record import DecisionRecord, LoggedDecision
from pilotfish.experience.signals import Kind, SignalRow
from pilotfish.experiments.observation import Assignment, Observation
from pilotfish.rewards import RewardFunction

_UNASSIGNED = {Reason.HELD_BACK, Reason.SAFE_DEFAULT}


def is_assigned(record: DecisionRecord) -> bool:
    """Return whether the unit's hash put this decision on a side: nothing else had decided it before."""
    return not _UNASSIGNED.intersection(record.reasons)


def was_policy(record: DecisionRecord) -> bool:
    """Return whether the policy served a decision."""
    return record.in_policy_share and bool(record.policy_pmf)


def assignment_of(decision_id: bytes, record: DecisionRecord) -> Assignment:
    """Return a decision as the rollout counts it."""
    return Assignment(
        visit=record.stage,
        decision_id=decision_id.hex(),
        unit_id=record.request.unit_id,
        decided_us=record.asked_us,
        in_treatment=record.in_policy_share,
    )


def observation_of(decision: LoggedDecision, rows: Sequence[SignalRow], rewards: RewardFunction) -> Observation:
    """Return the values of one call with the probabilities of both sides.

    The reward of a call is Σ w u / Σ w over the signals that it brings, under the decision's weights.

    Args:
        decision: Whose values they are.
        rows: At least one, no signal twice.
        rewards: From raw values to utilities.
    """
    record = decision.record
    utilities: dict[str, float] = {}
    assumed: set[str] = set()
    total = reward = 0.0
    for row in rows:
        signal = Signal(row.signal)
        name = signal.name.lower()
        utilities[name] = rewards.utility(signal, row.value, censored=row.kind is Kind.LOWER_BOUND)
        if row.kind is not Kind.MEASURED:
            assumed.add(name)
        weight = record.weights[row.signal - 1]
        total += weight
        reward += weight * utilities[name]
    if total > 0.0:
        utilities["reward"] = min(reward / total, 1.0)
        if len(assumed) == len(rows):
            assumed.add("reward")
    names = [record.request.candidates[index].name for index in record.legal]
    place = names.index(decision.module)
    policy, control = sides_of(record)
    return Observation(
        visit=record.stage,
        decision_id=decision.decision_id.hex(),
        unit_id=record.request.unit_id,
        decided_us=record.asked_us,
        in_treatment=record.in_policy_share,
        joined_us=rows[0].time_us,
        policy_probability=min(policy.probability(place), 1.0),
        control_probability=min(control.probability(place), 1.0),
        utilities=utilities,
        assumed=assumed,
    )
