"""The way of an outcome: validate → log → acknowledge → join with its decision → utility → core.learn.

The learned state is the fold of the log: `Learner.restore` starts from the newest usable checkpoint, or from the last
birth on record (`engine/growth.py`), and learns the signal values that came after it, in the order of the log, through
the same code that learned them the first time.
"""

import hashlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from pilotfish._core import Model
from pilotfish.codes import Signal
from pilotfish.engine.grown import Grown
from pilotfish.engine.growth import Serving
from pilotfish.engine.health import Health
from pilotfish.engine.ranges import BLOCK, Ranges
from pilotfish.exceptions import ConflictError, InvalidInputError, PilotfishError
from pilotfish.experience.checkpoints import Checkpoint, Checkpoints
from pilotfish.experience.defaults import append_defaults
from pilotfish.experience.log import ExperienceLog
from pilotfish.experience.record import LoggedDecision
from pilotfish.experience.signals import Kind, NewSignal, SignalRow, Use, Value
from pilotfish.request import Outcome, Receipt
from pilotfish.rewards import RewardFunction

CHECKPOINT_EVERY = 2000
"""Signal values between checkpoints: at about 30 µs each, at most 0.1 s of folding at the next start."""

EXPIRE_AT_ONCE: Final = 64
"""Decisions that are looked at for missing signals in one commit: at 50 to 70 µs each, an outcome waits up to 5 ms."""

logger = logging.getLogger(__name__)


class Learner:
    """The one writer of the learned state.

    Args:
        grown: The model that learns, and where it is in its life; it publishes a snapshot to readers after each value.
        health: The baseline's running means, folded from the same values.
        log: The truth.
        rewards: From raw values to utilities.
        checkpoints: Where states are kept, so that a start need not fold the whole log. None: nowhere.
        counters: Where events are counted, by (what, detail).
    """

    def __init__(
        self,
        *,
        grown: Grown,
        health: Health,
        log: ExperienceLog,
        rewards: RewardFunction,
        checkpoints: Checkpoints | None,
        counters: Counter[tuple[str, int | str]],
    ) -> None:
        self.grown = grown
        self.health = health
        self.on_birth: Callable[[Serving], None] = lambda _: None
        self.on_outcome: Callable[[LoggedDecision, Sequence[SignalRow]], None] = lambda *_: None
        """Told of the values of one call that belong to the decided module and are the first of their signals."""
        self.is_paused = False
        """Whether values are kept and not learned."""
        self._log = log
        self._rewards = rewards
        self.ranges = Ranges(rewards, counters)
        self._checkpoints = checkpoints
        self._counters = counters
        self._lock = threading.RLock()
        self._birth_lock = threading.Lock()
        self._folded = 0
        self._checkpointed = 0

    @property
    def model(self) -> Model:
        """The model that learns now."""
        return self.grown.model

    def restore(self, after: int, *, late_in_time: bool = False) -> None:
        """Learn what the log holds after a sequence number, which the model and health have learned up to.

        Args:
            after: The sequence number, which the model's birth may lie after.
            late_in_time: As if whatever came late had come in time; for training, never for the state that serves.
        """
        self._folded = self._checkpointed = after
        decision: LoggedDecision | None = None
        for row in self._log.signals(after, late_in_time=late_in_time):
            if decision is None or decision.sequence != row.decision_sequence:
                decision = self._log.decision_by_sequence(row.decision_sequence)
            self._learn(decision, row)
            self._folded = row.sequence
        for signal, value in self._log.newest_values(BLOCK * len(Signal)):
            self.ranges.observe(Signal(signal), value)
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
            rows = self._log.rows_of(decision.sequence)
            recorded = {row.signal: Value(row.value, row.kind) for row in rows if row.kind is not Kind.DEFAULT}
            fresh = _fresh_values(outcome, recorded)
            if fresh:
                defaulted = {row.signal for row in rows if row.kind is Kind.DEFAULT}
                served = outcome.served_module
                self._append(
                    decision, [self._new_signal(decision, s, value, served, defaulted) for s, value in fresh.items()]
                )
            return Receipt(recorded_count=len(fresh), joined=True)

    def join_parked(self, request_id: str) -> None:
        """Learn the outcomes that came before their decision, which has just been logged."""
        with self._lock:
            decision = self._log.find_request(request_id)
            if decision is None:
                return
            defaulted = {row.signal for row in self._log.rows_of(decision.sequence) if row.kind is Kind.DEFAULT}
            parked = self._log.parked_signals(request_id)
            fresh = [self._new_signal(decision, signal, *waiting, defaulted) for signal, waiting in parked.items()]
            self._append(decision, fresh, parked_as=request_id)

    def expire(self, now_us: int) -> bool:
        """Log and learn the defaults of signals whose windows have passed, for a few decisions; one commit per signal.

        Args:
            now_us: Microseconds since the epoch.

        Returns:
            Whether there may be more to do at once.

        Raises:
            sqlite3.Error: The log cannot be written; what was not is tried again with the next call.
        """
        is_more = False
        for signal, value in self._rewards.defaults.items():
            before_us = now_us - int(self._rewards.windows_s[signal] * 1e6)
            with self._lock:
                use = Use.PAUSED if self.is_paused else Use.LEARNED
                expired = append_defaults(self._log, signal, value, before_us, EXPIRE_AT_ONCE, use)
                for row in expired.rows:
                    decision = self._log.decision_by_sequence(row.decision_sequence)
                    self._learn(decision, row)
                    self._folded = row.sequence
                    self._tell(decision, [row])
            is_more |= expired.decision_count == EXPIRE_AT_ONCE
        return is_more

    def bear(self) -> None:
        """Let another model take over if the log has doubled or the world has changed; decisions go on meanwhile.

        Raises:
            sqlite3.Error: The log cannot be written; the old model stays, and the next call tries again.
        """
        with self._birth_lock:  # one at a time: they must take over in the order in which they are on record
            with self._lock:
                if not self.grown.is_due(self._folded):
                    return
                up_to = self._folded
            heir = self.grown.heir(up_to)
            if heir is self.grown:
                return
            with self._lock:
                for row in self._log.signals(up_to):
                    if row.sequence <= self._folded and row.use is Use.LEARNED:
                        self._teach(heir, row)
                self.grown = heir
                self.on_birth(heir.serving)
                self._checkpointed = -CHECKPOINT_EVERY  # due: those before belong to another birth
        self._counters["birth", 0] += 1
        if heir.answers_change:
            self._counters["change", 0] += 1

    def _teach(self, heir: Grown, row: SignalRow) -> None:
        # What the core refuses was counted and named when the parent met it; a fold passes over it as well.
        with suppress(PilotfishError):
            heir.learn(self._log.decision_by_sequence(row.decision_sequence), row)

    def state_sha256(self) -> str:
        """Return the SHA-256 of the learned state; equal histories give equal states."""
        with self._lock:
            model, health = self.grown.model.frozen(), self.health.state()
        return hashlib.sha256(model.state() + health).hexdigest()

    def checkpoint(self) -> None:
        """Write the learned state if it has changed; learning waits for a few pointers, not for bytes or disk."""
        if self._checkpoints is None:
            return
        with self._lock:
            if self._folded == self._checkpointed:
                return
            folded, model, health = self._folded, self.grown.model.frozen(), self.health.state()
            birth, watch = self.grown.birth, self.grown.watch()
        self._checkpoints.write(Checkpoint(folded, model.version, model.state(), health, birth, *watch))
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
        rows = self._log.append_signals(decision.sequence, fresh, parked_as=parked_as)
        for row in rows:
            self._learn(decision, row)
            self._folded = row.sequence
            self.ranges.observe(Signal(row.signal), row.value)
        self._tell(decision, rows)

    def _tell(self, decision: LoggedDecision, rows: Sequence[SignalRow]) -> None:
        counted = [row for row in rows if row.use in {Use.LEARNED, Use.PAUSED}]
        if not counted:
            return
        try:
            self.on_outcome(decision, counted)
        except Exception:
            # The outcome is on record and must be acknowledged; what follows it is made again from the log at a start.
            self._counters["following_failed", 0] += 1
            logger.exception("what follows an outcome failed")

    def _new_signal(
        self, decision: LoggedDecision, signal: int, value: Value, served_module: str, defaulted: set[int]
    ) -> NewSignal:
        use = Use.PAUSED if self.is_paused else Use.LEARNED
        if signal in defaulted:
            use = Use.LATE
        if served_module not in {"", decision.module}:
            use = Use.OTHER_MODULE
        return NewSignal(signal, value.value, value.kind, use, served_module or None)

    def _park(self, outcome: Outcome) -> Receipt:
        parked = {signal: waiting.value for signal, waiting in self._log.parked_signals(outcome.request_id).items()}
        fresh = _fresh_values(outcome, parked)
        if fresh:
            self._log.park_signals(outcome.request_id, fresh.items(), outcome.served_module)
        # The decision may have come on another thread after it was looked for and before anything was parked.
        arrived = self._log.find_request(outcome.request_id) is not None
        if arrived:
            self.join_parked(outcome.request_id)
        return Receipt(recorded_count=len(fresh), joined=arrived)

    def _learn(self, decision: LoggedDecision, row: SignalRow) -> None:
        signal, value = Signal(row.signal), row.value
        if row.use is Use.LATE:
            self._counters["late", signal] += 1
            return
        if row.use in {Use.OTHER_MODULE, Use.PAUSED}:
            if row.use is Use.PAUSED:
                self._counters["paused", signal] += 1
            else:
                self._counters["not_learned", signal] += 1
            return
        # Whatever the core says of it: a fold that starts at a birth does not ask the core about what was before.
        self.health.observe(decision.module, signal, value)
        try:
            if row.sequence > self.grown.born_at:
                self.grown.learn(decision, row)
        except PilotfishError:
            # The outcome is on record and acknowledged; what the core refuses now it refuses in every fold.
            self._counters["learn_failed", signal] += 1
            logger.exception("the core refused a logged outcome")
            return
        self._counters["learned", signal] += 1
        if row.kind is Kind.LOWER_BOUND:
            self._counters["lower_bound", signal] += 1
        elif row.kind is Kind.DEFAULT:
            self._counters["defaulted", signal] += 1


def _fresh_values(outcome: Outcome, recorded: Mapping[int, Value]) -> dict[int, Value]:
    fresh = {}
    for signal, number in outcome.signals.items():
        value = Value(number, Kind.LOWER_BOUND if signal in outcome.lower_bounds else Kind.MEASURED)
        before = recorded.get(signal)
        if before is None:
            fresh[signal] = value
        elif before != value:
            name = Signal(signal).name.lower()
            rule = f"must be {_in_words(before)} as recorded before"
            raise ConflictError(
                f"{name} == {_in_words(value)}, {rule}; a measurement is never overwritten",
                reason="SIGNAL_CONFLICT",
                metadata={"field": f"signals.{name}", "value": _in_words(value), "rule": rule},
            )
    return fresh


def _in_words(value: Value) -> str:
    return f"{value.value!r} (a lower bound)" if value.kind is Kind.LOWER_BOUND else repr(value.value)
