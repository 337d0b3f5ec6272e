"""Reports as Markdown tables, aligned so that a terminal shows them too."""

from collections.abc import Sequence
from typing import Any

from benches.quality.policies import OURS
from benches.quality.report import MEAN_RATIO, PEERS

PASSED = {True: "pass", False: "FAIL"}


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an aligned table: the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [
        "| "
        + " | ".join(f"{cell:{'<' if not place else '>'}{width}}" for place, (cell, width) in enumerate(cells))
        + " |"
        for cells in (list(zip(row, widths, strict=True)) for row in (header, *rows))
    ]
    rule = "|" + "|".join("-" * (width + 1) + (":" if place else "-") for place, width in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def figure(value: dict[str, float | None] | None, digits: int) -> str:
    """Return `mean ± error`; "" for None."""
    if value is None:
        return ""
    error = value["error"]
    return f"{value['mean']:.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")


def stream_table(stream: dict[str, Any]) -> str:
    """Return the table of one scenario, least regret first."""
    unit = stream["cost_unit"]
    header = ["policy", "regret/step", "reward", "last third", "of optimum", "decide µs", "learn µs", "Σ1/p ÷ ΣK"]
    if unit:
        header[2:2] = [f"mean {unit}", "gap closed"]
    rows = []
    ranked = sorted(stream["policies"].items(), key=lambda item: float(item[1]["regret"]["mean"]))
    for name, figures in ranked:
        label = f"{name} ({figures['setting'].partition(' ')[2]})" if "setting" in figures else name
        own = [figure(figures["cost"], 3), figure(figures["gap_closed"], 3)] if unit else []
        timed = [f"{figures[key]['mean']:.1f}" if figures[key] else "" for key in ("decide_us", "learn_us")]
        inverse = f"{figures['inverse_propensity']['mean']:.3f}" if figures["inverse_propensity"] else ""
        rows.append([
            label, figure(figures["regret"], 4), *own, figure(figures["reward"], 4),
            figure(figures["last_third_reward"], 4), figure(figures["last_third_share"], 3), *timed, inverse,
        ])  # fmt: skip
    return f"{stream['name']}\n{markdown(header, rows)}"


def summary_table(streams: Sequence[dict[str, Any]]) -> str:
    """Return the table of all comparisons of regret; "" if there is none."""
    rows = []
    for stream in streams:
        versus = stream["comparison"]
        if not versus or not any(versus.values()):
            continue
        cells = [stream["name"], figure(stream["policies"][OURS]["regret"], 4)]
        for peer in versus.values():
            told = (
                (f"{peer['regret']:.4f} {peer['peer']}", f"{peer['ratio']:.2f}", PASSED[peer["passed"]]) if peer else ()
            )
            cells += told or ("", "", "")
        rows.append(cells)
    header = ["stream", "ours", *(word for label in PEERS.values() for word in (label, "ratio", "bar"))]
    return markdown(header, rows) if rows else ""


def overall_lines(claims: dict[str, Any]) -> list[str]:
    """Return the claims over all streams, one a line."""
    lines = []
    for peer, label in PEERS.items():
        versus = claims[peer]
        if versus["streams"]:
            verdict = (
                "" if versus["mean_passed"] is None else f", must be <= {MEAN_RATIO}: {PASSED[versus['mean_passed']]}"
            )
            lines.append(f"mean ratio to {label}: {versus['mean_ratio']:.3f}{verdict}")
            lines.append(f"streams within the bar of {label}: {versus['passed']} of {versus['streams']}")
    for family, gap in claims["gap_closed"].items():
        if gap:
            ranked = sorted(gap["mean"].items(), key=lambda item: -float(item[1]))
            lines.append(f"{family}, mean gap closed: " + ", ".join(f"{name} {mean:.3f}" for name, mean in ranked))
            beaten = f"{gap['ours_above_both']} of {gap['scenarios']}"
            lines.append(f"{family}, ours above LinUCB and the best fixed module: {beaten}")
    lines.extend(
        f"{alarm['stream']}, {alarm['policy']}: propensities are not those of what was served, z {alarm['z']:.1f}"
        for alarm in claims["propensities"]
    )
    for bar in claims["bars"]:
        rule = f"{bar['sign']} {bar['bound']:.3f}"
        lines.append(f"{bar['stream']}, {bar['figure']} {bar['mean']:.3f}, must be {rule}: {PASSED[bar['passed']]}")
    return lines
