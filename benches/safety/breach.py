"""A bad policy at 5 %, in real time: how many suffer, and how soon is it rolled back once the evidence suffices?

The policy is a kept version that believes the opposite of what is true. The log, the conductor and its thread are real,
and so is the time. The evidence suffices with the first outcome at which a second reading of it, which waits for
nothing, says breach; from there to the first decision that is no longer the policy's passes what is measured. A breach
may be shown and vanish again with the next outcomes, between two looks of the conductor; so the time since which it has
stood is told as well, for comparison only.
"""

import random
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from benches.learning.figure import Figure
from benches.safety.conducted import believing, hub
from pilotfish.codes import Signal
from pilotfish.engine.deciding import Decision
from pilotfish.experience.exposures import Exposure
from pilotfish.experience.record import LoggedDecision
from pilotfish.experience.signals import SignalRow
from pilotfish.experiments.evidence import Evidence
from pilotfish.experiments.joining import assignment_of, observation_of
from pilotfish.experiments.settings import RolloutSettings
from pilotfish.experiments.verdict import Judgement, judge
from pilotfish.rewards import RewardFunction

CAMPAIGN: Final = "breach"
SEEDS: Final = 20
SHARE: Final = 0.05
RATE: Final = 400.0
"""Decisions per second; 20 of them are the policy's."""
MOST_HARMED: Final = 200
MOST_S: Final = 1.0
AT_MOST_S: Final = 120.0
"""After which a run is given up."""
SETTLED_AT_ONCE: Final = 0.0


class Harm(NamedTuple):
    """What the policy's module does, beside 0.9 of success in 50 ms of the control's."""

    success: float = 0.9
    latency_ms: float = 50.0
    guardrails: dict[str, float] | None = None


HARMS: Final[dict[str, Harm]] = {
    "success 0.2, not 0.9": Harm(success=0.2),
    "success 0.6, not 0.9": Harm(success=0.6),
    "latency 10 s, not 50 ms": Harm(latency_ms=10_000.0, guardrails={"reward": 0.02, "latency_ms": 0.05}),
}


class Second:
    """A second reading of the stage's evidence that waits for nothing.

    Args:
        exposure: The stage.
        plan: The rollout's.
        rewards: From raw values to utilities.
    """

    def __init__(self, exposure: Exposure, plan: RolloutSettings, rewards: RewardFunction) -> None:
        fields = {name: getattr(plan, name) for name in RolloutSettings.__struct_fields__}
        self._evidence = Evidence(
            exposure.stage, exposure.share, RolloutSettings(**fields | {"settle_s": SETTLED_AT_ONCE})
        )
        self._rewards = rewards
        self.sufficed_s: float | None = None
        """When a breach was shown first."""
        self.stood_s: float | None = None
        """Since when it has been shown without a break."""

    def decided(self, decision: Decision) -> None:
        """Take in a decision."""
        self._evidence.decided(assignment_of(bytes.fromhex(decision.decision_id), decision.record))

    def happened(self, decision: LoggedDecision, rows: Sequence[SignalRow]) -> None:
        """Take in an outcome."""
        self._evidence.observe(observation_of(decision, rows, self._rewards))
        self._evidence.settle(rows[0].time_us)
        if judge(self._evidence).judgement is not Judgement.BREACH:
            self.stood_s = None
            return
        now_s = time.monotonic()
        self.sufficed_s = now_s if self.sufficed_s is None else self.sufficed_s
        self.stood_s = now_s if self.stood_s is None else self.stood_s


def parts(scale: float) -> list[tuple[str, int]]:
    """Return each harm with each seed."""
    return [(harm, seed) for harm in HARMS for seed in range(max(1, round(SEEDS * scale)))]


def campaign(part: tuple[str, int]) -> dict[str, Any]:
    """Play one seed of one harm.

    Returns:
        Decisions of the bad module by the policy until the rollback, and the seconds from the outcome that sufficed;
        `rolled_back` is False, and the seconds infinite, if it never came.
    """
    name, seed = part
    harm = HARMS[name]
    rng = random.Random(f"{CAMPAIGN} {name} {seed}")
    plan = RolloutSettings(guardrails=harm.guardrails) if harm.guardrails else RolloutSettings()
    policy = believing({"good": 0.1, "bad": 0.9}, seed=seed)
    with hub(("good", "bad"), plan, SHARE, policy, id_seed=f"{CAMPAIGN} {seed}") as play:
        second = Second(play.engine.exposure, plan, play.rewards)
        play.engine.followers.append(second)
        play.conductor.start()
        try:
            harmed, decisions, after_s = 0, 0, None
            start_s = time.monotonic()
            while time.monotonic() < start_s + AT_MOST_S:
                decisions += 1
                if (wait_s := start_s + decisions / RATE - time.monotonic()) > 0.0:
                    time.sleep(wait_s)
                decision = play.ask(f"{seed}-{decisions}", baseline="good")
                if decision.record.policy_share == 0.0:
                    after_s = time.monotonic()
                    break
                is_bad = decision.module == "bad"
                harmed += is_bad
                completed = float(rng.random() < (harm.success if is_bad else 0.9))
                latency_ms = (harm.latency_ms if is_bad else 50.0) * rng.uniform(0.5, 1.5)
                play.report(decision, {Signal.COMPLETION: completed, Signal.LATENCY_MS: latency_ms})
        finally:
            play.conductor.stop()
        rolled_back = [change.rollout_share for change in play.changes("rollback")] == [0.0]
        sufficed_s, stood_s = second.sufficed_s, second.stood_s
    return {
        "harm": name,
        "rolled_back": rolled_back,
        "harmed": harmed,
        "in_force_s": None if after_s is None or sufficed_s is None else after_s - sufficed_s,
        "stood_s": None if after_s is None or stood_s is None else after_s - stood_s,
        "decisions": decisions,
    }


def figures(results: Sequence[dict[str, Any]]) -> list[Figure]:
    """Return the worst seed of each harm."""
    rows = []
    for harm in HARMS:
        played = [result for result in results if result["harm"] == harm]
        harmed = sorted(result["harmed"] for result in played)
        waits, stood = (_seconds(played, key) for key in ("in_force_s", "stood_s"))
        missing = sum(not result["rolled_back"] for result in played)
        middle = len(played) // 2
        late = sum(wait > MOST_S for wait in waits)
        rows += [
            Figure(CAMPAIGN, f"{harm}: seeds not rolled back", missing, None, "<=", 0.0, f"of {len(played)}"),
            Figure(
                *(CAMPAIGN, f"{harm}: most harmful decisions", harmed[-1], None, "<=", MOST_HARMED),
                detail=f"median {harmed[middle]}",
            ),
            Figure(
                *(CAMPAIGN, f"{harm}: longest from first shown to in force, s", waits[-1], None, "<=", MOST_S),
                detail=f"median {waits[middle]:.2f}, {late} of {len(played)} late",
            ),
            *_shown_for_good(harm, stood),
        ]
    return rows


def _shown_for_good(harm: str, stood: list[float]) -> list[Figure]:
    """Return the row of the breaches that still stood when they were acted on; none if none did."""
    finite = [wait for wait in stood if wait < float("inf")]
    if not finite:
        return []
    detail = f"median {finite[len(finite) // 2]:.2f}, {len(stood) - len(finite)} had vanished again"
    return [Figure(CAMPAIGN, f"{harm}: longest from shown for good, s", finite[-1], detail=detail)]


def _seconds(played: Sequence[dict[str, Any]], key: str) -> list[float]:
    """Return the times of all seeds, ascending; of one that never came, infinity."""
    return sorted(float("inf") if result[key] is None else float(result[key]) for result in played)
