"""The learned state as the fold of the log: from scratch, or from a checkpoint and what came after it."""

import logging
from collections import Counter
from typing import Any

import msgspec

from pilotfish._core import ChangeDetector, Model
from pilotfish.engine.change import Change
from pilotfish.engine.grown import Grown, born, last_birth
from pilotfish.engine.growth import Origin
from pilotfish.engine.health import Health
from pilotfish.engine.learning import Learner
from pilotfish.engine.specification import model_specification
from pilotfish.exceptions import InvalidInputError, StateError
from pilotfish.experience.checkpoints import Checkpoints
from pilotfish.experience.log import ExperienceLog
from pilotfish.rewards import RewardFunction

logger = logging.getLogger(__name__)


def fold(log: ExperienceLog, specification: bytes, rewards: RewardFunction, *, late_in_time: bool = False) -> Learner:
    """Return the state that a log leads to, from its first signal value on and without any checkpoint.

    Args:
        log: The truth.
        specification: The configured one; births on record that come from it count.
        rewards: From raw values to utilities; others than those that were in force re-score the whole log.
        late_in_time: As if values that came after their default had come in time: better to train from, but not the
            state that serves, which has learned the default.
    """
    fixed = Origin(Model(specification).version, {}, lambda _: specification, grows=True)
    birth, changes = last_birth(log, fixed)
    grown = Grown(fixed, log, rewards, born(log, rewards, fixed, birth, changes), birth, changes)
    learner = Learner(grown=grown, health=Health(), log=log, rewards=rewards, checkpoints=None, counters=Counter())
    learner.restore(after=0, late_in_time=late_in_time)
    return learner


def origin_of(
    encoder: dict[str, Any],
    learner: dict[str, Any],
    explorer: dict[str, Any],
    rewards: RewardFunction,
    *,
    grows: bool,
) -> Origin:
    """Return what models are born from: the configured specification, whose encoder births may replace."""

    def specify(chosen: dict[str, Any]) -> bytes:
        return model_specification(rewards, chosen, learner, explorer)

    return Origin(Model(specify(encoder)).version, encoder, specify, grows=grows)


def restored(
    log: ExperienceLog,
    checkpoints: Checkpoints,
    origin: Origin,
    rewards: RewardFunction,
    counters: Counter[tuple[str, int | str]],
) -> Learner:
    """Return the state that a log leads to, from the newest sound checkpoint of its last birth, or from that birth."""
    birth, changes = last_birth(log, origin)
    specification = origin.specify(dict(origin.encoder)) if birth is None else birth.specification
    grown, health, after = None, Health(), 0
    version, place = (origin.version, 0) if birth is None else (birth.version, birth.sequence)
    for checkpoint in checkpoints.newest(version, place, up_to=log.last_signal_sequence()):
        try:
            model = Model.from_state(checkpoint.model, specification)
            health = Health(checkpoint.health)
            detectors = [ChangeDetector.from_state(state) for state in checkpoint.detectors] or None
            change = None if checkpoint.change is None else msgspec.msgpack.decode(checkpoint.change, type=Change)
        except (StateError, InvalidInputError, msgspec.DecodeError) as error:
            logger.warning("checkpoint %d ignored: %s", checkpoint.sequence, error)
            continue
        grown = Grown(origin, log, rewards, model, birth, changes, detectors, change)
        after = checkpoint.sequence
        break
    if grown is None:
        model = born(log, rewards, origin, birth, changes)
        grown, health = Grown(origin, log, rewards, model, birth, changes), Health()
    learner = Learner(grown=grown, health=health, log=log, rewards=rewards, checkpoints=checkpoints, counters=counters)
    learner.restore(after)
    return learner
