"""From figures per permutation to what is claimed: means, errors, and the bars that the default policy must clear."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from benches.quality.policies import ENTRIES, LIN_UCB, OURS
from benches.quality.run import Result
from benches.quality.stream import Scenario

SLACK: Final = 0.005
"""Added to regrets before they are compared, so that a ratio of two tiny regrets does not decide."""

VW_FACTOR: Final = 1.15
LIN_UCB_FACTOR: Final = 1.5
MEAN_RATIO: Final = 0.85
COMPARED: Final = ("synthetic", "classification", "llm_routing")
"""Families in which regret is compared; the others have a measure of their own."""

PEERS: Final = {
    "vw": "best VW explorer on raw numbers",
    "vw_any": "best VW explorer",
    "lin_ucb": "tuned LinUCB",
}
"""What ours is compared with."""

BARS: Final = (
    ("synthetic/logistic", "regret", "<=", 0.050),
    ("synthetic/hub_modules", "last_third_share", ">=", 0.97),
    ("llm_routing/nine_llms", "reward", ">=", 0.635),
    ("llm_routing/nine_llms", "last_third_reward", ">=", 0.655),
    ("wsdream2/group_hard", "cost", "<=", 2.12),
)
"""What the default policy must reach by itself over a whole pass: stream, figure, bound."""

MAX_Z: Final = 6.0
"""Far out, because in a short stream a probability of `RARE` makes tails heavier than the normal distribution's."""

ASLIB_BARS: Final = {"gap_closed": 0.60, "above_both": 5 / 8}
"""On the mean over aslib's scenarios; `above_both`: the share of them where ours beats LinUCB and the best fixed."""

TUNED: Final = f"{LIN_UCB} tuned"
FIGURES: Final = ("regret", "reward", "last_third_reward", "last_third_share", "cost", "gap_closed")
MEASURED: Final = ("decide_us", "learn_us", "inverse_propensity", "inverse_propensity_error")


def stream_report(scenario: Scenario, results: Sequence[Result]) -> dict[str, Any]:
    """Return all that is known of one scenario: each policy's figures, and the comparison where it applies."""
    by_policy: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for result in results:
        by_policy[result.policy][result.permutation] = dict(result.figures)
    for played in by_policy.values():
        for permutation, figures in played.items():
            figures["gap_closed"] = gap_closed(
                figures, by_policy["random"][permutation], by_policy["oracle"][permutation]
            )
    policies = {name: mean_figures(list(played.values())) for name, played in by_policy.items()}
    widths = [name for name in policies if name.startswith(LIN_UCB)]
    if widths:
        judged = "cost" if policies[widths[0]]["cost"] else "regret"
        best = min(widths, key=lambda name: float(policies[name][judged]["mean"]))
        policies[TUNED] = {**policies[best], "setting": best}
    return {
        "name": scenario.name,
        "rounds": results[0].figures["rounds"],
        "family": scenario.family,
        "cost_unit": scenario.cost_unit,
        "policies": policies,
        "comparison": comparison(policies) if scenario.family in COMPARED else None,
    }


def gap_closed(figures: dict[str, Any], random: dict[str, Any], oracle: dict[str, Any]) -> float | None:
    """Return (random − policy) / (random − oracle) of the own cost; None without one, or without a gap."""
    if figures["cost"] is None or random["cost"] == oracle["cost"]:
        return None
    return float((random["cost"] - figures["cost"]) / (random["cost"] - oracle["cost"]))


def mean_figures(played: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and standard error over permutations of each figure (None without), and every permutation's own.

    The standard error of one permutation is unknown: None.
    """
    merged: dict[str, Any] = {"permutations": played}
    for name in (*FIGURES, *MEASURED):
        values = [figures[name] for figures in played if figures.get(name) is not None]
        merged[name] = {"mean": statistics.fmean(values), "error": standard_error(values)} if values else None
    return merged


def standard_error(values: Sequence[float]) -> float | None:
    """Return the standard error of the mean; None of fewer than two values."""
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None


def comparison(policies: dict[str, Any]) -> dict[str, Any]:
    """Return how the default policy's regret stands to its peers' least.

    `vw`: VW on the raw numbers; `vw_any`: on these or on standardised ones, the harder bar; `lin_ucb`: tuned LinUCB.
    None where ours or the peer did not play.
    """
    return {
        "vw": against(policies, best_of(policies, ("vw",)), VW_FACTOR),
        "vw_any": against(policies, best_of(policies, ("vw", "vw_std")), VW_FACTOR),
        "lin_ucb": against(policies, TUNED, LIN_UCB_FACTOR),
    }


def best_of(policies: dict[str, Any], groups: tuple[str, ...]) -> str | None:
    """Return the policy of these groups with the least regret; None if none of them played."""
    members = [entry.name for entry in ENTRIES if entry.group in groups and entry.name in policies]
    return min(members, key=lambda name: float(policies[name]["regret"]["mean"]), default=None)


def against(policies: dict[str, Any], peer: str | None, factor: float) -> dict[str, Any] | None:
    """Return the ratio (ours + 0.005) / (peer + 0.005), and whether ours <= factor · peer + 0.005."""
    if OURS not in policies or peer not in policies:
        return None
    ours, theirs = policies[OURS]["regret"]["mean"], policies[peer]["regret"]["mean"]
    passed = bool(ours <= factor * theirs + SLACK)
    return {
        "peer": policies[peer].get("setting", peer),
        "regret": theirs,
        "ratio": (ours + SLACK) / (theirs + SLACK),
        "passed": passed,
    }


def overall(streams: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the claims over all streams; None where nothing that they need was played."""
    return {
        **{peer: versus(streams, peer) for peer in PEERS},
        "gap_closed": {family: family_gap(streams, family) for family in ("aslib", "wsdream")},
        "propensities": propensity_alarms(streams),
        "bars": [*absolute_bars(streams), *family_bars(streams)],
    }


def versus(streams: Sequence[dict[str, Any]], peer: str) -> dict[str, Any]:
    """Return how many streams are within the bar of a peer, and the mean ratio, which has a bar for VW only."""
    won = [each["comparison"][peer] for each in streams if each["comparison"] and each["comparison"][peer]]
    mean = statistics.fmean(each["ratio"] for each in won) if won else None
    return {
        "streams": len(won),
        "passed": sum(each["passed"] for each in won),
        "mean_ratio": mean,
        "mean_passed": None if mean is None or peer == "lin_ucb" else mean <= MEAN_RATIO,
    }


def absolute_bars(streams: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how the default policy stands to each bar of `BARS` whose stream was played."""
    told = []
    for name, figure, sign, bound in BARS:
        for stream in streams:
            if stream["name"] == name and OURS in stream["policies"]:
                mean = stream["policies"][OURS][figure]["mean"]
                passed = bool(mean <= bound if sign == "<=" else mean >= bound)
                told.append(
                    {"stream": name, "figure": figure, "mean": mean, "sign": sign, "bound": bound, "passed": passed}
                )
    return told


def propensity_alarms(streams: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return where Σ 1/p is further from the support than chance explains: |z| > 6 over all permutations together."""
    alarms = []
    for stream in streams:
        for name, policy in stream["policies"].items():
            played = [each for each in policy["permutations"] if each.get("inverse_propensity_error")]
            variance = sum(each["inverse_propensity_error"] ** 2 for each in played)
            z = sum(each["inverse_propensity"] - 1.0 for each in played) / variance**0.5 if variance else 0.0
            if abs(z) > MAX_Z:
                alarms.append({"stream": stream["name"], "policy": name, "z": z})
    return alarms


def family_bars(streams: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how the default policy stands to the bars on aslib: its mean gap closed, and how often it beats both."""
    gap = family_gap(streams, "aslib")
    if gap is None or OURS not in gap["mean"]:
        return []
    figures = {"gap_closed": gap["mean"][OURS], "above_both": gap["ours_above_both"] / gap["scenarios"]}
    return [
        {
            "stream": "aslib",
            "figure": name,
            "mean": figures[name],
            "sign": ">=",
            "bound": bound,
            "passed": figures[name] >= bound,
        }
        for name, bound in ASLIB_BARS.items()
    ]


def family_gap(streams: Sequence[dict[str, Any]], family: str) -> dict[str, Any] | None:
    """Return each policy's mean gap closed over a family, and how often ours beats LinUCB and the best fixed module."""
    members = [each["policies"] for each in streams if each["family"] == family]
    if not members:
        return None
    names = [name for name in members[0] if all(name in policies for policies in members)]
    means = {name: statistics.fmean(policies[name]["gap_closed"]["mean"] for policies in members) for name in names}
    rivals = [name for name in (TUNED, "best fixed") if name in names]
    above = [
        policies[OURS]["gap_closed"]["mean"] > max(policies[rival]["gap_closed"]["mean"] for rival in rivals)
        for policies in members
        if OURS in policies
    ]
    return {"mean": means, "ours_above_both": sum(above), "scenarios": len(members)}
