"""A model in its life: born from the log, learning, watching for change, and giving birth to the next."""

import logging
from collections.abc import Sequence
from functools import partial

import msgspec

from pilotfish._core import ChangeDetector, Model
from pilotfish.engine.change import Change, change_of, in_words, new_detectors, weight_after
from pilotfish.engine.growth import Origin, Serving, next_due, observed, specify, train, utility
from pilotfish.engine.representation import choose_model
from pilotfish.exceptions import PilotfishError
from pilotfish.experience.births import Birth, append_birth, births, place_of_change
from pilotfish.experience.log import ExperienceLog
from pilotfish.experience.record import LoggedDecision
from pilotfish.experience.signals import SignalRow
from pilotfish.rewards import RewardFunction

logger = logging.getLogger(__name__)


class Grown:
    """Not thread-safe: the learner's lock guards it, all but `heir`.

    Args:
        origin: The configured specification.
        log: The truth.
        rewards: From raw values to utilities.
        model: The model as it is.
        birth: Its birth; None: grown from nothing.
        changes: All changes on record.
        detectors: One per head; None: nothing has been observed since birth.
        change: What the detectors have found and no birth has answered.
    """

    def __init__(  # noqa: PLR0917  each is told by its type
        self,
        origin: Origin,
        log: ExperienceLog,
        rewards: RewardFunction,
        model: Model,
        birth: Birth | None = None,
        changes: Sequence[Change] = (),
        detectors: Sequence[ChangeDetector] | None = None,
        change: Change | None = None,
    ) -> None:
        self.model = model
        self.birth = 0 if birth is None else birth.sequence
        self.born_at = 0 if birth is None else birth.signal_sequence
        self.answers_change = birth is not None and birth.change is not None
        if birth is None:
            self._model_number = log.register_model(model.version, model.specification)
        else:
            self._model_number = birth.model_number
        self._origin = origin
        self._log = log
        self._rewards = rewards
        self._changes = tuple(changes)
        self._detectors = new_detectors() if detectors is None else tuple(detectors)
        self._change = change
        self._due = next_due(self.born_at)

    @property
    def serving(self) -> Serving:
        """What a decision needs."""
        return Serving(self.model, self._model_number, self.birth)

    def learn(self, decision: LoggedDecision, row: SignalRow) -> None:
        """Learn one value, and compare it with what was expected.

        Raises:
            PilotfishError: The core refuses the value.
        """
        task, text, module = observed(decision)
        head, name = row.signal - 1, decision.module
        weight = weight_after(self._changes, decision.sequence, name)
        taught = utility(self._rewards, row)
        residual, uncertainty = self.model.learn(task, text, module, head, taught, weight)
        if weight < 1.0:  # from before a change that is known: no news
            return
        alarm = self._detectors[head].observe(residual, name, uncertainty, taught)
        if alarm is not None and self._change is None:
            since, n_before = place_of_change(self._log, row.signal, row.sequence, alarm.n_after)
            self._change = change_of(alarm, head, since, n_before)
            logger.warning("%s", in_words(self._change))

    def is_due(self, folded: int) -> bool:
        """Return whether the log, of `folded` values, has doubled or the world has changed."""
        return self._origin.grows and (self._change is not None or folded >= self._due)

    def heir(self, up_to: int) -> "Grown":
        """Return a model born from the log up to a signal value; its birth is on record.

        Raises:
            sqlite3.Error: The log cannot be written.
        """
        origin, change = self._origin, self._change
        changes = self._changes if change is None else (*self._changes, change)
        configured = origin.specify(dict(origin.encoder))
        try:
            model = train(
                lambda history: choose_model(history, lambda keys: origin.specify(specify(origin.encoder, keys))),
                configured,
                self._log,
                self._rewards,
                up_to,
                changes,
            )
        except PilotfishError:
            logger.exception("no model could be born from the log; the present one stays")
            self._due, self._change = next_due(up_to), None
            return self
        logged = None if change is None else msgspec.msgpack.encode(change)
        birth = append_birth(self._log, (model.version, model.specification), origin.version, up_to, logged)
        return Grown(origin, self._log, self._rewards, model, birth, changes)

    def watch(self) -> tuple[tuple[bytes, ...], bytes | None]:
        """Return the states of the detectors and the change that awaits its birth, for a checkpoint."""
        change = None if self._change is None else msgspec.msgpack.encode(self._change)
        return tuple(detector.state() for detector in self._detectors), change


def growth_in_words(log: ExperienceLog, origin: Origin) -> tuple[int, str]:
    """Return how many births there have been, and the last change in words; empty if there was none."""
    known = _births(log, origin)
    changes = _changes(known)
    return len(known), in_words(changes[-1]) if changes else ""


def last_birth(log: ExperienceLog, origin: Origin) -> tuple[Birth | None, list[Change]]:
    """Return the last birth on record, and all changes."""
    known = _births(log, origin)
    return (known[-1] if known else None), _changes(known)


def _births(log: ExperienceLog, origin: Origin) -> list[Birth]:
    return births(log, origin.version) if origin.grows else []


def _changes(known: Sequence[Birth]) -> list[Change]:
    return [msgspec.msgpack.decode(birth.change, type=Change) for birth in known if birth.change is not None]


def born(
    log: ExperienceLog, rewards: RewardFunction, origin: Origin, birth: Birth | None, changes: Sequence[Change]
) -> Model:
    """Return the model as it was at its birth."""
    if birth is None:
        return Model(origin.specify(dict(origin.encoder)))
    specification = birth.specification
    return train(partial(Model.trained, specification), specification, log, rewards, birth.signal_sequence, changes)
