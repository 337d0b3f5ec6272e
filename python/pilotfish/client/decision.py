"""What a hub is told."""

from dataclasses import dataclass
from typing import Final

from pilotfish import v1

_SOURCES: Final[dict[int, str]] = {
    number: name.removeprefix("DECISION_SOURCE_").lower() for name, number in v1.DecisionSource.items()
}
_REASONS: Final[dict[int, str]] = {
    number: name.removeprefix("REASON_CODE_").lower() for name, number in v1.ReasonCode.items()
}
_MODES: Final[dict[int, str]] = {number: name.removeprefix("MODE_").lower() for name, number in v1.Mode.items()}


@dataclass(frozen=True, slots=True)
class RankedModule:
    """One legal candidate; figures as in the contract's message of this name."""

    module: str
    score: float
    uncertainty: float
    policy_probability: float
    probability: float


@dataclass(frozen=True, slots=True)
class RemovedModule:
    """One candidate that was not legal, and why."""

    module: str
    reason: str
    rule: str = ""
    """Which rule of the sidecar's configuration; empty: a rule of the request itself."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a decision came out as it did; fields as in the contract's message of this name."""

    ranking: tuple[RankedModule, ...]
    removed: tuple[RemovedModule, ...]
    baseline_module: str
    policy_share: float
    unit_in_policy_share: bool
    mode: str
    learned_count: int
    policy_evaluated: bool
    probing_modules: tuple[str, ...] = ()
    probe_share: float = 0.0
    policy_version: str = ""
    control_version: str = ""
    stage: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """Which module takes the task.

    Args:
        id: 32 hexadecimal digits; empty if the decision is on no log, and then no outcome can be joined to it.
        module: The chosen module; always legal for the request.
        propensity: Probability with which it was to be served, (0, 1].
        source: `policy`, `baseline`, `champion` (a model in the baseline's place), or `fallback`: a step down the
            ladder because something failed.
        reasons: Why, in the contract's words: `mode_shadow`, `sidecar_unavailable`. May be empty.
        model_version: The model that chose or would have chosen; empty if no sidecar was there.
        explanation: Present if asked for and if a sidecar answered.
    """

    id: str
    module: str
    propensity: float
    source: str
    reasons: tuple[str, ...] = ()
    model_version: str = ""
    explanation: Explanation | None = None

    @property
    def is_fallback(self) -> bool:
        """Whether something failed, in the sidecar or on the way to it."""
        return self.source == "fallback"


def read_decision(response: v1.SelectModuleResponse) -> Decision:
    """Return a sidecar's answer as the hub sees it."""
    decision = response.decision
    return Decision(
        decision.decision_id,
        decision.module,
        decision.propensity,
        _SOURCES.get(decision.source) or f"source_{decision.source}",
        tuple([reason_name(code) for code in decision.reasons]),
        decision.model_version,
        _read_explanation(response.explanation) if response.HasField("explanation") else None,
    )


def reason_name(code: int) -> str:
    """Return a reason code's name, or `reason_N` if a newer sidecar knows it and this client does not."""
    return _REASONS.get(code) or f"reason_{code}"


def _read_explanation(message: v1.Explanation) -> Explanation:
    return Explanation(
        ranking=tuple(
            RankedModule(entry.module, entry.score, entry.uncertainty, entry.policy_probability, entry.probability)
            for entry in message.ranking
        ),
        removed=tuple(RemovedModule(entry.module, reason_name(entry.reason), entry.rule) for entry in message.removed),
        baseline_module=message.baseline_module,
        policy_share=message.policy_share,
        unit_in_policy_share=message.unit_in_policy_share,
        mode=_MODES.get(message.mode, f"mode_{message.mode}"),
        learned_count=message.learned_count,
        policy_evaluated=message.policy_evaluated,
        probing_modules=tuple(message.probing_modules),
        probe_share=message.probe_share,
        policy_version=message.policy_version,
        control_version=message.control_version,
        stage=message.stage,
    )
