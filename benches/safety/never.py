"""Faults that must never raise exposure, each played by events through a real engine and its conductor.

The policy is a pinned version that always takes its module, and the hub's own choice is always the other; in a sound
stage the policy's is far better and the stage passes, which is played as well: else silence would mean nothing.
"""

import random
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from benches.learning.figure import Figure
from benches.safety.conducted import Hub, Wall, believing, hub, turned
from pilotfish.codes import Mode, Signal
from pilotfish.engine.deciding import Decision
from pilotfish.engine.sides import unit_fraction
from pilotfish.exceptions import PilotfishError
from pilotfish.experiments.settings import RolloutSettings
from pilotfish.experiments.verdict import Judgement
from pilotfish.rewards import RewardFunction

CAMPAIGN: Final = "never"
SHARE: Final = 0.25
N: Final = 2_000
"""Decisions of a sound stage, one a second."""
EVERY: Final = 50
"""Decisions between two looks at the evidence."""
PLAN: Final = RolloutSettings(min_stage_s=600.0, settle_s=1.0, outcome_window_s=60.0)
QUALITY: Final = RolloutSettings(guardrails={"quality": 0.02}, min_stage_s=600.0, settle_s=1.0, outcome_window_s=60.0)
SALT: Final = "pilotfish"


class Play:
    """A stage that is lived through event by event.

    Args:
        opened: The hub.
        wall: Its clock.
        seed: Of units and outcomes.
    """

    def __init__(self, opened: Hub, wall: Wall, seed: int) -> None:
        self.hub = opened
        self.wall = wall
        self.rng = random.Random(f"{CAMPAIGN} {seed}")
        self.seed = seed
        self.success = {"new": 0.95, "old": 0.6}
        self.spacing_s = 1.0
        self.looks = True
        self._asked = 0

    def unit(self, i: int) -> str:
        """Return the name of the i-th unit."""
        return f"{self.seed}-{i}"

    def is_policys(self, unit: str) -> bool:
        """Return whether the hash gives a unit to the policy."""
        return unit_fraction(unit, SALT.encode()) < SHARE

    def ask(self, unit: str) -> Decision:
        """Let time pass and ask for a decision; now and then the conductor looks."""
        self.wall.pass_s(self.spacing_s)
        self._asked += 1
        if self.looks and self._asked % EVERY == 0:
            self.look()
        return self.hub.ask(unit, baseline="old")

    def report(self, decision: Decision, served: str = "") -> None:
        """Report whether the module has done it."""
        completed = float(self.rng.random() < self.success[decision.module])
        self.hub.report(decision, {Signal.COMPLETION: completed}, served)

    def traffic(self, n: int = N, first: int = 0, unit: Callable[[int], str] | None = None) -> None:
        """Ask and report n times."""
        for i in range(first, first + n):
            self.report(self.ask((unit or self.unit)(i)))

    def look(self) -> None:
        """Have the conductor look at the evidence, as its thread does."""
        try:
            self.hub.conductor.tick()
        except (PilotfishError, sqlite3.Error):
            return

    def end(self) -> None:
        """Let a day pass, in which the conductor looks often."""
        for _ in range(24):
            self.wall.pass_s(3600.0)
            self.look()


def _idle(play: Play) -> None:
    play.end()


def _sound(play: Play) -> None:
    play.traffic()


def _without_outcomes(play: Play) -> None:
    for i in range(N):
        play.ask(play.unit(i))


def _partial(play: Play) -> None:
    play.traffic(300)


def _tiny(play: Play) -> None:
    play.success = {"new": 1.0, "old": 0.0}
    play.traffic(40)


def _restarts(play: Play) -> None:
    for run in range(10):
        play.traffic(30, 30 * run)
        play.hub.reopen()
        play.look()


def _told_again(play: Play) -> None:
    play.traffic(300)
    for _ in range(20):
        play.hub.reopen()  # each time the log is told again; it must not count twice
        play.look()


def _inconclusive(play: Play) -> None:
    play.success = {"new": 0.6, "old": 0.6}
    play.traffic(3 * N // 4)


def _one_sided(play: Play, *, policy: bool) -> None:
    for i in range(N):
        decision = play.ask(play.unit(i))
        if decision.record.in_policy_share is policy:
            play.report(decision)


def _half_lost(play: Play) -> None:
    for i in range(N):
        decision = play.ask(play.unit(i))
        if not decision.record.in_policy_share or i % 2:
            play.report(decision)


def _sample_ratio(play: Play) -> None:
    # A load balancer that keeps half of the others away.
    units = (play.unit(i) for i in range(2 * N))
    for number, unit in enumerate(units):
        if play.is_policys(unit) or number % 2:
            play.report(play.ask(unit))


def _only(play: Play, *, policy: bool) -> None:
    for unit in (play.unit(i) for i in range(4 * N)):
        if play.is_policys(unit) is policy:
            play.report(play.ask(unit))


def _duplicates(play: Play) -> None:
    made = [play.ask(play.unit(i)) for i in range(60)]
    for decision in made:
        completed = float(play.rng.random() < play.success[decision.module])
        for _ in range(50):
            play.hub.report(decision, {Signal.COMPLETION: completed})
            play.wall.pass_s(0.2)
        play.look()


def _same_units(play: Play) -> None:
    play.traffic(N, unit=lambda i: play.unit(i % 40))


def _both_sides(play: Play) -> None:
    # The salt changes in the middle of a stage: units come back on the other side.
    play.traffic(150)
    play.hub.reopen(rollout_salt="another")
    play.traffic(N, first=0)


def _jumps(play: Play, jump_s: Callable[[int], float]) -> None:
    play.spacing_s = 0.01
    for i in range(N):
        play.wall.pass_s(jump_s(i))
        play.report(play.ask(play.unit(i)))
    # The conductor looks, and nothing else happens.
    for _ in range(10):
        play.look()


def _haste(play: Play) -> None:
    play.spacing_s = 0.01
    play.traffic()


def _earlier_stage(play: Play) -> None:
    # Decisions of one stage, whose outcomes come after an operator has gone to another.
    made = [play.ask(play.unit(i)) for i in range(N)]
    play.hub.conductor.promote("operator", "trial", share=0.5, force=True)
    for decision in made:
        play.report(decision)
    play.end()


def _held(play: Play) -> None:
    play.hub.conductor.hold("operator", "wait", hold=True)
    play.traffic()


def _rolled_back(play: Play) -> None:
    play.traffic(300)
    play.hub.conductor.rollback("operator", "no")
    play.traffic(N, first=300)
    play.hub.conductor.hold("operator", "go on", hold=False)
    play.traffic(500, first=N + 300)


def _in_mode(play: Play, mode: Mode) -> None:
    play.hub.engine.set_mode(mode, None, "operator", "trial")
    play.traffic()


def _elsewhere(play: Play) -> None:
    # The hub sent the policy's tasks to the other module: what came of it is none of the policy's.
    for i in range(N):
        decision = play.ask(play.unit(i))
        play.report(decision, served="old" if decision.module == "new" else "")


def _quality_of(play: Play, *, policy: bool) -> None:
    for i in range(N):
        decision = play.ask(play.unit(i))
        if decision.record.in_policy_share is policy:
            play.hub.report(decision, {Signal.QUALITY: 0.9})


def _defaults(play: Play) -> None:
    # Nobody reports; after the window the configured default is learned in place of each outcome.
    for i in range(N):
        play.ask(play.unit(i))
    play.wall.pass_s(3600.0)
    while play.hub.engine._learner.expire(play.wall.now_us):  # noqa: SLF001  what upkeep calls
        play.look()


def _log_locked(play: Play) -> None:
    # The stage has passed, and the change cannot be written.
    play.looks = False
    play.traffic()
    play.wall.pass_s(3600.0)
    _, verdict, _ = play.hub.conductor.verdict()
    if verdict.judgement is not Judgement.PASS:
        raise AssertionError(f"the stage has not passed: {verdict.reasons}")
    other = sqlite3.connect(play.hub.engine.log.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        for _ in range(5):
            play.look()
    finally:
        other.execute("ROLLBACK")
        other.close()


def _late(play: Play) -> None:
    # The policy's outcomes come an hour after everybody has stopped to wait for them.
    late = []
    for i in range(N):
        decision = play.ask(play.unit(i))
        if decision.record.in_policy_share:
            late.append(decision)
        else:
            play.report(decision)
    play.wall.pass_s(3600.0)
    play.look()
    for decision in late:
        play.report(decision)
        play.look()


class Scenario(NamedTuple):
    """What is played, and with which settings."""

    play: Callable[[Play], None]
    plan: RolloutSettings = PLAN
    share: float = SHARE
    rewards: RewardFunction | None = None
    raises: bool = False
    """Whether it is the sound one, whose exposure must rise."""


def _changed(**fields: Any) -> RolloutSettings:  # noqa: ANN401  any field
    known = {name: getattr(PLAN, name) for name in RolloutSettings.__struct_fields__}
    return RolloutSettings(**known | fields)


DAY_S: Final = 86_400.0

SCENARIOS: Final[dict[str, Scenario]] = {
    "sound": Scenario(_sound, raises=True),
    "no traffic": Scenario(_idle),
    "decisions without outcomes": Scenario(_without_outcomes),
    "partial data": Scenario(_partial),
    "40 decisions, perfect": Scenario(_tiny),
    "restarts amid a stage": Scenario(_restarts),
    "the log told again and again": Scenario(_told_again),
    "inconclusive": Scenario(_inconclusive),
    "outcomes of the policy only": Scenario(lambda play: _one_sided(play, policy=True)),
    "outcomes of the control only": Scenario(lambda play: _one_sided(play, policy=False)),
    "half of one side's outcomes lost": Scenario(_half_lost),
    "outcomes of the policy late": Scenario(_late),
    "sample ratio": Scenario(_sample_ratio),
    "policy's units only": Scenario(lambda play: _only(play, policy=True)),
    "control's units only": Scenario(lambda play: _only(play, policy=False)),
    "duplicate outcomes": Scenario(_duplicates),
    "the same few units": Scenario(_same_units),
    "units on both sides": Scenario(_both_sides),
    "clock jumps forwards": Scenario(lambda play: _jumps(play, lambda i: DAY_S * (i == N // 2))),
    "clock jumps backwards": Scenario(lambda play: _jumps(play, lambda i: -DAY_S * (i == N // 2))),
    "clock jumps forwards and back": Scenario(
        lambda play: _jumps(play, lambda i: DAY_S * (i == N // 2) - DAY_S * (i == N // 2 + 100))
    ),
    "haste": Scenario(_haste),
    "outcomes of an earlier stage": Scenario(_earlier_stage),
    "served elsewhere": Scenario(_elsewhere),
    "quality of the policy only": Scenario(lambda play: _quality_of(play, policy=True), QUALITY),
    "quality of the control only": Scenario(lambda play: _quality_of(play, policy=False), QUALITY),
    "nothing was measured": Scenario(
        _defaults, rewards=RewardFunction(defaults={Signal.COMPLETION: 1.0}, windows_s={Signal.COMPLETION: 60.0})
    ),
    "held": Scenario(_held),
    "rolled back, then resumed": Scenario(_rolled_back),
    "not automatic": Scenario(_sound, _changed(automatic=False)),
    "last stage": Scenario(_sound, _changed(stages=(0.05, SHARE))),
    "mode off": Scenario(lambda play: _in_mode(play, Mode.OFF)),
    "mode shadow": Scenario(lambda play: _in_mode(play, Mode.SHADOW)),
    "share 0": Scenario(_sound, share=0.0),
    "log locked": Scenario(_log_locked),
}


def parts(scale: float) -> list[tuple[str, int]]:
    """Return each scenario with each seed: three at scale 1."""
    return [(name, seed) for name in SCENARIOS for seed in range(max(1, round(3 * scale)))]


def campaign(part: tuple[str, int]) -> dict[str, Any]:
    """Play one seed of one scenario.

    Returns:
        Promotions by the automatic actor, and whether the share in force rose but by an operator.
    """
    name, seed = part
    scenario = SCENARIOS[name]
    wall = Wall()
    policy = believing({"new": 0.95, "old": 0.05}, seed=seed)
    with (
        turned(wall),
        hub(
            *(("new", "old"), scenario.plan, scenario.share, policy),
            rewards=scenario.rewards,
            rollout_salt=SALT,
            id_seed=f"{CAMPAIGN} {seed}",
        ) as opened,
    ):
        play = Play(opened, wall, seed)
        scenario.play(play)
        if name not in _ENDED:
            play.look()
        promotions = len(opened.changes("promote"))
        by_hand = [change.rollout_share for change in opened.engine.changes(1000) if change.actor != "automatic"]
        reasons = opened.conductor.verdict()[1].reasons
        risen = opened.engine.exposure.share > max([scenario.share, *by_hand])
    return {"scenario": name, "raises": scenario.raises, "promotions": promotions, "risen": risen, "held_by": reasons}


_ENDED: Final = {"log locked"}
"""Scenarios whose fault ends with them: what the conductor does afterwards is right."""


def figures(results: Sequence[dict[str, Any]]) -> list[Figure]:
    """Return the rows of the table."""
    sound = [result for result in results if result["raises"]]
    faulted = [result for result in results if not result["raises"]]
    guilty = sorted({result["scenario"] for result in faulted if result["promotions"] or result["risen"]})
    names = {result["scenario"] for result in faulted}
    promoted = sum(result["promotions"] > 0 or result["risen"] for result in faulted)
    missed = sum(not result["promotions"] for result in sound)
    return [
        Figure(CAMPAIGN, "fault scenarios", len(names), None, ">=", 20.0, f"{len(faulted)} runs"),
        Figure(CAMPAIGN, "runs that were promoted", promoted, None, "<=", 0.0, ", ".join(guilty)),
        Figure(CAMPAIGN, "sound runs that were not promoted", missed, None, "<=", 0.0, f"of {len(sound)}"),
    ]
