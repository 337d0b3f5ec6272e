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


def gather(log: ExperienceLog, rewards: RewardFunction, up_to: int, changes: Iterable[Change]) -> History:
    """Return the newest learned outcomes, in the order in which they were learned.

    Args:
        log: The truth.
        rewards: From raw values to utilities.
        up_to: Sequence number of the last signal value.
        changes: By which outcomes are weighed.
    """
    changes, history = tuple(changes), History()
    rows = takewhile(lambda row: row.sequence <= up_to, log.signals(max(0, up_to - HISTORY_MAX)))
    learned = (row for row in rows if row.use is Use.LEARNED)
    for sequence, values in groupby(learned, key=lambda row: row.decision_sequence):
        task, text, module = observed(log.decision_by_sequence(sequence))
        utilities = [(row.signal - 1, utility(rewards, row)) for row in values]
        history.append(task, text, module, utilities, weight_after(changes, sequence, module[0]))
    return history


def observed(decision: LoggedDecision) -> tuple[Any, str, tuple[str, Any, Any]]:
    """Return task features, text and module of a decision as the core takes them."""
    request = decision.record.request
    module: Module = next(module for module in request.candidates if module.name == decision.module)
    return request.task.features, request.task.description, (module.name, module.features, module.capabilities)


def utility(rewards: RewardFunction, row: SignalRow) -> float:
    """Return the utility of a logged value."""
    return rewards.utility(Signal(row.signal), row.value, censored=row.kind is Kind.LOWER_BOUND)
