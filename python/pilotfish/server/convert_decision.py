"""From decisions to messages: what was decided, why, and what the present model makes of it."""

from collections.abc import Sequence

from pilotfish.engine.deciding import Decision
from pilotfish.engine.explaining import PresentScore, read_uncertainties
from pilotfish.engine.sides import mixture, sides_of
from pilotfish.experience.exposures import LIVE
from pilotfish.experience.record import DecisionRecord
from pilotfish.v1 import control_service_pb2, decision_service_pb2, policy_pb2


def response_to(decision: Decision, target: decision_service_pb2.SelectModuleResponse, *, explain: bool) -> None:
    """Fill in the answer to a request."""
    decision_to(decision, target.decision)
    if explain:
        explanation_to(decision.record, target.explanation)


def decision_to(decision: Decision, target: policy_pb2.Decision) -> None:
    """Fill in a decision."""
    target.decision_id = decision.decision_id
    target.module = decision.module
    target.propensity = decision.propensity
    target.source = int(decision.source)  # type: ignore[assignment]  # the numbers are the proto's, a contract test says so
    if decision.reasons:
        target.reasons.extend(decision.reasons)  # type: ignore[arg-type]
    target.model_version = decision.model_version


def explanation_to(record: DecisionRecord, target: policy_pb2.Explanation) -> None:
    """Fill in what the record says of a decision, the most probable module first."""
    candidates = record.request.candidates
    policy: Sequence[float]
    scores: Sequence[float]
    uncertainties: Sequence[float]
    policy = scores = uncertainties = (0.0,) * len(record.legal)
    if record.policy_pmf:
        policy, scores = memoryview(record.policy_pmf).cast("d"), memoryview(record.scores).cast("d")
        uncertainties = read_uncertainties(record.uncertainties, len(scores))
    sides = sides_of(record)
    rows = [
        policy_pb2.RankedModule(
            module=candidates[index].name,
            score=scores[i],
            uncertainty=uncertainties[i],
            policy_probability=policy[i],
            probability=mixture(*sides, record.policy_share, i),
        )
        for i, index in enumerate(record.legal)
    ]
    target.ranking.extend(sorted(rows, key=lambda row: (-row.probability, -row.policy_probability, -row.score)))
    target.removed.extend(
        policy_pb2.RemovedModule(
            module=candidates[removal.index].name,
            reason=removal.reason,  # type: ignore[arg-type]
            rule=removal.rule,
        )
        for removal in record.removed
    )
    target.baseline_module = candidates[record.baseline].name
    target.policy_share = record.policy_share
    target.unit_in_policy_share = record.in_policy_share
    target.mode = record.mode  # type: ignore[assignment]
    target.learned_count = max(record.learned_count, 0)
    target.policy_evaluated = bool(record.policy_pmf)
    target.probing_modules.extend(candidates[index].name for index in record.probing)
    target.probe_share = record.probe_share
    target.policy_version = record.kept
    target.control_version = "" if record.control is None else record.control.kept or LIVE
    target.stage = record.stage


def present_score_to(present: PresentScore, target: control_service_pb2.PresentScore) -> None:
    """Fill in what the present model makes of one candidate."""
    target.module = present.module
    target.score = present.score
    target.uncertainty = present.uncertainty
    target.policy_probability = present.policy_probability
    for part, value in present.contributions:
        target.contributions.add(part=part, value=value)
    target.other_contributions = present.other_contributions
    target.other_count = present.other_count
