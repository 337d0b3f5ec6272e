"""Plays one policy on one permutation of a stream, and the references that need no playing."""

import time
from typing import Any, NamedTuple

import numpy as np

from benches.quality.policy import RARE, Decision, Policy
from benches.quality.stream import Floats, Stream

CURVE_POINTS = 50
REFERENCES = ("random", "best fixed", "oracle")


class Track(NamedTuple):
    """What one policy earned, per round: expected reward, best possible reward, and own cost (empty without one)."""

    earned: Floats
    best: Floats
    cost: Floats


def summary(track: Track) -> dict[str, Any]:
    """Return the figures of a track.

    `regret`: mean of best − earned. `reward`: mean earned. `last_third_reward`: the same over the last third.
    `last_third_share`: what was earned there over what could be. `cost`: mean own cost, None without one. `curve`: mean
    regret in each of 50 even parts of the stream (fewer in a shorter one).
    """
    regret, last = track.best - track.earned, slice(len(track.earned) * 2 // 3, None)
    return {
        "rounds": len(regret),
        "regret": float(regret.mean()),
        "reward": float(track.earned.mean()),
        "last_third_reward": float(track.earned[last].mean()),
        "last_third_share": float(track.earned[last].sum() / max(track.best[last].sum(), 1e-12)),
        "cost": float(track.cost.mean()) if track.cost.size else None,
        "curve": [float(part.mean()) for part in np.array_split(regret, min(CURVE_POINTS, len(regret)))],
    }


def references(stream: Stream) -> dict[str, dict[str, Any]]:
    """Return the figures of random choice (its expectation), of the best fixed module and of the oracle.

    The best fixed module is chosen in hindsight, by own cost where there is one; where it is not offered, the offered
    module with the best mean over the rounds that offered it.
    """
    sums: dict[str, Floats] = {}
    for step in stream.steps():
        value = -step.cost if step.cost.size else step.expected
        for arm, gained in zip(step.round.arms, value.tolist(), strict=True):
            sums.setdefault(arm.name, np.zeros(2))[:] += (gained, 1.0)
    mean = {name: float(total / count) for name, (total, count) in sums.items()}
    earned, costs = np.zeros((len(REFERENCES), stream.length)), np.zeros((len(REFERENCES), stream.length))
    has_cost = False
    for row, step in enumerate(stream.steps()):
        fixed = max(range(len(step.round.arms)), key=lambda place: mean[step.round.arms[place].name])
        earned[:, row] = step.expected.mean(), step.expected[fixed], step.expected.max()
        if step.cost.size:
            has_cost = True
            costs[:, row] = step.cost.mean(), step.cost[fixed], step.cost.min()
    return {
        name: summary(Track(earned[place], earned[2], costs[place] if has_cost else np.empty(0)))
        for place, name in enumerate(REFERENCES)
    }


def play(stream: Stream, policy: Policy) -> dict[str, Any]:
    """Return the figures of one pass.

    Beyond `summary`: `decide_us` and `learn_us`, medians per call; `inverse_propensity`, the sum of 1 / propensity
    over the number of modules that could be drawn, which is about 1 if propensities are exact, and its standard error;
    None for a policy that draws nothing.
    """
    earned, best = np.empty(stream.length), np.empty(stream.length)
    decide_ns, learn_ns = np.empty(stream.length), np.empty(stream.length)
    costs: list[float] = []
    drawn: list[Decision] = []
    for row, step in enumerate(stream.steps()):
        start = time.perf_counter_ns()
        decision = policy.decide(step.round)
        decided = time.perf_counter_ns()
        outcome = step.outcome(decision.index)
        told = time.perf_counter_ns()
        policy.learn(step.round, decision, outcome)
        decide_ns[row], learn_ns[row] = decided - start, time.perf_counter_ns() - told
        earned[row], best[row] = step.expected[decision.index], step.expected.max()
        if step.cost.size:
            costs.append(float(step.cost[decision.index]))
        if decision.propensity is not None:
            drawn.append(decision)
    inverse, error = inverse_propensity(drawn)
    return {
        **summary(Track(earned, best, np.array(costs))),
        "decide_us": float(np.median(decide_ns)) / 1e3,
        "learn_us": float(np.median(learn_ns)) / 1e3,
        "inverse_propensity": inverse,
        "inverse_propensity_error": error,
    }


def inverse_propensity(drawn: list[Decision]) -> tuple[float | None, float | None]:
    """Return Σ 1/p over Σ support, and its standard error; None twice where nothing was drawn.

    The mean of 1/p over a draw, taken as 0 where p < `RARE`, is Σ p · 1/p over the S modules with p >= `RARE`: S,
    whatever the pmf. Its variance is Σ 1/p over them − S². It is taken from the pmf, because a sample without its rare
    draws would claim to be sure.
    """
    support = sum(decision.support for decision in drawn)
    if not support:
        return None, None
    served = [decision.propensity for decision in drawn if decision.propensity is not None]
    inverse = sum(1.0 / propensity for propensity in served if propensity >= RARE)
    variance = sum(decision.inverse_sum - decision.support**2 for decision in drawn)
    return inverse / support, max(variance, 0.0) ** 0.5 / support
