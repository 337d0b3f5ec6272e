"""The engine: decisions, outcomes, modules and modes over one state directory. No gRPC inside."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from pilotfish._core import Model
from pilotfish.codes import Mode
from pilotfish.engine.deciding import Decider, Decision, InForce
from pilotfish.engine.folding import origin_of, restored
from pilotfish.engine.grown import growth_in_words
from pilotfish.engine.helm import Helm, LoadKept, no_kept_versions
from pilotfish.engine.recollecting import recollect
from pilotfish.engine.recording import Recorder, decision_of
from pilotfish.exceptions import InvalidInputError, PilotfishError
from pilotfish.experience.births import last_birth_time_us
from pilotfish.experience.checkpoints import Checkpoints
from pilotfish.experience.constraint_sets import register_constraints
from pilotfish.experience.directory_lock import DirectoryLock
from pilotfish.experience.exposures import Exposure, exposures
from pilotfish.experience.log import ExperienceLog, now_us
from pilotfish.experience.record import LoggedDecision
from pilotfish.experience.signals import SignalRow
from pilotfish.experience.upkeep import Upkeep
from pilotfish.request import Module, Outcome, Receipt, Request
from pilotfish.rewards import RewardFunction
from pilotfish.safety.breakers import State
from pilotfish.safety.safeguards import Safeguards
from pilotfish.safety.settings import SafetySettings

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
    decide_budget_s: float = 0.001
    """With less time left than this no model is asked; see `ServerSettings.decide_budget_ms`."""
    safety: SafetySettings = SafetySettings()
    """What may not be served."""
    encoder: dict[str, Any] = {}
    learner: dict[str, Any] = {}
    explorer: dict[str, Any] = {}


class Follower(Protocol):
    """Something that follows what is decided and what comes of it."""

    def decided(self, decision: Decision) -> None:
        """Take in a decision that is on record, before it is answered."""

    def happened(self, decision: LoggedDecision, rows: Sequence[SignalRow]) -> None:
        """Take in the values of one call that belong to the decided module and are the first of their signals."""


class Engine:
    """Opens a state directory, folds its log and answers. Thread-safe. One engine per directory.

    Args:
        state_dir: Holds the log and the checkpoints; created if absent.
        settings: See `EngineSettings`.
        rewards: From raw signals to utilities.
        load_kept: Loads kept versions of models, if there is a registry.

    Raises:
        StateError: Another process uses the directory, or its log is not usable.
        InvalidInputError: A setting breaks its rule.
    """

    def __init__(
        self,
        state_dir: Path,
        settings: EngineSettings | None = None,
        rewards: RewardFunction | None = None,
        load_kept: LoadKept = no_kept_versions,
    ) -> None:
        settings = settings or EngineSettings()
        rewards = rewards or RewardFunction()
        origin = origin_of(
            settings.encoder, settings.learner, settings.explorer, rewards, grows=settings.growth != "off"
        )
        self._origin = origin
        self._grows_inline = settings.growth == "inline"
        self.counters: Counter[tuple[str, int | str]] = Counter()
        self.followers: list[Follower] = []
        self.safeguards = Safeguards(settings.safety, self._on_transition)
        self.state_dir = state_dir
        self._modules_lock = threading.Lock()
        self._directory_lock = DirectoryLock(state_dir)
        try:
            self.log = ExperienceLog(state_dir, settings.id_seed.encode())
            self._learner = restored(self.log, Checkpoints(state_dir), origin, rewards, self.counters)
            recollect(self.log, self.safeguards, now_us(), time.monotonic())
            configured = Exposure(mode=settings.mode, rollout_share=settings.rollout_share)
            live = self._learner.grown.serving
            self._decider = Decider(
                in_force=InForce(configured, live, live, None),
                log=self.log,
                health=self._learner.health,
                safeguards=self.safeguards,
                constraints_number=register_constraints(self.log, settings.safety.constraints().content()),
                default_weights=rewards.weights,
                salt=settings.rollout_salt.encode(),
                live_reward=settings.live_reward,
                decide_budget_s=settings.decide_budget_s,
                counters=self.counters,
            )
            self._recorder = Recorder(self.log, self.safeguards, self.counters)
            self.helm = Helm(self.log, self._decider, self._recorder, self._learner, load_kept)
            self.helm.take(configured)
            self._learner.on_outcome = self._on_outcome
            self._modules = {module.name: module for module in self.log.modules()}
        except BaseException:
            self._directory_lock.release()
            raise
        self._upkeep = Upkeep(self.log.path, self._learner)

    # -- decisions and outcomes ------------------------------------------------------------------------------------

    def decide(self, request: Request, remaining_s: float | None = None) -> Decision:
        """Choose a module, log the choice, then return it.

        Args:
            request: The request.
            remaining_s: Seconds that the caller still waits; None: as long as it takes.

        Raises:
            InvalidInputError: No candidate, or an unknown baseline.
            StateError: No candidate is legal.
            ConflictError: The request_id belongs to another request.
        """
        choice = self._decider.choose(self._resolve(request), remaining_s)
        (answer,) = self._recorder.log((choice,))
        if isinstance(answer, PilotfishError):
            raise answer
        self._follow(answer, is_fresh=answer is choice)
        return answer

    def decide_batch(
        self, requests: Sequence[Request | PilotfishError], remaining_s: float | None = None
    ) -> list[Decision | PilotfishError]:
        """Choose for several requests in one commit; a request that is an error, or raises one, stays that error."""
        choices = [self._choose(request, remaining_s) for request in requests]
        logged = iter(self._recorder.log([choice for choice in choices if isinstance(choice, Decision)]))
        answers = [next(logged) if isinstance(choice, Decision) else choice for choice in choices]
        for choice, answer in zip(choices, answers, strict=True):
            if isinstance(answer, Decision):
                self._follow(answer, is_fresh=answer is choice)
        return answers

    def _follow(self, decision: Decision, *, is_fresh: bool) -> None:
        if is_fresh:  # neither a repeat nor unlogged
            self._tell(lambda follower: follower.decided(decision))
        self._join_parked(decision)

    def _on_outcome(self, decision: LoggedDecision, rows: Sequence[SignalRow]) -> None:
        values = [(row.signal, row.value) for row in rows]
        self.safeguards.observe(decision.module, decision.decision_id, values, time.monotonic())
        self._tell(lambda follower: follower.happened(decision, rows))

    def _tell(self, tell: Callable[[Follower], None]) -> None:
        for follower in self.followers:
            try:
                tell(follower)
            except Exception:
                # What it was told of is on record and must be answered, and the others must hear of it.
                self.counters["following_failed", 0] += 1
                logger.exception("what follows decisions and outcomes failed")

    def _on_transition(self, module: str, before: State, after: State) -> None:
        self.counters["breaker", after.name.lower()] += 1
        logger.warning("breaker of %s: %s, was %s", module, after.name.lower(), before.name.lower())

    def _join_parked(self, decision: Decision) -> None:
        request_id = decision.record.request.request_id
        if self.log.is_parked(request_id):
            self._learner.join_parked(request_id)
            if self._grows_inline:
                self._learner.bear()

    def _choose(self, request: Request | PilotfishError, remaining_s: float | None) -> Decision | PilotfishError:
        if isinstance(request, PilotfishError):
            return request
        try:
            return self._decider.choose(self._resolve(request), remaining_s)
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
        return self.exposure.mode

    @property
    def rollout_share(self) -> float:
        """The share of units that mode rollout gives to the policy."""
        return self.exposure.rollout_share

    @property
    def exposure(self) -> Exposure:
        """What is in force; `helm` changes it."""
        return self.helm.exposure

    def changes(self, limit: int) -> list[Exposure]:
        """Return the newest changes of what is in force, newest first."""
        return exposures(self.log, limit)

    @property
    def serves(self) -> InForce:
        """What decides now."""
        return self._decider.in_force

    def hold_back_by(self, may_explore: Callable[[], bool]) -> None:
        """Have a gate asked before a decision may be the policy's; it must look at nothing but the past."""
        self._decider.may_explore = may_explore

    def set_mode(self, mode: Mode, rollout_share: float | None, actor: str, reason: str) -> None:
        """Change the mode from the next decision on; logged before it takes effect."""
        share = self.rollout_share if rollout_share is None else rollout_share
        self.helm.change("set_mode", actor, reason, mode=mode, rollout_share=share)

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

    @property
    def live_since_us(self) -> int:
        """When the live model was born, microseconds since the epoch; the first start of the log if it never was."""
        return last_birth_time_us(self.log)

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


def _with_descriptors(module: Module, registered: Module | None) -> Module:
    if registered is None:
        return module
    limit = registered.max_data_size_bytes if module.max_data_size_bytes is None else module.max_data_size_bytes
    return Module(
        module.name,
        module.features or registered.features,
        module.capabilities or registered.capabilities,
        limit,
        module.required_features or registered.required_features,
    )
