"""The engine: decisions, outcomes, modules and modes over one state directory. No gRPC inside."""

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from pilotfish._core import ChangeDetector, Model
from pilotfish.codes import Mode
from pilotfish.engine.change import Change
from pilotfish.engine.deciding import Decider, Decision, decision_of
from pilotfish.engine.grown import Grown, born, growth_in_words, last_birth
from pilotfish.engine.growth import Origin
from pilotfish.engine.health import Health
from pilotfish.engine.learning import Learner
from pilotfish.engine.specification import model_specification
from pilotfish.exceptions import InvalidInputError, PilotfishError, StateError
from pilotfish.experience.checkpoints import Checkpoints
from pilotfish.experience.directory_lock import DirectoryLock
from pilotfish.experience.log import ExperienceLog
from pilotfish.experience.record import LoggedDecision
from pilotfish.experience.upkeep import Upkeep
from pilotfish.request import Module, Outcome, Receipt, Request
from pilotfish.rewards import RewardFunction

logger = logging.getLogger(__name__)


Growth: TypeAlias = Literal["off", "background", "inline"]


class EngineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an engine is made of. Everything but mode and share is frozen into the model version or the hash."""

    mode: Mode = Mode.ROLLOUT
    """Mode of a fresh log; afterwards the last logged change is in force."""
    rollout_share: float = 0.05
    """Share of units that mode rollout of a fresh log gives to the policy, which has shown nothing yet."""
    rollout_salt: str = "pilotfish"
    """Key of the rollout's hash; the same in every sidecar that shares units. At most 64 bytes."""
    id_seed: str = ""
    """If not empty, decision ids and with them all draws follow from it; for simulations. At most 64 bytes."""
    live_reward: bool = False
    """Whether the policy is told how each candidate has done lately; see `PolicySettings.live_reward`."""
    growth: Growth = "background"
    """Whether models are born from the log when it has doubled or the world has changed: `off`; `background`, on a
    thread of its own; `inline`, before what made it due is answered, so that simulations can be repeated."""
    encoder: dict[str, Any] = {}
    learner: dict[str, Any] = {}
    explorer: dict[str, Any] = {}


class Engine:
    """Opens a state directory, folds its log and answers. Thread-safe. One engine per directory.

    Args:
        state_dir: Holds the log and the checkpoints; created if absent.
        settings: See `EngineSettings`.
        rewards: From raw signals to utilities.

    Raises:
        StateError: Another process uses the directory, or its log is not usable.
        InvalidInputError: A setting breaks its rule.
    """

    def __init__(
        self, state_dir: Path, settings: EngineSettings | None = None, rewards: RewardFunction | None = None
    ) -> None:
        settings = settings or EngineSettings()
        rewards = rewards or RewardFunction()
        origin = _origin(settings, rewards)
        self._origin = origin
        self._grows_inline = settings.growth == "inline"
        self.counters: Counter[tuple[str, int]] = Counter()
        self.state_dir = state_dir
        self._modules_lock = threading.Lock()
        self._directory_lock = DirectoryLock(state_dir)
        try:
            self.log = ExperienceLog(state_dir, settings.id_seed.encode())
            self._learner = _restore(self.log, Checkpoints(state_dir), origin, rewards, self.counters)
            self._decider = Decider(
                serving=self._learner.grown.serving,
                log=self.log,
                health=self._learner.health,
                default_weights=rewards.weights,
                salt=settings.rollout_salt.encode(),
                live_reward=settings.live_reward,
                counters=self.counters,
            )
            self._learner.on_birth = self._decider.serve
            change = self.log.last_mode_change()
            self._decider.mode = settings.mode if change is None else Mode(change.mode)
            self._decider.rollout_share = settings.rollout_share if change is None else change.rollout_share
            self._modules = {module.name: module for module in self.log.modules()}
        except BaseException:
            self._directory_lock.release()
            raise
        self._upkeep = Upkeep(self.log.path, self._learner)

    # -- decisions and outcomes ------------------------------------------------------------------------------------

    def decide(self, request: Request) -> Decision:
        """Choose a module, log the choice, then return it.

        Raises:
            InvalidInputError: No candidate, or an unknown baseline.
            StateError: No candidate is legal.
            ConflictError: The request_id belongs to another request.
        """
        (answer,) = self._decider.log((self._decider.choose(self._resolve(request)),))
        if isinstance(answer, PilotfishError):
            raise answer
        self._join_parked(answer)
        return answer

    def decide_batch(self, requests: Sequence[Request | PilotfishError]) -> list[Decision | PilotfishError]:
        """Choose for several requests in one commit; a request that is an error, or raises one, stays that error."""
        choices = [self._choose(request) for request in requests]
        logged = iter(self._decider.log([choice for choice in choices if isinstance(choice, Decision)]))
        answers = [next(logged) if isinstance(choice, Decision) else choice for choice in choices]
        for answer in answers:
            if isinstance(answer, Decision):
                self._join_parked(answer)
        return answers

    def _join_parked(self, decision: Decision) -> None:
        request_id = decision.record.request.request_id
        if self.log.is_parked(request_id):
            self._learner.join_parked(request_id)
            if self._grows_inline:
                self._learner.bear()

    def _choose(self, request: Request | PilotfishError) -> Decision | PilotfishError:
        if isinstance(request, PilotfishError):
            return request
        try:
            return self._decider.choose(self._resolve(request))
        except PilotfishError as error:
            return error

    def record_outcome(self, outcome: Outcome) -> Receipt:
        """Log an outcome, then learn from it; see `Learner.record` for what it raises."""
        receipt = self._learner.record(outcome)
        if self._grows_inline:
            self._learner.bear()
        self.counters["outcome", 0] += 1
        return receipt

    def explain(self, decision_id: str) -> tuple[LoggedDecision, Decision, dict[int, float]]:
        """Return a logged decision with its recorded signals.

        Raises:
            NotFoundError: There is no such decision.
        """
        logged = self.log.get_decision(decision_id)
        return logged, decision_of(logged), self.log.signals_of(logged.sequence)

    # -- modules and modes -----------------------------------------------------------------------------------------

    def register_modules(self, modules: Sequence[Module]) -> int:
        """Add modules to the registry or replace them, durably; return how many there are."""
        with self._modules_lock:
            self.log.put_modules(modules)
            self._modules = {**self._modules, **{module.name: module for module in modules}}
            return len(self._modules)

    @property
    def modules(self) -> tuple[Module, ...]:
        """The registry in declared order."""
        return tuple(self._modules.values())

    @property
    def mode(self) -> Mode:
        """The mode in force."""
        return self._decider.mode

    @property
    def rollout_share(self) -> float:
        """The share of units that mode rollout gives to the policy."""
        return self._decider.rollout_share

    def set_mode(self, mode: Mode, rollout_share: float | None, actor: str, reason: str) -> None:
        """Change the mode from the next decision on; logged before it takes effect."""
        share = self.rollout_share if rollout_share is None else rollout_share
        self.log.append_mode_change(mode, share, actor, reason)
        self._decider.rollout_share = share
        self._decider.mode = mode

    @property
    def range_warnings(self) -> tuple[str, ...]:
        """What is wrong with the ranges of reported values, one sentence per signal."""
        return self._learner.ranges.warnings

    def growth_in_words(self) -> tuple[int, str]:
        """Return how many births there have been, and the last change in words; empty if there was none."""
        return growth_in_words(self.log, self._origin)

    # -- state -----------------------------------------------------------------------------------------------------

    @property
    def model(self) -> Model:
        """The learned policy."""
        return self._learner.grown.model

    def state_sha256(self) -> str:
        """Return the SHA-256 of the learned state."""
        return self._learner.state_sha256()

    def close(self) -> None:
        """Write a checkpoint and release the directory. Nothing acknowledged depends on this."""
        self._upkeep.stop()
        try:
            self._learner.checkpoint()
        except OSError as error:
            logger.warning("no checkpoint at close (%s); the next start folds the log instead", error)
        self.log.close()
        self._directory_lock.release()

    def _resolve(self, request: Request) -> Request:
        """Attach what the registry knows, so that the record stands by itself."""
        candidates = request.candidates or self.modules
        if not candidates:
            raise InvalidInputError(
                "candidates is empty and no module is registered, must hold at least one module",
                reason="NO_CANDIDATES",
                metadata={"field": "candidates", "rule": "offer candidates or register modules"},
            )
        if self._modules and request.candidates:
            candidates = tuple(_with_descriptors(module, self._modules.get(module.name)) for module in candidates)
        if request.baseline_module and all(module.name != request.baseline_module for module in candidates):
            raise InvalidInputError(
                f"baseline_module == {request.baseline_module}, must be one of the candidates",
                reason="UNKNOWN_BASELINE",
                metadata={
                    "field": "baseline_module",
                    "value": request.baseline_module,
                    "rule": "one of the candidates",
                },
            )
        return request if candidates is request.candidates else msgspec.structs.replace(request, candidates=candidates)


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


def _origin(settings: EngineSettings, rewards: RewardFunction) -> Origin:
    def specify(encoder: dict[str, Any]) -> bytes:
        return model_specification(rewards, encoder, settings.learner, settings.explorer)

    version = Model(specify(settings.encoder)).version
    return Origin(version, settings.encoder, specify, grows=settings.growth != "off")


def _restore(
    log: ExperienceLog,
    checkpoints: Checkpoints,
    origin: Origin,
    rewards: RewardFunction,
    counters: Counter[tuple[str, int]],
) -> Learner:
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


def _with_descriptors(module: Module, registered: Module | None) -> Module:
    if registered is None:
        return module
    limit = registered.max_data_size_bytes if module.max_data_size_bytes is None else module.max_data_size_bytes
    return Module(
        module.name, module.features or registered.features, module.capabilities or registered.capabilities, limit
    )
