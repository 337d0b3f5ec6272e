"""Traffic for tests: decisions by sticky hash, and their outcomes, as the log would tell them."""

import random
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from pilotfish.engine.sides import unit_fraction
from pilotfish.experiments.evidence import Evidence
from pilotfish.experiments.observation import Assignment, Observation
from pilotfish.experiments.settings import RolloutSettings

PLAN = RolloutSettings(min_stage_s=600.0, settle_s=1.0, outcome_window_s=60.0)
START_US = 1_700_000_000_000_000
SECOND_US = 1_000_000


@dataclass
class World:
    """Two modules: the control always takes the one, the policy always the other."""

    share: float = 0.25
    policy_success: float = 0.95
    control_success: float = 0.6
    n: int = 2000
    visit: int = 1
    seed: int = 1
    spacing_us: int = SECOND_US
    delay_us: int = 10_000
    assumed: AbstractSet[str] = frozenset()

    def observations(self) -> Iterator[Observation]:
        generator = random.Random(self.seed)
        for i in range(self.n):
            in_treatment = unit_fraction(f"{self.seed}-{i}", b"salt") < self.share
            success = self.policy_success if in_treatment else self.control_success
            utility = float(generator.random() < success)
            at_us = START_US + i * self.spacing_us
            yield Observation(
                visit=self.visit,
                decision_id=f"{self.seed}-{i}",
                unit_id=f"{self.seed}-{i}",
                decided_us=at_us,
                in_treatment=in_treatment,
                joined_us=at_us + self.delay_us,
                policy_probability=float(in_treatment),
                control_probability=float(not in_treatment),
                utilities={"reward": utility, "completion": utility},
                assumed=self.assumed,
            )


def assignment_of(observation: Observation) -> Assignment:
    fields = ("visit", "decision_id", "unit_id", "decided_us", "in_treatment")
    return Assignment(**{name: getattr(observation, name) for name in fields})


def changed(observation: Observation, **changes: Any) -> Observation:  # noqa: ANN401  any field
    return replace(observation, **changes)


def fresh(share: float = 0.25, settings: RolloutSettings = PLAN, visit: int = 1, **more: Any) -> Evidence:  # noqa: ANN401
    return Evidence(visit, share, settings, **more)


def feed(evidence: Evidence, observations: Iterator[Observation] | list[Observation]) -> Evidence:
    """Tell decisions and outcomes in the order of decisions, and let all of it settle."""
    for observation in observations:
        evidence.decided(assignment_of(observation))
        evidence.observe(observation)
    evidence.settle(START_US + 10**12)
    return evidence
