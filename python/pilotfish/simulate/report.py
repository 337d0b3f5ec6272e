"""What the demo prints when it is done."""

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from pilotfish.simulate.calibration import Calibration
from pilotfish.simulate.figures import Figures
from pilotfish.simulate.hub import USUAL_DEADLINE_MS
from pilotfish.simulate.table import ASSUMED_OUTPUT_TOKENS, CHARACTERS_PER_TOKEN, Table, TableRequest
from pilotfish.v1 import DecisionSource, ExplainDecisionResponse, ReasonCode, Signal

LABELS: Final = {
    "random": "random module",
    "best_fixed": "best fixed module, in hindsight",
    "baseline": "baseline heuristic",
    "policy": "Pilotfish, whole pass",
    "policy_last_third": "Pilotfish, last third",
    "oracle": "oracle: best module of each request",
}
"""What each figure is called, in the order of the report."""

QUERY_CHARACTERS: Final = 100


def print_report(console: Console, figures: Figures) -> None:
    """Print the comparison, then what the pass measured."""
    grid = RichTable(title="Mean per request", title_justify="left", box=box.SIMPLE_HEAD)
    grid.add_column("chooser")
    grid.add_column("quality", justify="right")
    grid.add_column("USD per 1,000", justify="right")
    for name, label in LABELS.items():
        style = "bold" if name.startswith("policy") else ""
        grid.add_row(label, f"{figures.quality[name]:.4f}", f"{figures.cost_usd[name] * 1e3:.3f}", style=style)
    console.print(grid)
    console.print(
        f"Best fixed module: {figures.best_fixed_module}. Baseline: what the heuristic would have served, by the log.\n"
        f"Cost: list price of {CHARACTERS_PER_TOKEN:g} characters per input token and an assumed "
        f"{ASSUMED_OUTPUT_TOKENS:g} output tokens.\n"
    )
    _print_calibration(console, figures.calibration)
    fallbacks = sum(figures.fallbacks.values())
    console.print(
        f"{figures.decisions} decisions, {figures.outcomes} outcomes acknowledged, "
        f"{figures.decisions_per_second:.0f} decisions/s with the modules' simulated work.\n"
        f"select_module as the hub sees it: p50 {figures.latency_ms['p50']:.2f} ms, "
        f"p99 {figures.latency_ms['p99']:.2f} ms; {figures.late} took longer than the client's default deadline of "
        f"{USUAL_DEADLINE_MS:g} ms.",
        highlight=False,
    )
    if fallbacks:
        reasons = "; ".join(f"{count} {reason}" for reason, count in sorted(figures.fallbacks.items()))
        console.print(f"[bold yellow]{fallbacks} fallback decisions[/], counted in every figure: {reasons}.\n")
    else:
        console.print("No fallback decision.\n", highlight=False)


def _print_calibration(console: Console, calibration: Calibration) -> None:
    grid = RichTable(title="Propensity calibration", title_justify="left", box=box.SIMPLE_HEAD)
    grid.add_column("candidates of probability")
    grid.add_column("expected to be served", justify="right")
    grid.add_column("served", justify="right")
    bounds = zip(calibration.edges, calibration.edges[1:], strict=False)
    for (low, high), expected, observed in zip(bounds, calibration.expected, calibration.observed, strict=True):
        grid.add_row(f"{low:g} to {high:g}", f"{expected:.1f}", str(observed))
    console.print(grid)
    console.print(
        f"chi-square {calibration.statistic:.2f} on {calibration.degrees_of_freedom} degrees of freedom, "
        f"p = {calibration.p_value:.3f}: sum of logged probabilities against times served, over all candidates of all "
        "decisions, weighed by the covariance that the probabilities imply.\n",
        highlight=False,
    )


def worth_explaining(logged: Sequence[ExplainDecisionResponse | None]) -> int | None:
    """Return the number of the last decision that went against the baseline, else of the last one on the log."""
    numbered = [(number, record) for number, record in enumerate(logged) if record is not None]
    different = [n for n, record in numbered if record.decision.module != record.explanation.baseline_module]
    last = different or [n for n, _ in numbered]
    return last[-1] if last else None


def print_explanation(
    console: Console, record: ExplainDecisionResponse, number: int, table: Table, request: TableRequest
) -> None:
    """Print one decision as the sidecar's log explains it, beside what the table knows and the sidecar cannot."""
    decision, explanation = record.decision, record.explanation
    source = DecisionSource.Name(decision.source).removeprefix("DECISION_SOURCE_").lower()
    reasons = "".join(f", {ReasonCode.Name(code).removeprefix('REASON_CODE_').lower()}" for code in decision.reasons)
    text = " ".join(request.query.split())
    excerpt = text if len(text) <= QUERY_CHARACTERS else text[:QUERY_CHARACTERS] + "…"
    console.print(f"[bold]One decision explained[/], number {number + 1}", highlight=False)
    console.print(f"task {record.task_type}: {excerpt}", markup=False, highlight=False)
    console.print(
        f"decision {decision.decision_id} by the {source}{reasons}; model {decision.model_version[:12]}, "
        f"which had learned from {explanation.learned_count} signal values",
        highlight=False,
    )
    qualities = {m.name: quality for m, quality in zip(table.modules, request.qualities, strict=True)}
    grid = RichTable(box=box.SIMPLE_HEAD)
    grid.add_column("module", no_wrap=True)
    for title in ("score", "±", "probability", "true quality"):
        grid.add_column(title, justify="right")
    grid.add_column("")
    for row in explanation.ranking:
        marks = [mark for mark, module in _marks(record) if module == row.module]
        grid.add_row(
            row.module,
            f"{row.score:.3f}",
            f"{row.uncertainty:.3f}",
            f"{row.probability:.4f}",
            f"{qualities[row.module]:.2f}",
            ", ".join(marks),
            style="bold" if row.module == decision.module else "",
        )
    console.print(grid)
    signals = ", ".join(
        f"{Signal.Name(signal.signal).removeprefix('SIGNAL_').lower()} {signal.value:.4g}" for signal in record.signals
    )
    console.print(f"What came of it: {signals or 'nothing was reported'}\n", highlight=False)


def _marks(record: ExplainDecisionResponse) -> tuple[tuple[str, str], ...]:
    return ("served", record.decision.module), ("baseline", record.explanation.baseline_module)
