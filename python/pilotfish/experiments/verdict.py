"""What follows from the evidence of a stage: pass, hold or breach."""

from enum import StrEnum
from typing import Any

import msgspec

from pilotfish.experiments.evidence import Evidence
from pilotfish.experiments.metric import MetricEvidence


class Judgement(StrEnum):
    """What a stage has shown."""

    PASS = "pass"  # noqa: S105  the word of the domain
    """No guardrail is worse than its margin, with confidence, and all minima are met."""
    HOLD = "hold"
    """Neither: not enough, or not sound."""
    BREACH = "breach"
    """A guardrail is worse than its margin, with confidence."""


class Row(msgspec.Struct, frozen=True):
    """A guardrail: the numbers that decide are the numbers that are shown."""

    metric: str
    margin: float
    """Tolerated loss of utility, >= 0."""
    estimate: float
    """Mean of the observations, an estimate of V(policy) − V(control); 0 before the first."""
    lower: float
    upper: float
    """Interval of V(policy) − V(control), on average over the stage, that holds at all times at once."""
    judgement: Judgement
    """BREACH: upper < −margin. PASS: lower > −margin. HOLD: the interval holds −margin."""
    policy_count: int
    policy_measured: int
    """Outcomes of the policy's side that were measured, and not assumed."""
    control_count: int
    policy_mean: float | None
    control_mean: float | None
    """Plain means of each side, to look at."""


class Verdict(msgspec.Struct, frozen=True):
    """What a stage has shown so far, and why."""

    visit: int
    """The stage that it is about, as in `RolloutState`."""
    share: float
    judgement: Judgement
    reasons: tuple[str, ...]
    """What stands in the way of PASS, or which guardrails are breached; empty at PASS."""
    rows: tuple[Row, ...]
    """The guardrails in their order; empty at a share of 0 or 1."""

    def plain(self) -> dict[str, Any]:
        """Return it as plain data for the audit log."""
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return plain


def judge(evidence: Evidence) -> Verdict:
    """Return what the evidence shows.

    BREACH needs one guardrail; PASS needs all of them, the minima of outcomes and time, and a sound experiment. A bound
    that touches the margin has not crossed it.
    """
    rows = tuple(_row(metric) for metric in evidence.metrics)
    breaches = tuple(_crossing(row, "is below") for row in rows if row.judgement is Judgement.BREACH)
    obstacles = () if breaches else _obstacles(evidence, rows)
    judgement = Judgement.BREACH if breaches else Judgement.HOLD if obstacles else Judgement.PASS
    return Verdict(evidence.visit, evidence.share, judgement, breaches or obstacles, rows)


def _obstacles(evidence: Evidence, rows: tuple[Row, ...]) -> tuple[str, ...]:
    settings = evidence.settings
    if not rows:
        return (f"share {evidence.share:g}: nobody is compared, so there is no evidence",)
    if not evidence.n_decisions and not any(row.policy_count + row.control_count for row in rows):
        return ("no data",)
    obstacles = evidence.faults()
    for row in rows:
        if row.policy_measured < settings.min_outcomes:
            obstacles.append(f"{row.metric}: {row.policy_measured} of {settings.min_outcomes} outcomes")
        if not row.control_count:
            obstacles.append(f"{row.metric}: no outcome of the control")
        if row.judgement is not Judgement.PASS:
            obstacles.append(_crossing(row, "crosses"))
    if evidence.active_s < settings.min_stage_s:
        obstacles.append(f"{evidence.active_s:.0f} of {settings.min_stage_s:.0f} s of traffic")
    return tuple(obstacles)


def _row(metric: MetricEvidence) -> Row:
    margin = metric.margin
    estimate, lower, upper = metric.difference if metric.breach is None else metric.breach
    judgement = Judgement.BREACH if upper < -margin else Judgement.PASS if lower > -margin else Judgement.HOLD
    return Row(
        metric=metric.name,
        margin=margin,
        estimate=estimate,
        lower=lower,
        upper=upper,
        judgement=judgement,
        policy_count=metric.count[1],
        policy_measured=metric.measured,
        control_count=metric.count[0],
        policy_mean=metric.policy_mean,
        control_mean=metric.control_mean,
    )


def _crossing(row: Row, verb: str) -> str:
    return f"{row.metric}: {row.lower:+.3f} … {row.upper:+.3f} {verb} {-row.margin:+.3f}".replace("-", "−")
