"""The learning curve as a picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from pilotfish.simulate.figures import Figures, running_mean


def write_learning_curve(path: Path, figures: Figures, qualities: Sequence[float]) -> None:
    """Draw the running mean quality beside the table's yardsticks; the file's suffix says PNG, SVG or PDF.

    Args:
        path: Where to write.
        figures: The yardsticks.
        qualities: Quality of each request's chosen module, in the order in which the requests were sent.
    """
    figure = Figure(figsize=(7.0, 4.4), layout="constrained")
    axes = figure.add_subplot()
    window = max(len(qualities) // 12, 1)
    recent = [sum(qualities[end - window : end]) / window for end in range(window, len(qualities) + 1)]
    axes.plot(range(window, len(qualities) + 1), recent, color="tab:blue", alpha=0.35, label=f"last {window} requests")
    axes.plot(range(1, len(qualities) + 1), running_mean(qualities), color="tab:blue", label="Pilotfish, mean so far")
    yardsticks = (
        ("oracle", "oracle", "tab:green"),
        ("best_fixed", "best fixed, in hindsight", "tab:orange"),
        ("baseline", "baseline heuristic", "tab:purple"),
        ("random", "random", "tab:gray"),
    )
    for name, label, colour in yardsticks:
        level = figures.quality[name]
        axes.axhline(level, color=colour, linestyle="--", linewidth=1.0, label=f"{label} {level:.3f}")
    axes.set_xlim(0, len(qualities))
    axes.set_ylim(0.3, 0.9)
    axes.set_xlabel("requests")
    axes.set_ylabel("mean quality")
    axes.set_title(f"Nine language models, one pass, seed {figures.seed}", fontsize="medium")
    figure.legend(loc="outside lower center", fontsize="small", ncols=3, frameon=False)
    figure.savefig(path, dpi=130)
