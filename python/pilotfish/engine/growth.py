"""The served model: born from the log, grown by each outcome, born again when the log has doubled or the world changed.

A model's vectors are laid out for the features that have been seen (`engine/representation.py`), so the layout is
reconsidered as more are seen; sums of another layout cannot be carried over, so they are made again from the log. Each
birth is a fact of the log: a model is what it learned at birth, at one stroke, and all that came after, one by one.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby, takewhile
from typing import Any, Final, NamedTuple

from pilotfish._core import History, Model
from pilotfish.codes import Signal
from pilotfish.engine.change import Change, weight_after
from pilotfish.exceptions import InvalidInputError
from pilotfish.experience.log import ExperienceLog
from pilotfish.experience.record import LoggedDecision
from pilotfish.experience.signals import Kind, SignalRow, Use
from pilotfish.request import Module
from pilotfish.rewards import RewardFunction

FIRST: Final = 32
LAST: Final = 32_768
"""Values after which a model is born for the first time, and for the last time without a change. With the doublings
between, all births together cost twice the last."""

HISTORY_MAX: Final = 65_536
"""Newest outcomes that a model is born from: what is older has been forgotten, or a change has made it stale."""


class Serving(NamedTuple):
    """The model that answers, and how the log names it."""

    model: Model
    number: int
    """Number of its version."""
    birth: int
    """Sequence number of its birth; 0: grown from nothing."""
    kept: str = ""
    """The kept version that it is, by its SHA-256; empty: the live model."""


class Origin(NamedTuple):
    """What models are born from: the configured specification."""

    version: str
    encoder: Mapping[str, Any]
    specify: Callable[[dict[str, Any]], bytes]
    """From encoder keys to a specification."""
    grows: bool
    """False: the configured specification stays."""


def next_due(count: int) -> float:
    """Return the size of the log at which the next model is born: 32, 64, …, 32,768, then never (inf)."""
    due = FIRST
    while due <= count:
        due *= 2
    return due if due <= LAST else math.inf


def specify(base: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the encoder keys of a birth: what the configuration declares stands, the rest is chosen.

    Args:
        base: Encoder keys of the configuration.
        chosen: Encoder keys that the log suggests.
    """
    declared = list(base.get("declared", ()))
    names = {feature["name"] for feature in declared}
    suggested = [feature for feature in chosen.get("declared", ()) if feature["name"] not in names]
    return {**chosen, **base, "declared": declared + suggested}


def train(  # noqa: PLR0917  each is told by its type
    make: Callable[[History], Model],
    specification: bytes,
    log: ExperienceLog,
    rewards: RewardFunction,
    up_to: int,
    changes: Iterable[Change],
) -> Model:
    """Return what is made of the newest learned outcomes; those that the core refuses are left out.

    Args:
        make: From a history to a model.
        specification: One that refuses the same outcomes as the model: only what a configuration declares is refused.
        log: As in `gather`.
        rewards: As in `gather`.
        up_to: As in `gather`.
        changes: As in `gather`.

    Raises:
        PilotfishError: The core refuses all the same.
    """
    changes = tuple(changes)
    try:
        return make(gather(log, rewards, up_to, changes))
    except InvalidInputError:
        # One outcome that is refused must not end all growth. It is rare, so it is looked for only now.
        return make(gather(log, rewards, up_to, changes, sieve=Model(specification)))


def gather(
    log: ExperienceLog, rewards: RewardFunction, up_to: int, changes: Iterable[Change], sieve: Model | None = None
) -> History:
    """Return the newest learned outcomes, in the order in which they were learned.

    Args:
        log: The truth.
        rewards: From raw values to utilities.
        up_to: Sequence number of the last signal value.
        changes: By which outcomes are weighed.
        sieve: Outcomes that this model cannot encode are left out.
    """
    changes, history = tuple(changes), History()
    rows = takewhile(lambda row: row.sequence <= up_to, log.signals(max(0, up_to - HISTORY_MAX)))
    learned = (row for row in rows if row.use is Use.LEARNED)
    for sequence, values in groupby(learned, key=lambda row: row.decision_sequence):
        task, text, module = observed(log.decision_by_sequence(sequence))
        if sieve is not None and not _encodes(sieve, task, text, module):
            continue
        utilities = [(row.signal - 1, utility(rewards, row)) for row in values]
        history.append(task, text, module, utilities, weight_after(changes, sequence, module[0]))
    return history


def _encodes(model: Model, task: Any, text: str, module: tuple[str, Any, Any]) -> bool:  # noqa: ANN401  the core's
    try:
        model.encode_task(task, text)
        model.encode_module(task, module)
    except InvalidInputError:
        return False
    return True


def observed(decision: LoggedDecision) -> tuple[Any, str, tuple[str, Any, Any]]:
    """Return task features, text and module of a decision as the core takes them."""
    request = decision.record.request
    module: Module = next(module for module in request.candidates if module.name == decision.module)
    return request.task.features, request.task.description, (module.name, module.features, module.capabilities)


def utility(rewards: RewardFunction, row: SignalRow) -> float:
    """Return the utility of a logged value."""
    return rewards.utility(Signal(row.signal), row.value, censored=row.kind is Kind.LOWER_BOUND)
