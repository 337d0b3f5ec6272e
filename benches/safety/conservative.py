"""Conservative exploration through a real engine and its conductor: is the promise kept, and does the policy serve?

Two kinds of task; the hub's own choice succeeds at 0.8 and 0.5 of them. In every other run the policy is the live
model, which begins with nothing and learns; in the others it is a pinned version that is wrong and never learns.
Outcomes come up to 50 decisions late, and a fifth of them never.

The promise: the policy's rewards, and what the control is expected to earn on its own decisions, are at no time less
than (1 − loss) times what the control would have been expected to earn on all.
"""

import random
from collections.abc import Sequence
from typing import Any, Final

from benches.learning.figure import Figure
from benches.safety.conducted import believing, hub
from pilotfish.codes import Signal
from pilotfish.engine.deciding import Decision
from pilotfish.experiments.joining import was_policy
from pilotfish.experiments.settings import RolloutSettings

CAMPAIGN: Final = "conservative"
RUNS: Final = 200
N: Final = 1_500
SHARE: Final = 0.5
LOSS: Final = 0.1
LOST: Final = 0.2
LATE: Final = 50
KINDS: Final = ("scan", "ask")
CONTROL: Final = "control"
SUCCESS: Final = {CONTROL: (0.8, 0.5), "a": (0.1, 0.9), "b": (0.95, 0.1), "c": (0.2, 0.2)}
"""Success of each module at each kind of task."""
BELIEVED: Final = {CONTROL: 0.1, "a": 0.1, "b": 0.1, "c": 0.95}
"""What the pinned version takes for true."""
PLAN: Final = RolloutSettings(conservative_loss=LOSS, automatic=False)


def parts(scale: float) -> list[int]:
    """Return the seeds."""
    return list(range(max(2, round(RUNS * scale))))


def campaign(seed: int) -> dict[str, Any]:
    """Play one run.

    Returns:
        Whether the promise was kept at all times, the least (earned − promised) in decisions' worth of the control's
        reward, and how often the policy served in each half.
    """
    rng = random.Random(f"{CAMPAIGN} {seed}")
    learns = seed % 2 == 0
    policy = None if learns else believing(BELIEVED, KINDS, seed)
    mean = sum(SUCCESS[CONTROL]) / len(KINDS)
    earned, least, served = 0.0, 0.0, [0, 0]
    waiting: list[tuple[int, Decision, float]] = []
    with hub(tuple(SUCCESS), PLAN, SHARE, policy, id_seed=f"{CAMPAIGN} {seed}") as play:
        for t in range(N):
            kind = rng.randrange(len(KINDS))
            decision = play.ask(f"{seed}-{t}", baseline=CONTROL, task_type=KINDS[kind])
            by_policy = was_policy(decision.record)
            reward = float(rng.random() < SUCCESS[decision.module][kind])
            earned += reward if by_policy else mean
            served[2 * t // N] += by_policy
            least = min(least, (earned - (1.0 - LOSS) * (t + 1) * mean) / mean)
            if rng.random() >= LOST:
                waiting.append((t + rng.randrange(LATE), decision, reward))
            for arrived in [outcome for outcome in waiting if outcome[0] <= t]:
                waiting.remove(arrived)
                play.report(arrived[1], {Signal.COMPLETION: arrived[2]})
    return {"learns": learns, "kept": least >= -1e-9, "least": least, "served": served}


def figures(results: Sequence[dict[str, Any]]) -> list[Figure]:
    """Return the rows of the table."""
    broken = sum(not result["kept"] for result in results)
    rows = [
        Figure(
            *(CAMPAIGN, "runs in which the promise was broken", broken, None, "<=", 0.05 * len(results)),
            detail=f"of {len(results)} runs of {N:,} decisions",
        )
    ]
    for learns, who in ((True, "a policy that learns"), (False, "a policy that is wrong")):
        seconds = sorted(result["served"][1] for result in results if result["learns"] is learns)
        rows.append(
            Figure(
                *(CAMPAIGN, f"least decisions of {who}, second half", seconds[0], None, ">", 0.0),
                detail=f"median {seconds[len(seconds) // 2]} of {N // 2}",
            )
        )
    return rows
