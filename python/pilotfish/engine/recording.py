"""What becomes of a choice before it may leave: it is put on record, or it is not what is answered."""

import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence

import msgspec

from pilotfish.codes import Reason, Source
from pilotfish.engine.deciding import Decision
from pilotfish.exceptions import ConflictError
from pilotfish.experience.log import ExperienceLog
from pilotfish.experience.record import LoggedDecision
from pilotfish.request import Module, Request
from pilotfish.safety.safeguards import Safeguards

logger = logging.getLogger(__name__)


class Recorder:
    """Logs choices. Thread-safe.

    Args:
        log: Where.
        safeguards: Where the calls of choices are reserved that then are not answered.
        counters: Where events are counted, by (what, detail).
    """

    def __init__(self, log: ExperienceLog, safeguards: Safeguards, counters: Counter[tuple[str, int | str]]) -> None:
        self.numbers: dict[str, int] = {}
        """Number of each model version that may be named, in the log."""
        self._log = log
        self._safeguards = safeguards
        self._counters = counters

    def log(self, decisions: Sequence[Decision]) -> list[Decision | ConflictError]:
        """Put choices on record, all in one commit, and return what may be answered.

        That is the choice itself; the first answer if the request_id has been answered before, or the conflict if it
        was another request; and the baseline if nothing can be written.
        """
        numbers = self.numbers
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
            self._counted(decision) if is_fresh else self._first_answer(decision)
            for decision, is_fresh in zip(decisions, fresh, strict=True)
        ]

    def _counted(self, decision: Decision) -> Decision:
        self._counters["decision", decision.source] += 1
        return decision

    def _unlogged(self, decision: Decision) -> Decision:
        # An answer whose propensity is not on record must not be random: the baseline, with certainty.
        self._counters["log_unavailable", 0] += 1
        record = decision.record
        # No outcome can be joined to it, and a probe that nobody hears of would count as failed.
        self._safeguards.breakers.withdraw_probe(decision.module, bytes.fromhex(decision.decision_id))
        module = record.request.candidates[record.baseline].name
        if module != decision.module and not self._moved(decision, module):
            # Its last call has gone meanwhile. What was reserved is legal; a broken budget would not be.
            module = decision.module
        reasons = (*record.reasons, int(Reason.LOG_UNAVAILABLE))
        unlogged = msgspec.structs.replace(
            record,
            reasons=reasons,
            learned_count=-1,
            policy_pmf=b"",
            scores=b"",
            uncertainties=b"",
            control=None,
            control_pmf=b"",
        )
        return self._counted(Decision("", module, 1.0, Source.FALLBACK, reasons, decision.model_version, unlogged))

    def _moved(self, decision: Decision, module: str) -> bool:
        """Move the reservation of a call to another module; return whether that has one left."""
        budgets, call = self._safeguards.budgets, bytes.fromhex(decision.decision_id)
        if not budgets.is_active:
            return True
        with budgets.lock:
            now_s = time.monotonic()
            if budgets.spent((module,), now_s):
                return False
            budgets.release(call, now_s)
            budgets.reserve(module, call, now_s)
            return True

    def _first_answer(self, decision: Decision) -> Decision | ConflictError:
        self._safeguards.call_off(decision.module, bytes.fromhex(decision.decision_id), time.monotonic())
        request = decision.record.request
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
        return msgspec.structs.replace(
            request, candidates=tuple([Module(module.name) for module in request.candidates])
        )

    return question(first) == question(second)
