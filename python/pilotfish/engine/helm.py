"""What is in force, and how it is changed: on record first, then in one pointer, from the next decision on."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from pilotfish._core import Model
from pilotfish.engine.deciding import Decider, InForce
from pilotfish.engine.growth import Serving
from pilotfish.engine.learning import Learner
from pilotfish.engine.recording import Recorder
from pilotfish.exceptions import PilotfishError, StateError
from pilotfish.experience.exposures import LIVE, Exposure, append_exposure, exposures
from pilotfish.experience.log import ExperienceLog

PATIENCE_S: Final = 2.0
"""How long a change waits while another connection writes, as when the WAL starts over under load. Decisions fall back
after `BUSY_TIMEOUT_S`, but there is nothing to fall back to for a person who wants to roll back."""

_BREATH_S: Final = 0.002
"""Between two tries, in which decisions get the log's lock."""

logger = logging.getLogger(__name__)


class Kept(NamedTuple):
    """A kept version that has been loaded."""

    model: Model
    birth: int
    """Its birth in this log; 0: grown from nothing, or from elsewhere."""


LoadKept = Callable[[str], Kept]
"""From a kept version's SHA-256 to its model; raises PilotfishError if it is absent or refused."""


def no_kept_versions(version: str) -> Kept:
    """Refuse: this engine was opened without a registry."""
    raise StateError(f"kept version {version} cannot be loaded: there is no registry")


class Helm:
    """Steers a decider and a learner. Thread-safe.

    Args:
        log: Where changes are kept.
        decider: What reads what is in force.
        recorder: What must know each model's number.
        learner: Whose model is the live one.
        load_kept: Loads kept versions.
    """

    def __init__(
        self, log: ExperienceLog, decider: Decider, recorder: Recorder, learner: Learner, load_kept: LoadKept
    ) -> None:
        self._log = log
        self._decider = decider
        self._recorder = recorder
        self._learner = learner
        self._load_kept = load_kept
        self._changing: Final = threading.RLock()
        self._swapping: Final = threading.Lock()
        learner.on_birth = self._live_is_born
        self._recorder.numbers[learner.grown.serving.model.version] = learner.grown.serving.number

    @property
    def exposure(self) -> Exposure:
        """What is in force."""
        return self._decider.in_force.exposure

    def take(self, configured: Exposure) -> None:
        """Put in force what the log says, or what is configured for a fresh one.

        A kept version that cannot be loaded does not stop the start: the next step of the ladder answers for it.
        """
        logged = exposures(self._log, 1)
        exposure = logged[0] if logged else configured
        servings: list[Serving | None] = []
        for name in (exposure.policy or LIVE, exposure.control):
            try:
                servings.append(self._serving(name))
            except PilotfishError as error:
                logger.error("kept version %s cannot serve: %s", name, error)  # noqa: TRY400  told, not a bug
                servings.append(None)
        self._put_in_force(exposure, *servings)

    def change(
        self,
        action: str,
        actor: str,
        reason: str,
        *,
        if_number: int | None = None,
        evidence: str = "",
        begins_stage: bool = False,
        **fields: Any,  # noqa: ANN401
    ) -> Exposure:
        """Change what is in force from the next decision on; on record when it takes effect.

        Args:
            action: What is done.
            actor: Who does it.
            reason: Why.
            if_number: Only if this change is still the last one; what rests on evidence must not overrule a person.
            evidence: JSON; what it rests on.
            begins_stage: Whether evidence is gathered anew although the same models serve the same shares.
            fields: Fields of `Exposure` that change.

        Raises:
            PilotfishError: A kept version cannot be loaded, or the last change is another one; nothing has changed.
            sqlite3.Error: The log cannot be written; nothing has changed.
        """
        with self._changing:
            before = self.exposure
            if if_number is not None and before.number != if_number:
                raise StateError(f"change {before.number} is in force, must be {if_number}; look again")
            known = {"action": action, "actor": actor, "reason": reason, "evidence": evidence}
            after = msgspec.structs.replace(before, **known, **fields)
            policy = self._serving(after.policy or LIVE)
            champion = self._serving(after.control)
            exposure = self._recorded(before, after, begins_stage=begins_stage)
            self._put_in_force(exposure, policy, champion)
            return exposure

    def _recorded(self, before: Exposure, after: Exposure, *, begins_stage: bool) -> Exposure:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                return append_exposure(self._log, before, after, begins_stage=begins_stage)
            except sqlite3.OperationalError as error:
                # The low byte is the kind of error; the rest says where it was met.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                    raise
            time.sleep(_BREATH_S)

    def _serving(self, name: str) -> Serving | None:
        in_force, live = self._decider.in_force, self._learner.grown.serving
        if not name:
            return None
        if name == LIVE:
            return live
        for known in (in_force.policy, in_force.champion):
            if known is not None and known.kept == name:
                return known
        model, birth = self._load_kept(name)
        number = self._log.register_model(model.version, model.specification)
        self._recorder.numbers[model.version] = number
        return Serving(model, number, birth, name)

    def _put_in_force(self, exposure: Exposure, policy: Serving | None, champion: Serving | None) -> None:
        self._learner.is_paused = exposure.paused
        with self._swapping:
            live = self._learner.grown.serving  # a birth may have come since they were looked up
            policy, champion = (
                live if serving is not None and not serving.kept else serving for serving in (policy, champion)
            )
            self._decider.in_force = InForce(exposure, live, policy, champion)

    def _live_is_born(self, serving: Serving) -> None:
        self._recorder.numbers[serving.model.version] = serving.number  # first: a choice of it may be logged at once
        with self._swapping:
            exposure, _, policy, champion = self._decider.in_force
            if not exposure.policy:
                policy = serving
            if exposure.control == LIVE:
                champion = serving
            self._decider.in_force = InForce(exposure, serving, policy, champion)
