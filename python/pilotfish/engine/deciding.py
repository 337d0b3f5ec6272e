"""The way of a decision: legal set → baseline → rollout → core → mixture → guard → log → reply."""

import logging
import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from pilotfish._core import Choice, Model
from pilotfish.codes import Mode, Reason, Source
from pilotfish.engine.baseline import choose_baseline
from pilotfish.engine.growth import Serving
from pilotfish.engine.health import LIVE_REWARD, Health
from pilotfish.engine.rollout import policy_share, served_probability, unit_fraction
from pilotfish.exceptions import ConflictError, StateError
from pilotfish.experience.log import ExperienceLog
from pilotfish.experience.record import RECORD_FORMAT, DecisionRecord, LoggedDecision
from pilotfish.request import Module, Request
from pilotfish.safety.guard import fault_of_answer, fault_of_choice
from pilotfish.safety.legal_set import legal_set

_REASON_OF_MODE: Final = {
    Mode.OFF: Reason.MODE_OFF,
    Mode.SHADOW: Reason.MODE_SHADOW,
    Mode.ROLLOUT: Reason.OUTSIDE_ROLLOUT,
}

logger = logging.getLogger(__name__)


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What the hub is told, and the record behind it."""

    decision_id: str
    """32 hexadecimal digits; empty if the log could not be written."""
    module: str
    propensity: float
    source: Source
    reasons: tuple[int, ...]
    model_version: str
    record: DecisionRecord


class Decider:
    """Answers requests. Holds what a decision reads; the model is read through its own immutable snapshot.

    Args:
        serving: The learned policy; replaced whole when another is born.
        log: Where each decision goes before its reply.
        health: What the baseline looks at.
        default_weights: Weights of requests that bring none, in head order.
        salt: Key of the rollout's hash, at most 64 bytes.
        live_reward: Whether candidates carry how they have done lately.
        counters: Where events are counted, by (what, detail).
    """

    def __init__(
        self,
        *,
        serving: Serving,
        log: ExperienceLog,
        health: Health,
        default_weights: tuple[float, ...],
        salt: bytes,
        live_reward: bool,
        counters: Counter[tuple[str, int]],
    ) -> None:
        self._numbers: dict[str, int] = {}
        self.serve(serving)
        self._log = log
        self._health = health
        self._default_weights = default_weights
        self._salt = salt
        self._live_reward = live_reward
        self._counters = counters
        # No exposure until the engine has read what is in force.
        self.mode = Mode.OFF
        self.rollout_share = 0.0

    def serve(self, serving: Serving) -> None:
        """Let another model answer from the next decision on."""
        self._numbers[serving.model.version] = serving.number  # first: a choice of this model may be logged at once
        self._serving = serving

    def choose(self, request: Request) -> Decision:
        """Choose a module for a request whose candidates are resolved. The choice must not leave before `log` had it.

        Raises:
            StateError: No candidate is legal (reason NO_LEGAL_MODULE).
        """
        request = self._with_live_reward(request)
        legal, removed = legal_set(request)
        for _, reason in removed:
            self._counters["removed", reason] += 1
        if not legal:
            raise _no_legal_module(request, removed)
        baseline, reasons = choose_baseline(request, legal, self._health)

        mode = self.mode
        share = policy_share(mode, self.rollout_share)
        decision_id = self._log.new_decision_id()
        in_share = share > 0.0 and unit_fraction(request.unit_id or decision_id.hex(), self._salt) < share

        weights = request.task.weights or self._default_weights
        serving = self._serving
        choice, fault = (
            self._ask_policy(serving.model, decision_id, request, legal, weights)
            if mode is not Mode.OFF
            else (None, None)
        )

        served, propensity, source = baseline, 1.0, Source.BASELINE
        if choice is not None:
            served = legal[choice.index] if in_share else baseline
            probability = memoryview(choice.pmf).cast("d")[legal.index(served)]
            propensity = served_probability(probability, share, is_baseline=served == baseline)
            if in_share:
                source = Source.POLICY
            if what := fault_of_answer(served, propensity, legal):
                logger.error("guard refused an answer: %s", what)
                choice, fault = None, Reason.GUARD_REFUSED
                served, propensity = baseline, 1.0
        if fault is not None:
            reasons += (int(fault),)
            if in_share:
                source = Source.FALLBACK
        if not in_share:
            reasons += (int(_REASON_OF_MODE[mode]),)
        if len(legal) == 1:
            reasons += (int(Reason.ONLY_CANDIDATE),)

        record = DecisionRecord(
            record_format=RECORD_FORMAT,
            request=request,
            mode=int(mode),
            policy_share=share,
            in_policy_share=in_share,
            legal=legal,
            removed=removed,
            baseline=baseline,
            reasons=reasons,
            weights=weights,
            learned_count=-1 if choice is None else choice.learned_count,
            policy_pmf=b"" if choice is None else choice.pmf,
            scores=b"" if choice is None else choice.scores,
            uncertainties=b"" if choice is None else choice.uncertainties,
            birth=serving.birth,
        )
        module = request.candidates[served].name
        return Decision(decision_id.hex(), module, propensity, source, reasons, serving.model.version, record)

    def _with_live_reward(self, request: Request) -> Request:
        """Attach how each candidate has done lately, so that it is on record with the decision."""
        if not self._live_reward:
            return request
        candidates = []
        for module in request.candidates:
            reward = self._health.live_reward(module.name)
            if reward is None:
                candidates.append(module)
            else:
                features = {**module.features, LIVE_REWARD: reward}
                candidates.append(Module(module.name, features, module.capabilities, module.max_data_size_bytes))
        return msgspec.structs.replace(request, candidates=tuple(candidates))

    def log(self, decisions: Sequence[Decision]) -> list[Decision | ConflictError]:
        """Put choices on record, all in one commit, and return what may be answered.

        That is the choice itself; the first answer if the request_id has been answered before, or the conflict if it
        was another request; and the baseline if nothing can be written.
        """
        numbers = self._numbers
        rows = [
            (bytes.fromhex(d.decision_id), d.module, d.propensity, d.source, numbers[d.model_version], d.record)
            for d in decisions
        ]
        try:
            fresh = self._log.append_decisions(rows)
        except sqlite3.Error as error:
            logger.error("%d decisions not logged (%s); the baseline answers", len(rows), error)  # noqa: TRY400  no bug
            return [self._unlogged(decision) for decision in decisions]
        return [
            self._counted(decision) if is_fresh else self._first_answer(decision.record.request)
            for decision, is_fresh in zip(decisions, fresh, strict=True)
        ]

    def _ask_policy(
        self, model: Model, decision_id: bytes, request: Request, legal: tuple[int, ...], weights: Sequence[float]
    ) -> tuple[Choice | None, Reason | None]:
        candidates = request.candidates
        try:
            choice = model.decide(
                decision_id,
                request.task.features,
                request.task.description,
                [(module.name, module.features, module.capabilities) for module in (candidates[i] for i in legal)],
                weights,
            )
            fault = fault_of_choice(memoryview(choice.pmf).cast("d"), choice.index, len(legal))
        except BaseException as error:
            # Whatever goes wrong in the learner, the hub gets its baseline. A panic in Rust is no Exception.
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            self._counters["policy_failed", 0] += 1
            logger.exception("the policy failed; the baseline answers")
            return None, Reason.POLICY_FAILED
        if fault:
            self._counters["guard_refused", 0] += 1
            logger.error("guard refused a policy's answer: %s", fault)
            return None, Reason.GUARD_REFUSED
        return choice, None

    def _counted(self, decision: Decision) -> Decision:
        self._counters["decision", decision.source] += 1
        return decision

    def _unlogged(self, decision: Decision) -> Decision:
        # An answer whose propensity is not on record must not be random: the baseline, with certainty.
        self._counters["log_unavailable", 0] += 1
        record = decision.record
        reasons = (*record.reasons, int(Reason.LOG_UNAVAILABLE))
        unlogged = msgspec.structs.replace(
            record, reasons=reasons, learned_count=-1, policy_pmf=b"", scores=b"", uncertainties=b""
        )
        module = record.request.candidates[record.baseline].name
        return self._counted(Decision("", module, 1.0, Source.FALLBACK, reasons, decision.model_version, unlogged))

    def _first_answer(self, request: Request) -> Decision | ConflictError:
        found = self._log.find_request(request.request_id)
        if found is None or not _same_question(found.record.request, request):
            return ConflictError(
                f"request_id == {request.request_id}, must not be used again for another request",
                reason="REQUEST_ID_REUSED",
                metadata={"field": "request_id", "value": request.request_id, "rule": "one request_id, one request"},
            )
        self._counters["repeated_request", 0] += 1
        return decision_of(found)


def decision_of(logged: LoggedDecision) -> Decision:
    """Return the decision as it was answered."""
    return Decision(
        logged.decision_id.hex(),
        logged.module,
        logged.propensity,
        Source(logged.source),
        logged.record.reasons,
        logged.model_version,
        logged.record,
    )


def _same_question(first: Request, second: Request) -> bool:
    # Descriptors may have been filled in from a registry that has changed since; names and their order may not.
    def question(request: Request) -> Request:
        names = tuple(
            msgspec.structs.replace(m, features={}, capabilities=(), max_data_size_bytes=None)
            for m in request.candidates
        )
        return msgspec.structs.replace(request, candidates=names)

    return question(first) == question(second)


def _no_legal_module(request: Request, removed: tuple[tuple[int, int], ...]) -> StateError:
    named = {request.candidates[index].name: Reason(reason).name for index, reason in removed[:16]}
    listed = ", ".join(f"{name} ({reason})" for name, reason in named.items())
    more = f" and {len(removed) - len(named)} more" if len(removed) > len(named) else ""
    return StateError(
        f"no candidate is legal for task type {request.task.type!r}: {listed}{more}; offer a module that qualifies",
        reason="NO_LEGAL_MODULE",
        metadata={"rule": "at least one candidate must be legal", **named},
    )
