"""The way of an outcome: validate → log → acknowledge → join with its decision → utility → core.learn.

The learned state is the fold of the log: `Learner.restore` starts from the newest usable checkpoint and learns the
signal values that came after it, in the order of the log, through the same code that learned them the first time.
"""

import hashlib
import logging
import threading
from collections import Counter

from pilotfish._core import Model
from pilotfish.codes import Signal
from pilotfish.engine.health import Health
from pilotfish.exceptions import ConflictError, InvalidInputError, PilotfishError
from pilotfish.experience.checkpoints import Checkpoint, Checkpoints
from pilotfish.experience.log import ExperienceLog, NewSignal
from pilotfish.experience.record import LoggedDecision
from pilotfish.request import Outcome, Receipt
from pilotfish.rewards import RewardFunction

CHECKPOINT_EVERY = 2000
"""Signal values between checkpoints: at about 30 µs each, at most 0.1 s of folding at the next start."""

logger = logging.getLogger(__name__)


class Learner:
    """The one writer of the learned state.

    Args:
        model: The model that learns; it publishes a snapshot to readers after each value.
        health: The baseline's running means, folded from the same values.
        log: The truth.
        rewards: From raw values to utilities.
        checkpoints: Where states are kept, so that a start need not fold the whole log. None: nowhere.
        counters: Where events are counted, by (what, detail).
    """

    def __init__(
        self,
        *,
        model: Model,
        health: Health,
        log: ExperienceLog,
        rewards: RewardFunction,
        checkpoints: Checkpoints | None,
        counters: Counter[tuple[str, int]],
    ) -> None:
        self.model = model
        self.health = health
        self._log = log
        self._rewards = rewards
        self._checkpoints = checkpoints
        self._counters = counters
        self._lock = threading.RLock()
        self._folded = 0
        self._checkpointed = 0

    def restore(self, after: int) -> None:
        """Learn what the log holds after a sequence number, which the model and health have learned up to."""
        self._folded = self._checkpointed = after
        decision: LoggedDecision | None = None
        for row in self._log.signals(after):
            if decision is None or decision.sequence != row.decision_sequence:
                decision = self._log.decision_by_sequence(row.decision_sequence)
            self._learn(decision, row.signal, row.value, learned=row.learned)
            self._folded = row.sequence
        for request_id in self._log.answered_parked():
            self.join_parked(request_id)

    def record(self, outcome: Outcome) -> Receipt:
        """Log an outcome, durable on return, and learn it once its decision is known. Idempotent for ever.

        Raises:
            NotFoundError: There is no decision with this id (reason DECISION_NOT_FOUND).
            ConflictError: A signal is recorded with another value (reason SIGNAL_CONFLICT).
            InvalidInputError: The served module was not a candidate.
            sqlite3.Error: The log cannot be written; nothing was.
        """
        with self._lock:
            decision = self._find(outcome)
            if decision is None:
                return self._park(outcome)
            recorded = self._log.signals_of(decision.sequence)
            fresh = _fresh_signals(outcome.signals, recorded)
            if fresh:
                new = [_new_signal(decision, signal, value, outcome.served_module) for signal, value in fresh.items()]
                self._append(decision, new)
            return Receipt(recorded_count=len(fresh), joined=True)

    def join_parked(self, request_id: str) -> None:
        """Learn the outcomes that came before their decision, which has just been logged."""
        with self._lock:
            decision = self._log.find_request(request_id)
            if decision is None:
                return
            parked = self._log.parked_signals(request_id)
            fresh = [_new_signal(decision, signal, *waiting) for signal, waiting in parked.items()]
            self._append(decision, fresh, parked_as=request_id)

    def state_sha256(self) -> str:
        """Return the SHA-256 of the learned state; equal histories give equal states."""
        with self._lock:
            model, health = self.model.frozen(), self.health.state()
        return hashlib.sha256(model.state() + health).hexdigest()

    def checkpoint(self) -> None:
        """Write the learned state if it has changed; learning waits for a few pointers, not for bytes or disk."""
        if self._checkpoints is None:
            return
        with self._lock:
            if self._folded == self._checkpointed:
                return
            folded, model, health = self._folded, self.model.frozen(), self.health.state()
        self._checkpoints.write(Checkpoint(folded, model.version, model.state(), health))
        self._checkpointed = folded

    @property
    def checkpoint_due(self) -> bool:
        """Whether enough has been learned since the last checkpoint."""
        return self._folded - self._checkpointed >= CHECKPOINT_EVERY

    def _find(self, outcome: Outcome) -> LoggedDecision | None:
        if outcome.request_id:
            decision = self._log.find_request(outcome.request_id)
        else:
            decision = self._log.get_decision(outcome.decision_id)
        if decision is not None and outcome.served_module:
            names = [module.name for module in decision.record.request.candidates]
            if outcome.served_module not in names:
                raise InvalidInputError(
                    f"served_module == {outcome.served_module}, must be a candidate of the decision",
                    reason="VALUE_OUT_OF_RANGE",
                    metadata={"field": "served_module", "value": outcome.served_module, "rule": "a candidate"},
                )
        return decision

    def _append(self, decision: LoggedDecision, fresh: list[NewSignal], *, parked_as: str = "") -> None:
        sequences = self._log.append_signals(decision.sequence, fresh, parked_as=parked_as)
        for sequence, signal in zip(sequences, fresh, strict=True):
            self._learn(decision, signal.signal, signal.value, learned=signal.learned)
            self._folded = sequence

    def _park(self, outcome: Outcome) -> Receipt:
        parked = {signal: value for signal, (value, _) in self._log.parked_signals(outcome.request_id).items()}
        fresh = _fresh_signals(outcome.signals, parked)
        if fresh:
            self._log.park_signals(outcome.request_id, fresh.items(), outcome.served_module)
        # The decision may have come on another thread after it was looked for and before anything was parked.
        arrived = self._log.find_request(outcome.request_id) is not None
        if arrived:
            self.join_parked(outcome.request_id)
        return Receipt(recorded_count=len(fresh), joined=arrived)

    def _learn(self, decision: LoggedDecision, signal: int, value: float, *, learned: bool) -> None:
        if not learned:
            self._counters["not_learned", signal] += 1
            return
        request = decision.record.request
        module = next(module for module in request.candidates if module.name == decision.module)
        kind = Signal(signal)
        try:
            self.model.learn(
                request.task.features,
                request.task.description,
                (module.name, module.features, module.capabilities),
                signal - 1,
                self._rewards.utility(kind, value),
            )
        except PilotfishError:
            # The outcome is on record and acknowledged; what the core refuses now it refuses in every fold.
            self._counters["learn_failed", signal] += 1
            logger.exception("the core refused a logged outcome")
            return
        self.health.observe(module.name, kind, value)
        self._counters["learned", signal] += 1


def _new_signal(decision: LoggedDecision, signal: int, value: float, served_module: str) -> NewSignal:
    return NewSignal(signal, value, served_module in {"", decision.module}, served_module or None)


def _fresh_signals(signals: dict[int, float], recorded: dict[int, float]) -> dict[int, float]:
    for signal, value in signals.items():
        if signal in recorded and recorded[signal] != value:
            name = Signal(signal).name.lower()
            raise ConflictError(
                f"{name} == {value}, must be {recorded[signal]} as recorded before; a measurement is never overwritten",
                reason="SIGNAL_CONFLICT",
                metadata={"field": f"signals.{name}", "value": repr(value), "rule": f"must be {recorded[signal]!r}"},
            )
    return {signal: value for signal, value in signals.items() if signal not in recorded}
