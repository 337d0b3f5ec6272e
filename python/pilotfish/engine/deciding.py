"""The way of a decision: legal set → baseline → rollout → core → mixture → guard → log → reply."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from pilotfish._core import Choice
from pilotfish.codes import Mode, Reason, Signal, Source
from pilotfish.engine.baseline import choose_baseline
from pilotfish.engine.growth import Serving
from pilotfish.engine.health import LIVE_REWARD, Health
from pilotfish.engine.sides import both_sides, drawn, greedy, mixture, unit_fraction
from pilotfish.exceptions import StateError
from pilotfish.experience.exposures import Exposure
from pilotfish.experience.log import ExperienceLog, now_us
from pilotfish.experience.record import RECORD_FORMAT, DecisionRecord, ServedBy
from pilotfish.request import Removal, Request
from pilotfish.safety.guard import fault_of_answer, fault_of_choice
from pilotfish.safety.legal_set import Asked
from pilotfish.safety.live import RISK_RULE, limit, too_risky
from pilotfish.safety.safeguards import Safeguards

_REASON_OF_MODE: Final = {
    Mode.OFF: Reason.MODE_OFF,
    Mode.SHADOW: Reason.MODE_SHADOW,
    Mode.ROLLOUT: Reason.OUTSIDE_ROLLOUT,
    Mode.ON: Reason.OUTSIDE_ROLLOUT,
}

_COMPLETION_ONLY: Final = tuple(float(signal is Signal.COMPLETION) for signal in Signal)

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


class InForce(NamedTuple):
    """What decides now; replaced whole, so that a decision sees all of a change or nothing of it."""

    exposure: Exposure
    live: Serving
    """The model that learns."""
    policy: Serving | None
    """What serves the policy's units; None: it is missing."""
    champion: Serving | None
    """What serves the others; None: the baseline does, or it is missing."""


class _Usable(NamedTuple):
    """What of a request's candidates may be served."""

    legal: tuple[int, ...]
    removed: tuple[Removal, ...]
    probing: tuple[int, ...]
    reasons: tuple[int, ...]
    is_default: bool = False
    """Whether nothing was legal and the safe default stands in."""


class _Answer(NamedTuple):
    """What one model made of a request."""

    choice: Choice | None = None
    pmf: bytes = b""
    """Over the legal set; of a critical task all on the best by score."""
    place: int = -1
    """What it drew, as a place in the legal set."""
    fault: Reason | None = None


class Decider:
    """Answers requests. Holds what a decision reads; a model is read through its own immutable snapshot.

    Args:
        in_force: What decides.
        log: Where ids come from.
        health: What the baseline looks at.
        safeguards: What may not be served.
        constraints_number: The number under which the log knows the constraints.
        default_weights: Weights of requests that bring none, in head order.
        salt: Key of the rollout's hash, at most 64 bytes.
        live_reward: Whether candidates carry how they have done lately.
        decide_budget_s: With less time left than this no model is asked.
        counters: Where events are counted, by (what, detail).
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        in_force: InForce,
        log: ExperienceLog,
        health: Health,
        safeguards: Safeguards,
        constraints_number: int,
        default_weights: tuple[float, ...],
        salt: bytes,
        live_reward: bool,
        decide_budget_s: float,
        counters: Counter[tuple[str, int | str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.in_force = in_force
        self._clock = clock
        self.may_explore: Callable[[], bool] = lambda: True
        """Asked before a decision may be the policy's; must look at nothing but the past."""
        self._log = log
        self._health = health
        self._safeguards = safeguards
        self._constraints_number = constraints_number
        self._default_weights = default_weights
        self._salt = salt
        self._live_reward = live_reward
        self._decide_budget_s = decide_budget_s
        self._counters = counters

    def choose(self, request: Request, remaining_s: float | None = None) -> Decision:
        """Choose a module for a request whose candidates are resolved. It must not leave before the log has it.

        Args:
            request: The request.
            remaining_s: Seconds that the caller still waits; None: as long as it takes.

        Raises:
            StateError: No candidate is legal (reason NO_LEGAL_MODULE).
        """
        budgets = self._safeguards.budgets
        if not budgets.is_active:
            return self._choose(request, remaining_s)
        with budgets.lock:  # from the look at a budget to the reservation, so that two cannot both take the last call
            decision = self._choose(request, remaining_s)
            budgets.reserve(decision.module, bytes.fromhex(decision.decision_id), self._clock())
            return decision

    def _choose(self, request: Request, remaining_s: float | None) -> Decision:
        request = self._with_live_reward(request)
        in_force, safety = self.in_force, self._safeguards.settings
        exposure = in_force.exposure
        asked = Asked(exposure.mode, now_us())
        is_critical = self._safeguards.legality.is_critical(request)
        usable = self._usable(request, asked, in_force.policy, is_critical=is_critical)
        legal, reasons = usable.legal, usable.reasons
        baseline, why = self._baseline(request, legal, usable.probing)
        reasons += why

        decision_id = self._log.new_decision_id()
        share = exposure.share
        if share > 0.0 and not self.may_explore():
            share, reasons = 0.0, (*reasons, int(Reason.HELD_BACK))
        in_share = share > 0.0 and unit_fraction(request.unit_id or decision_id.hex(), self._salt) < share

        weights = request.task.weights or self._default_weights
        policy = champion = _Answer()
        if exposure.mode is not Mode.OFF and not usable.is_default:
            if remaining_s is not None and remaining_s < self._decide_budget_s:
                policy = _Answer(fault=Reason.DEADLINE_NEAR)
            else:
                policy = self._ask(in_force.policy, decision_id, request, legal, weights, greedily=is_critical)
                if exposure.control and (share < 1.0 or policy.choice is None):
                    champion = self._ask(in_force.champion, decision_id, request, legal, weights, greedily=is_critical)

        places = tuple([legal.index(index) for index in usable.probing]) if usable.probing and not is_critical else ()
        probe_share = safety.breakers.probe_share if places else 0.0
        at_baseline = legal.index(baseline)
        sides = both_sides(policy.pmf, champion.pmf, at_baseline, places, probe_share)
        answered = policy.place if in_share and policy.place >= 0 else champion.place
        place, is_probe = drawn(decision_id, answered, at_baseline, places, probe_share)
        reasons += (int(Reason.PROBE),) if is_probe else ()
        propensity = mixture(*sides, share, place)
        source, why = _account(exposure, policy, champion, in_share=in_share)
        if what := fault_of_answer(request, legal[place], propensity, usable.removed, self._safeguards.legality, asked):
            logger.error("guard refused an answer: %s", what)
            self._counters["guard_refused", 0] += 1
            policy, champion = _Answer(), _Answer()
            source, why = Source.FALLBACK, (int(Reason.GUARD_REFUSED),)
            place, propensity = at_baseline, 1.0
            if fault_of_answer(request, baseline, 1.0, usable.removed, self._safeguards.legality, asked):
                raise _no_legal_module(request, usable.removed)
        reasons += why
        source = Source.FALLBACK if usable.is_default else source
        if len(legal) == 1:
            reasons += (int(Reason.ONLY_CANDIDATE),)
        served = legal[place]
        if served in usable.probing:
            self._safeguards.breakers.begin_probe(request.candidates[served].name, decision_id, self._clock())

        choice, named = policy.choice, in_force.policy or in_force.live
        record = DecisionRecord(
            record_format=RECORD_FORMAT,
            request=request,
            mode=int(exposure.mode),
            policy_share=share,
            in_policy_share=in_share,
            legal=legal,
            removed=usable.removed,
            baseline=baseline,
            reasons=reasons,
            weights=weights,
            learned_count=-1 if choice is None else choice.learned_count,
            policy_pmf=policy.pmf,
            scores=b"" if choice is None else choice.scores,
            uncertainties=b"" if choice is None else choice.uncertainties,
            birth=named.birth,
            stage=exposure.stage,
            constraints=self._constraints_number,
            asked_us=asked.time_us,
            kept=named.kept,
            control=_served_by(champion, in_force.champion),
            control_pmf=champion.pmf,
            probing=tuple([legal[place] for place in places]),
            probe_share=probe_share,
            greedy=is_critical,
        )
        module = request.candidates[served].name
        return Decision(decision_id.hex(), module, propensity, source, reasons, named.model.version, record)

    def _usable(self, request: Request, asked: Asked, policy: Serving | None, *, is_critical: bool) -> _Usable:
        """Return what may be served; raises StateError if nothing may."""
        safeguards = self._safeguards
        permitted, removed = safeguards.legality.split(request, asked)
        legal, for_now, probing, panic = limit(
            request, permitted, safeguards.budgets, safeguards.breakers, self._clock(), critical=is_critical
        )
        reasons: tuple[int, ...] = (int(Reason.PANIC),) if panic else ()
        if is_critical:
            reasons += (int(Reason.CRITICAL),)
            if safeguards.settings.risk_cap is not None and legal:
                risky = self._too_risky(policy, request, legal)
                for_now += risky
                legal = tuple([index for index in legal if all(removal.index != index for removal in risky)])
                probing = tuple([index for index in probing if index in legal])
        usable = _Usable(legal, removed + for_now, probing, reasons)
        if not legal:
            # The default overrules what holds just now, never what the request or the constraints forbid.
            default = next(
                (i for i in permitted if request.candidates[i].name == safeguards.settings.safe_default), None
            )
            if default is not None:
                others = tuple([removal for removal in usable.removed if removal.index != default])
                usable = _Usable((default,), others, (), (*reasons, int(Reason.SAFE_DEFAULT)), is_default=True)
        for removal in usable.removed:
            self._counters["removed", removal.reason] += 1
            if removal.rule:
                self._counters["removed_by", removal.rule] += 1
        if panic:
            self._counters["panic", 0] += 1
        if not usable.legal:
            raise _no_legal_module(request, usable.removed)
        return usable

    def _too_risky(self, policy: Serving | None, request: Request, legal: tuple[int, ...]) -> tuple[Removal, ...]:
        safety = self._safeguards.settings
        answer = self._ask(policy, bytes(16), request, legal, _COMPLETION_ONLY)
        # A rule that cannot be evaluated counts as violated; an explorer of scores alone has no uncertainties.
        if answer.choice is None or not answer.choice.uncertainties or safety.risk_cap is None:
            return tuple([Removal(index, int(Reason.RISK_TOO_HIGH), RISK_RULE) for index in legal])
        scores, deviations = (
            memoryview(column).cast("d") for column in (answer.choice.scores, answer.choice.uncertainties)
        )
        return too_risky(legal, scores, deviations, safety.risk_cap, safety.risk_deviations)

    def _baseline(
        self, request: Request, legal: tuple[int, ...], probing: tuple[int, ...]
    ) -> tuple[int, tuple[int, ...]]:
        try:
            return choose_baseline(request, legal, self._health, probing)
        except Exception:
            logger.exception("the baseline failed; the declared order answers")
            self._counters["baseline_failed", 0] += 1
            return legal[0], (int(Reason.DECLARED_ORDER),)

    def _with_live_reward(self, request: Request) -> Request:
        """Attach how each candidate has done lately, so that it is on record with the decision."""
        if not self._live_reward:
            return request
        candidates = []
        for module in request.candidates:
            reward = self._health.live_reward(module.name)
            if reward is not None:
                module = msgspec.structs.replace(module, features={**module.features, LIVE_REWARD: reward})  # noqa: PLW2901
            candidates.append(module)
        return msgspec.structs.replace(request, candidates=tuple(candidates))

    def _ask(
        self,
        serving: Serving | None,
        decision_id: bytes,
        request: Request,
        legal: tuple[int, ...],
        weights: Sequence[float],
        *,
        greedily: bool = False,
    ) -> _Answer:
        if serving is None:  # told when it could not be loaded
            self._counters["policy_failed", 0] += 1
            return _Answer(fault=Reason.POLICY_FAILED)
        candidates = request.candidates
        try:
            choice = serving.model.decide(
                decision_id,
                request.task.features,
                request.task.description,
                [(module.name, module.features, module.capabilities) for module in [candidates[i] for i in legal]],
                weights,
            )
            fault = fault_of_choice(memoryview(choice.pmf).cast("d"), choice.index, len(legal))
            pmf, place = greedy(choice.scores) if greedily and not fault else (choice.pmf, choice.index)
        except BaseException as error:
            # Whatever goes wrong in the learner, the hub gets its baseline. A panic in Rust is no Exception.
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            self._counters["policy_failed", 0] += 1
            logger.exception("the policy failed; the next step of the ladder answers")
            return _Answer(fault=Reason.POLICY_FAILED)
        if fault:
            self._counters["guard_refused", 0] += 1
            logger.error("guard refused a policy's answer: %s", fault)
            return _Answer(fault=Reason.GUARD_REFUSED)
        return _Answer(choice, pmf, place)


def _account(
    exposure: Exposure, policy: _Answer, champion: _Answer, *, in_share: bool
) -> tuple[Source, tuple[int, ...]]:
    """Return which rule chose, and the reasons that go with it."""
    faults = tuple(dict.fromkeys(int(answer.fault) for answer in (policy, champion) if answer.fault is not None))
    if in_share:
        if policy.fault is None:
            return Source.POLICY, ()
        if champion.choice is not None:
            faults += (int(Reason.CHAMPION_ANSWERED),)
        return Source.FALLBACK, faults
    faults += (int(_REASON_OF_MODE[exposure.mode]),)
    if champion.choice is not None:
        return Source.CHAMPION, faults
    has_failed = bool(exposure.control) and exposure.mode is not Mode.OFF
    return (Source.FALLBACK if has_failed else Source.BASELINE), faults


def _served_by(answer: _Answer, serving: Serving | None) -> ServedBy | None:
    if answer.choice is None or serving is None:
        return None
    return ServedBy(serving.model.version, serving.birth, answer.choice.learned_count, serving.kept)


def _no_legal_module(request: Request, removed: Sequence[Removal]) -> StateError:
    named = {
        request.candidates[removal.index].name: f"{Reason(removal.reason).name} {removal.rule}".rstrip()
        for removal in removed[:16]
    }
    listed = ", ".join(f"{name} ({reason})" for name, reason in named.items())
    more = f" and {len(removed) - len(named)} more" if len(removed) > len(named) else ""
    return StateError(
        f"no candidate is legal for task type {request.task.type!r}: {listed}{more}; offer a module that qualifies",
        reason="NO_LEGAL_MODULE",
        metadata={"rule": "at least one candidate must be legal", **named},
    )
