"""`pilotfish explain`."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from pilotfish.cli.control import control, socket_option
from pilotfish.cli.output import as_json, lines, table
from pilotfish.v1 import (
    DecisionSource,
    ExplainDecisionRequest,
    ExplainDecisionResponse,
    Mode,
    PresentScore,
    ReasonCode,
    Signal,
)

BAR_WIDTH: Final = 24
SHOWN_CONTRIBUTIONS: Final = 10
SMALLEST_SHOWN: Final = 0.00005
"""Less would show as 0.0000."""


@click.command()
@click.argument("decision_id")
@socket_option("control.socket_path")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def explain(decision_id: str, socket: Path | None, *, json_: bool) -> None:
    """Explain a logged decision: what was chosen, how probable each module was and why, and what came after."""
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
                        (f"{row.policy_probability:.4f}", f"{row.score:.4f}", _deviation(row.uncertainty))
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
    if answer.present_scores:
        parts.append(_contributions(answer))
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


def _contributions(answer: ExplainDecisionResponse) -> str:
    """Return one block per module: its present score and a bar for each of its largest contributions."""
    decision, explanation = answer.decision, answer.explanation
    recorded = {row.module: row.score for row in explanation.ranking if explanation.policy_evaluated}
    # By the scores and not by version and count: a model may be trained anew on as many values as before.
    is_of_then = all(recorded.get(row.module) == row.score for row in answer.present_scores)
    blocks = [
        "What the scores are made of; they are still those of the decision."
        if is_of_then
        else "What the scores are made of by the model as it is now, "
        f"with {answer.present_learned_count} signal values learned."
    ]
    longest = max((abs(part.value) for row in answer.present_scores for part in row.contributions), default=0.0)
    for row in answer.present_scores:
        mark = " *" if row.module == decision.module else ""
        then = f"; {recorded[row.module]:.4f} at the decision" if row.module in recorded and not is_of_then else ""
        title = f"{row.module}{mark}: {row.score:.4f} ± {_deviation(row.uncertainty)}{then}"
        blocks.append("\n".join((title, *_bars(row, longest or 1.0))))
    return "\n\n".join(blocks)


def _deviation(uncertainty: float) -> str:
    """Return an uncertainty for people; the policy may do without."""
    return "-" if math.isnan(uncertainty) else f"{uncertainty:.4f}"


def _bars(row: PresentScore, longest: float) -> Iterator[str]:
    """Yield a line per contribution that shows in four decimals; what is left out is one sum at the end."""
    shown = [part for part in row.contributions[:SHOWN_CONTRIBUTIONS] if abs(part.value) >= SMALLEST_SHOWN]
    for part in shown:
        bar = ("+" if part.value > 0.0 else "-") * max(1, round(BAR_WIDTH * abs(part.value) / longest))
        # Colours are for terminals; click takes them out elsewhere, and the signs stay.
        colour = "green" if part.value > 0.0 else "red"
        yield f"  {part.value:+.4f}  {click.style(f'{bar:<{BAR_WIDTH}}', fg=colour)}  {part.part}"
    others = row.other_count + len(row.contributions) - len(shown)
    if others:
        left_out = sum(part.value for part in row.contributions[len(shown) :]) + row.other_contributions
        yield f"  {left_out:+.4f}  {'':<{BAR_WIDTH}}  {others} others"


def _plain(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()
