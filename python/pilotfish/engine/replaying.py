"""Exact replay: each decision is made again from its record and compared bit for bit.

A record names the birth of the model that chose and how many values that model had learned; the log holds the model's
specification, what it learned at birth and the order of all that came after. So the log alone is needed: no
configuration, no checkpoint, no clock.
"""

import struct
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from heapq import heappop, heappush
from typing import Any, Final

import msgspec

from pilotfish._core import Model
from pilotfish.codes import Mode, Reason, Signal
from pilotfish.engine.change import Change, weight_after
from pilotfish.engine.growth import observed, train, utility
from pilotfish.engine.rollout import served_probability
from pilotfish.exceptions import PilotfishError, StateError
from pilotfish.experience.births import Birth, all_births, specifications
from pilotfish.experience.log import ExperienceLog
from pilotfish.experience.record import DecisionRecord, LoggedDecision
from pilotfish.experience.signals import SignalRow, Use
from pilotfish.rewards import REWARD_VERSION, RewardFunction
from pilotfish.safety.legal_set import legal_set

WINDOW: Final = 4096
"""Decisions that are put in the order in which they were chosen, because those of several threads and models are logged
as they come. One that is further out of order costs a model trained anew, not a wrong answer."""

ALIVE: Final = 3
"""Models kept in memory: the present one, and those that answered last when it was born."""

_UNCOMPUTED: Final = {Reason.POLICY_FAILED, Reason.GUARD_REFUSED}


class Replayed(msgspec.Struct, frozen=True, gc=False):
    """What came of one decision."""

    sequence: int
    decision_id: bytes
    differs: tuple[str, ...]
    """Names of what is not as it is on record, empty if all is; see `_COMPARED`."""


class _Life:
    """A model from its birth on, taken to any number of learned values.

    Args:
        log: The truth.
        rewards: The utilities that its specification fixes.
        specification: The model's.
        birth: Its birth; None: grown from nothing.
        changes: All changes on record at its birth.
    """

    def __init__(
        self,
        log: ExperienceLog,
        rewards: RewardFunction,
        specification: bytes,
        birth: Birth | None,
        changes: tuple[Change, ...],
    ) -> None:
        self._log = log
        self._rewards = rewards
        self._specification = specification
        self._birth = birth
        self._changes = changes
        self._decision: LoggedDecision | None = None
        self._be_born()

    def _be_born(self) -> None:
        birth = self._birth
        self._rows: Iterator[SignalRow] = self._log.signals(0 if birth is None else birth.signal_sequence)
        if birth is None:
            self._model = Model(self._specification)
        else:
            up_to, specification = birth.signal_sequence, self._specification
            make = partial(Model.trained, specification)
            self._model = train(make, specification, self._log, self._rewards, up_to, self._changes)

    def at(self, learned_count: int) -> Model | None:
        """Return the model when it had learned so many values; None: it never had."""
        if self._model.learned_count > learned_count:
            self._be_born()
        while self._model.learned_count < learned_count:
            row = next(self._rows, None)
            if row is None:
                return None
            if row.use is Use.LEARNED:
                self._learn(row)
        return self._model if self._model.learned_count == learned_count else None

    def _learn(self, row: SignalRow) -> None:
        decision = self._decision
        if decision is None or decision.sequence != row.decision_sequence:
            decision = self._decision = self._log.decision_by_sequence(row.decision_sequence)
        weight = weight_after(self._changes, decision.sequence, decision.module)
        with suppress(PilotfishError):  # refused then as now
            self._model.learn(*observed(decision), row.signal - 1, utility(self._rewards, row), weight)


class _Lives:
    """The models of a log, by version and birth."""

    def __init__(self, log: ExperienceLog) -> None:
        self._log = log
        self._specifications = specifications(log)
        self._births = {birth.sequence: (base, birth) for base, birth in all_births(log)}
        self._alive: OrderedDict[tuple[str, int], _Life | None] = OrderedDict()

    def of(self, version: str, birth: int) -> _Life | None:
        """Return a model; None: the log knows none of this name."""
        key = (version, birth)
        if key not in self._alive:
            self._alive[key] = self._life(version, birth)
            if len(self._alive) > ALIVE:
                self._alive.popitem(last=False)
        self._alive.move_to_end(key)
        return self._alive[key]

    def _life(self, version: str, birth: int) -> _Life | None:
        specification = self._specifications.get(version)
        if specification is None:
            return None
        rewards = _rewards_of(specification, version)
        if birth == 0:
            return _Life(self._log, rewards, specification, None, ())
        base, born = self._births.get(birth, ("", None))
        if born is None or born.version != version:
            return None
        return _Life(self._log, rewards, specification, born, self._changes(base, birth))

    def _changes(self, base: str, up_to: int) -> tuple[Change, ...]:
        known = (birth for other, birth in self._births.values() if other == base and birth.sequence <= up_to)
        return tuple(msgspec.msgpack.decode(birth.change, type=Change) for birth in known if birth.change is not None)


def replay(log: ExperienceLog, decisions: Iterable[LoggedDecision] | None = None) -> Iterator[Replayed]:
    """Make decisions again and yield what came of each, nearly in the order of the log.

    Compared are the legal set, and where the policy was computed its pmf, scores and uncertainties; then the served
    module and the propensity, given the share and the side of it that are on record. What a decision was made from is
    taken from its record: the request with the modules' descriptors, the weights, its id as the seed.
    Cost: each learned value is learned again, once.

    Args:
        log: The truth; may be in use.
        decisions: Which; None: all.

    Raises:
        StateError: A model of the log was made by a release with other rewards; that release can replay it.
    """
    lives = _Lives(log)
    for decision in _as_chosen(log.decisions() if decisions is None else decisions):
        yield Replayed(decision.sequence, decision.decision_id, _differences(decision, lives))


def _as_chosen(decisions: Iterable[LoggedDecision]) -> Iterator[LoggedDecision]:
    waiting: list[tuple[int, int, int, LoggedDecision]] = []
    for decision in decisions:
        record = decision.record
        heappush(waiting, (record.birth, record.learned_count, decision.sequence, decision))
        if len(waiting) > WINDOW:
            yield heappop(waiting)[3]
    while waiting:
        yield heappop(waiting)[3]


def _differences(decision: LoggedDecision, lives: _Lives) -> tuple[str, ...]:
    record = decision.record
    differs = [] if legal_set(record.request) == (record.legal, record.removed) else ["legal"]
    if record.learned_count < 0:
        if record.mode != Mode.OFF and not _UNCOMPUTED.intersection(record.reasons):
            differs.append("learned_count")
        found: tuple[Any, ...] = (b"", b"", b"", record.baseline, 1.0)
    else:
        life = lives.of(decision.model_version, record.birth)
        if life is None:
            return (*differs, "model")
        model = life.at(record.learned_count)
        if model is None:
            return (*differs, "learned_count")
        found = _decided(model, decision)
    candidates = record.request.candidates
    recorded = (record.policy_pmf, record.scores, record.uncertainties, decision.module, decision.propensity)
    again = (*found[:3], candidates[found[3]].name, found[4])
    differs += [name for name, one, other in zip(_COMPARED, recorded, again, strict=True) if one != other]
    return tuple(differs)


_COMPARED: Final = ("pmf", "scores", "uncertainties", "module", "propensity")
"""What is compared beside `legal`, `model` (the log has none of this name) and `learned_count` (it never had learned so
many values)."""


def _decided(model: Model, decision: LoggedDecision) -> tuple[bytes, bytes, bytes, int, float]:
    record: DecisionRecord = decision.record
    request, legal = record.request, record.legal
    try:
        choice = model.decide(
            decision.decision_id,
            request.task.features,
            request.task.description,
            [(module.name, module.features, module.capabilities) for module in (request.candidates[i] for i in legal)],
            record.weights,
        )
    except PilotfishError:
        return b"", b"", b"", record.baseline, 1.0
    served = legal[choice.index] if record.in_policy_share else record.baseline
    (probability,) = struct.unpack_from("d", choice.pmf, 8 * legal.index(served))
    share = record.policy_share
    propensity = served_probability(probability, share, is_baseline=served == record.baseline)
    # Older logs have them also of explorers that do without: nothing followed from them, so nothing can differ.
    uncertainties = choice.uncertainties or record.uncertainties
    return choice.pmf, choice.scores, uncertainties, served, propensity


def _rewards_of(specification: bytes, version: str) -> RewardFunction:
    rewards = msgspec.json.decode(specification)["rewards"]
    if rewards["version"] != REWARD_VERSION:
        raise StateError(
            f"reward_version == {rewards['version']} of model {version}, must be {REWARD_VERSION}; use the release"
            " that wrote it"
        )
    return RewardFunction(half_values={Signal[name.upper()]: value for name, value in rewards["half_values"].items()})
