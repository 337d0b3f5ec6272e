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
        best = min(widths, key=lambda name: float(policies[name]["regret"]["mean"]))
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
    """Return how the default policy's regret stands to the best VW explorer's and to tuned LinUCB's.

    None where ours or the peer did not play.
    """
    peers = [entry.name for entry in ENTRIES if entry.group == "vw" and entry.name in policies]
    best_vw = min(peers, key=lambda name: float(policies[name]["regret"]["mean"]), default=None)
    return {"vw": against(policies, best_vw, VW_FACTOR), "lin_ucb": against(policies, TUNED, LIN_UCB_FACTOR)}


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
    versus: dict[str, list[dict[str, Any]]] = {
        peer: [each["comparison"][peer] for each in streams if each["comparison"] and each["comparison"][peer]]
        for peer in ("vw", "lin_ucb")
    }
    ratios = [each["ratio"] for each in versus["vw"]]
    return {
        "vw_mean_ratio": statistics.fmean(ratios) if ratios else None,
        "vw_mean_ratio_passed": statistics.fmean(ratios) <= MEAN_RATIO if ratios else None,
        **{f"{peer}_passed": sum(each["passed"] for each in won) for peer, won in versus.items()},
        **{f"{peer}_streams": len(won) for peer, won in versus.items()},
        "gap_closed": {family: family_gap(streams, family) for family in ("aslib", "wsdream")},
    }


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
