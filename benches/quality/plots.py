"""Learning curves: one picture per scenario, regret over rounds with intervals over permutations."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from benches.quality.extras import installed
from benches.quality.report import TUNED

SHOWN_VW: Final = 3
COLORS: Final = {"pilotfish": "#0b5fa5", "pilotfish floor 0": "#7fb2dc", TUNED: "#c2571a", "best fixed": "#999999"}
VW_COLORS: Final = ("#2f7d4f", "#7d5ba6", "#a6894b")


def lines(stream: dict[str, Any]) -> dict[str, str]:
    """Return the policies that are drawn, with colours: ours, tuned LinUCB, best fixed, the best three of VW."""
    policies = stream["policies"]
    explorers = [name for name in policies if name.startswith("VW")]
    peers = sorted(explorers, key=lambda name: float(policies[name]["regret"]["mean"]))
    known = {name: color for name, color in COLORS.items() if name in policies}
    return {**known, **dict(zip(peers[:SHOWN_VW], VW_COLORS, strict=False))}


def running_mean(curves: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the mean of all regret so far at the end of each part; rows are permutations."""
    return np.asarray(np.cumsum(curves, axis=1) / np.arange(1, curves.shape[1] + 1))


def spread_labels(heights: list[float], gap: float) -> list[float]:
    """Return heights moved up just so far that neighbours are `gap` apart, in the order given."""
    placed = dict.fromkeys(range(len(heights)), 0.0)
    last = -float("inf")
    for place in sorted(placed, key=lambda index: heights[index]):
        last = placed[place] = max(heights[place], last + gap)
    return list(placed.values())


def draw(streams: list[dict[str, Any]], folder: Path) -> None:
    """Write `folder/<scenario>.png` for each scenario."""
    installed("matplotlib").use("Agg")
    plt = installed("matplotlib.pyplot")
    folder.mkdir(parents=True, exist_ok=True)
    for stream in streams:
        figure, axes = plt.subplots(figsize=(8.0, 4.5), layout="constrained")
        shown = lines(stream)
        curves = {name: running_mean(permutation_curves(stream, name)) for name in shown}
        for name, color in shown.items():
            mean = curves[name].mean(axis=0)
            error = curves[name].std(axis=0, ddof=1) / len(curves[name]) ** 0.5 if len(curves[name]) > 1 else 0 * mean
            at = (np.arange(len(mean)) + 1) / len(mean) * stream["rounds"]
            axes.plot(at, mean, color=color, linewidth=2.2 if name == "pilotfish" else 1.3)
            axes.fill_between(at, mean - 1.96 * error, mean + 1.96 * error, color=color, alpha=0.15, linewidth=0)
        top = max(float(curve.mean(axis=0).max()) for curve in curves.values())
        ends = [float(curve.mean(axis=0)[-1]) for curve in curves.values()]
        for (name, color), height in zip(shown.items(), spread_labels(ends, 0.05 * top), strict=True):
            axes.annotate(name, (stream["rounds"] * 1.01, height), color=color, va="center", annotation_clip=False)
        axes.set(xlabel="rounds", ylabel="mean regret so far", xlim=(0, stream["rounds"]), ylim=(0, top * 1.05))
        axes.set_title(stream["name"], loc="left")
        axes.grid(visible=True, color="#e6e6e6", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(folder / f"{stream['name'].replace('/', '-')}.png", dpi=120)
        plt.close(figure)


def permutation_curves(stream: dict[str, Any], name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return one policy's regret per part of the stream, float64 [permutations, parts]."""
    policy = stream["policies"][name]
    return np.array([figures["curve"] for figures in policy["permutations"]], dtype=np.float64)
