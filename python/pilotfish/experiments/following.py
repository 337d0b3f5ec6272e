"""Follows what is decided and what comes of it: what the stage in force has shown, and whether the policy may serve."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from pilotfish.codes import Reason
from pilotfish.engine.deciding import Decision
from pilotfish.engine.engine import Engine
from pilotfish.experience.exposures import Exposure, stage_begin
from pilotfish.experience.log import now_us
from pilotfish.experience.record import DecisionRecord, LoggedDecision
from pilotfish.experience.retelling import retell
from pilotfish.experience.signals import SignalRow
from pilotfish.experiments.conservative import ConservativeGate
from pilotfish.experiments.evidence import Evidence
from pilotfish.experiments.joining import assignment_of, is_assigned, observation_of, was_policy
from pilotfish.experiments.sequences import CORE
from pilotfish.experiments.settings import RolloutSettings
from pilotfish.experiments.verdict import Judgement, Verdict, judge
from pilotfish.rewards import RewardFunction

AWAITED_MAX: Final = 1 << 17
"""Decisions whose reward the conservative gate waits for; an older one counts as never rewarded: the safe side."""
BREATH_EVENTS: Final = 32
BREATH_S: Final = 0.0005
"""While the log is read again, a pause after so many events, a millisecond: decisions need the interpreter."""


@dataclass(slots=True)
class Unread:
    """What the log holds of the present stage and has not been taken in yet, and what has happened since."""

    after: tuple[int, int]
    """The last decision and the last signal value before the stage, by their sequence numbers."""
    up_to: tuple[int, int]
    """The last ones before this start."""
    at: int = 0
    """The decision that was taken in last."""
    waiting: deque[Callable[[], None]] = field(default_factory=deque)

    @property
    def share(self) -> float:
        """Share of the decisions that has been taken in, [0, 1]."""
        first, last = self.after[0], self.up_to[0]
        return (max(self.at, first) - first) / (last - first) if last > first else 1.0


class Following:
    """Follows an engine's decisions and outcomes through its stages. Thread-safe.

    What the log holds of the present stage is read by `recall`, which may take minutes where a stage has millions of
    events: it is called on a thread of its own while decisions are answered. Until it is done, what happens waits its
    turn, the verdict is hold, and where a conservative gate is asked for, it is closed.

    Args:
        engine: What is followed, before it answers.
        settings: The rollout's plan.
        rewards: From raw values to utilities.
    """

    def __init__(self, engine: Engine, settings: RolloutSettings, rewards: RewardFunction) -> None:
        self._engine = engine
        self._settings = settings
        self._rewards = rewards
        self._lock = threading.RLock()
        self._unread: Unread | None = None
        self.gate: ConservativeGate | None = None
        """Of the present stage; None if none is asked for."""
        self._begin(engine.exposure)
        log, exposure = engine.log, engine.exposure
        after, up_to = stage_begin(log, exposure), (log.last_decision_sequence(), log.last_signal_sequence())
        if after != up_to and (0.0 < exposure.share < 1.0 or self.gate is not None):
            self._unread = Unread(after, up_to)
        if settings.conservative_loss is not None:
            engine.hold_back_by(self._may_explore)
        engine.followers.append(self)

    @property
    def held_back_share(self) -> float:
        """Share of the stage's decisions that the conservative gate gave to the control."""
        return self._n_held_back / self._n_decided if self._n_decided else 0.0

    def judged(self) -> tuple[Exposure, Verdict, Evidence]:
        """Return what is in force, what its stage has shown, and the evidence, not to be changed."""
        with self._lock:
            self._look_for_a_new_stage()
            exposure = self._engine.exposure
            if self._unread is not None:  # nothing is settled by today's time that the log has yet to bring in order
                reasons = (f"the stage is being read from the log again: {self._unread.share:.0%} done",)
                return exposure, Verdict(exposure.stage, exposure.share, Judgement.HOLD, reasons, ()), self.evidence
            self.evidence.settle(now_us())
            return exposure, judge(self.evidence), self.evidence

    def decided(self, decision: Decision) -> None:
        """Take in a decision that is on record."""
        self._take(partial(self._decided, bytes.fromhex(decision.decision_id), decision.record))

    def happened(self, decision: LoggedDecision, rows: Sequence[SignalRow]) -> None:
        """Take in the values of one call."""
        self._take(partial(self._happened, decision, rows))

    def recall(self, stopping: threading.Event) -> None:
        """Take in what the log held of the present stage at the start, then what has happened since; once.

        Args:
            stopping: Ends it early.

        Raises:
            sqlite3.Error: The log cannot be read; the next call begins anew.
        """
        unread = self._unread
        if unread is None:
            return
        with self._lock:
            self._start_over(self.evidence.visit, self.evidence.share)
        for count, (decision, rows) in enumerate(retell(self._engine.log, unread.after, unread.up_to)):
            if count % BREATH_EVENTS == 0 and stopping.wait(BREATH_S):
                return
            with self._lock:
                if self._unread is not unread:
                    return  # another stage has begun
                if rows:
                    self._happened(decision, rows)
                else:
                    self._decided(decision.decision_id, decision.record)
                    unread.at = decision.sequence
        while self._unread is unread and not stopping.wait(BREATH_S):
            with self._lock:
                for _ in range(min(BREATH_EVENTS, len(unread.waiting))):
                    unread.waiting.popleft()()
                if not unread.waiting and self._unread is unread:
                    self._unread = None

    def _take(self, event: Callable[[], None]) -> None:
        with self._lock:
            self._look_for_a_new_stage()
            if self._unread is None:
                event()
            else:
                self._unread.waiting.append(event)

    def _decided(self, decision_id: bytes, record: DecisionRecord) -> None:
        if record.stage != self.evidence.visit:
            return
        self._n_decided += 1
        self._n_held_back += int(Reason.HELD_BACK) in record.reasons
        if self.gate is not None:
            self.gate.served(by_policy=was_policy(record))
            if len(self._awaited) >= AWAITED_MAX:
                del self._awaited[next(iter(self._awaited))]
            self._awaited[decision_id] = was_policy(record)
        if is_assigned(record):
            self.evidence.decided(assignment_of(decision_id, record))

    def _happened(self, decision: LoggedDecision, rows: Sequence[SignalRow]) -> None:
        is_compared = bool(self.evidence.metrics)
        if decision.record.stage != self.evidence.visit or not (is_compared or self.gate):
            return  # most outcomes of a sidecar whose policy serves nobody or everybody
        observation = observation_of(decision, rows, self._rewards)
        reward = observation.utilities.get("reward")
        by_policy = None if reward is None else self._awaited.pop(decision.decision_id, None)
        if self.gate is not None and reward is not None and by_policy is not None:
            self.gate.rewarded(reward, by_policy=by_policy)
        if is_assigned(decision.record):
            self.evidence.observe(observation)

    def _may_explore(self) -> bool:
        with self._lock:
            self._look_for_a_new_stage()
            return self.gate is None or (self._unread is None and self.gate.may_explore())

    def _look_for_a_new_stage(self) -> None:
        exposure = self._engine.exposure
        if exposure.stage != self.evidence.visit:
            self._begin(exposure)

    def _begin(self, exposure: Exposure) -> None:
        self._unread = None
        self._start_over(exposure.stage, exposure.share)

    def _start_over(self, visit: int, share: float) -> None:
        self.evidence = Evidence(visit, share, self._settings, CORE)
        loss = self._settings.conservative_loss
        self.gate = None if loss is None else ConservativeGate(loss, CORE)
        self._awaited: dict[bytes, bool] = {}
        self._n_decided = self._n_held_back = 0
