"""The story as one picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pilotfish.simulate.rollout.hub import Event
from pilotfish.simulate.rollout.story import Story

WINDOW = 300
"""Tasks of a moving mean."""


def write_story(path: Path, story: Story) -> None:
    """Draw quality, exposure and the dying module's share over time; the file's suffix says PNG, SVG or PDF."""
    figure = Figure(figsize=(9.0, 7.0), layout="constrained")
    quality, exposure, traffic = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 2))
    end_s = story.events[-1].at_s

    for label, colour, events in (
        ("served by Pilotfish", "tab:blue", story.events),
        ("by the policy's side", "tab:red", [event for event in story.events if event.source == "policy"]),
    ):
        times, means = _moving(events, [event.quality for event in events])
        quality.plot(times, means, color=colour, label=label, linewidth=1.2, alpha=0.9)
    times, means = _moving(story.events, [event.baseline_quality for event in story.events])
    quality.plot(times, means, color="tab:gray", linestyle="--", label="the hub's own choice", linewidth=1.2)
    quality.set_ylabel(f"quality, mean of {WINDOW}")
    quality.legend(loc="lower right", fontsize=8)

    steps = [(0.0, 0.05, "begin"), *story.changes, (end_s, story.changes[-1][1] if story.changes else 0.05, "")]
    exposure.step([at for at, _, _ in steps], [share for _, share, _ in steps], where="post", color="tab:red")
    for at, share, action in story.changes:
        exposure.annotate(f"{action} {share:.0%}", (at, share), fontsize=7, rotation=30, va="bottom")
    exposure.set_ylim(-0.05, 1.35)
    exposure.set_ylabel("the policy's share")

    if story.victim:
        is_victim = [float(event.module == story.victim) for event in story.events]
        times, means = _moving(story.events, is_victim)
        traffic.plot(times, means, color="tab:purple")
        _shade(traffic, story, end_s)
        traffic.set_ylabel(f"share of\n{story.victim}", fontsize=8)
    traffic.set_xlabel("seconds")
    figure.savefig(path, dpi=130)


def _moving(events: Sequence[Event], values: Sequence[float]) -> tuple[list[float], list[float]]:
    window = min(WINDOW, max(1, len(values) // 4))
    total, times, means = 0.0, [], []
    for place, value in enumerate(values):
        total += value - (values[place - window] if place >= window else 0.0)
        if place >= window - 1:
            times.append(events[place].at_s)
            means.append(total / window)
    return times, means


def _shade(axes: Axes, story: Story, end_s: float) -> None:
    colours = {"open": "tab:red", "half_open": "tab:orange"}
    ends = [*(at for at, _ in story.breaker[1:]), end_s]
    for (at, state), until in zip(story.breaker, ends, strict=True):
        if state in colours:
            axes.axvspan(at, until, color=colours[state], alpha=0.2, label=state.replace("_", " "))
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    if unique:
        axes.legend(unique.values(), unique.keys(), loc="upper right", fontsize=8, title="breaker")
