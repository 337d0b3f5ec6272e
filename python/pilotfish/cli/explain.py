"""`pilotfish explain`."""

from pathlib import Path

import click

from pilotfish.cli.control import control, socket_option
from pilotfish.cli.output import as_json, lines, table
from pilotfish.v1 import (
    DecisionSource,
    ExplainDecisionRequest,
    ExplainDecisionResponse,
    Mode,
    ReasonCode,
    Signal,
)


@click.command()
@click.argument("decision_id")
@socket_option("control.socket_path")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def explain(decision_id: str, socket: Path | None, *, json_: bool) -> None:
    """Explain a logged decision: what was chosen, how probable each module was, and what came after."""
    answer = control(
        socket, "ExplainDecision", ExplainDecisionRequest(decision_id=decision_id), ExplainDecisionResponse
    )
    click.echo(as_json(answer) if json_ else as_text(answer))


def as_text(answer: ExplainDecisionResponse) -> str:
    """Return an explanation for people."""
    decision, explanation = answer.decision, answer.explanation
    reasons = ", ".join(_plain(ReasonCode.Name(reason), "REASON_CODE_") for reason in decision.reasons)
    share = "inside" if explanation.unit_in_policy_share else "outside"
    parts = [
        lines(
            {
                "decision": decision.decision_id,
                "made": answer.decision_time.ToDatetime().isoformat(sep=" ", timespec="milliseconds") + " UTC",
                "task": answer.task_type,
                "module": decision.module,
                "propensity": f"{decision.propensity:.6g}",
                "source": _plain(DecisionSource.Name(decision.source), "DECISION_SOURCE_"),
                "reasons": reasons or "none",
                "baseline": explanation.baseline_module,
                "mode": f"{_plain(Mode.Name(explanation.mode), 'MODE_')}, unit {share} "
                f"the policy's share of {explanation.policy_share:g}",
                "model": f"{decision.model_version}, {explanation.learned_count} signal values learned",
            }
        ),
        table(
            ("MODULE", "PROBABILITY", "UNDER POLICY", "SCORE", "± 1 SD"),
            [
                (
                    f"{row.module} *" if row.module == decision.module else row.module,
                    f"{row.probability:.4f}",
                    *(
                        (f"{row.policy_probability:.4f}", f"{row.score:.4f}", f"{row.uncertainty:.4f}")
                        if explanation.policy_evaluated
                        else ("-", "-", "-")
                    ),
                )
                for row in explanation.ranking
            ],
        ),
    ]
    if explanation.removed:
        rows = [(row.module, _plain(ReasonCode.Name(row.reason), "REASON_CODE_")) for row in explanation.removed]
        parts.append(table(("REMOVED", "WHY"), rows))
    if answer.signals or answer.default_signals:
        signals = [
            (_plain(Signal.Name(value.signal), "SIGNAL_"), text)
            for value, text in (
                *((value, f"{value.value:g}{' or more' * value.lower_bound}") for value in answer.signals),
                *((value, f"{value.value:g} by default") for value in answer.default_signals),
            )
        ]
        parts.append(table(("SIGNAL", "VALUE"), signals))
    else:
        parts.append("No outcome has been recorded yet.")
    return "\n\n".join(parts)


def _plain(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()
