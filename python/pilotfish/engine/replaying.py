"""Exact replay: each decision is made again from its record and compared bit for bit.

A record names the birth of the model that chose and how many values that model had learned; the log holds the model's
specification, what it learned at birth and the order of all that came after. So the log alone is needed: no
configuration, no checkpoint, no clock.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from heapq import heappop, heappush
from typing import Final, NamedTuple

import msgspec

from pilotfish._core import Model
from pilotfish.codes import Mode, Reason, Signal
from pilotfish.engine.change import Change, weight_after
from pilotfish.engine.growth import observed, train, utility
from pilotfish.engine.helm import LoadKept, no_kept_versions
from pilotfish.engine.sides import both_sides, drawn, greedy, mixture
from pilotfish.exceptions import PilotfishError, StateError
from pilotfish.experience.births import Birth, all_births, specifications
from pilotfish.experience.constraint_sets import constraint_sets
from pilotfish.experience.log import ExperienceLog
from pilotfish.experience.record import DecisionRecord, LoggedDecision, ServedBy
from pilotfish.experience.signals import SignalRow, Use
from pilotfish.rewards import REWARD_VERSION, RewardFunction
from pilotfish.safety.constraints import read_constraints
from pilotfish.safety.legal_set import Asked, Legality
from pilotfish.safety.live import LIVE_REASONS

WINDOW: Final = 4096
"""Decisions that are put in the order in which they were chosen, because those of several threads and models are logged
as they come. One that is further out of order costs a model trained anew, not a wrong answer."""

ALIVE: Final = 3
"""Models kept in memory: the present one, and those that answered last when it was born."""

_UNCOMPUTED: Final = {
    Reason.POLICY_FAILED,
    Reason.GUARD_REFUSED,
    Reason.DEADLINE_NEAR,
    Reason.SAFE_DEFAULT,
}
"""Reasons why no policy was computed though the mode asks for one."""


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

    def __init__(self, log: ExperienceLog, load_kept: LoadKept) -> None:
        self._log = log
        self._load_kept = load_kept
        self._kept: dict[str, Model | None] = {}
        self._constraints = constraint_sets(log)
        self._legalities: dict[int, Legality | None] = {}
        self._specifications = specifications(log)
        self._births = {birth.sequence: (base, birth) for base, birth in all_births(log)}
        self._alive: OrderedDict[tuple[str, int], _Life | None] = OrderedDict()

    def legality(self, number: int) -> Legality | None:
        """Return a set of constraints by its number; None: the log knows none of it."""
        if number not in self._legalities:
            content = self._constraints.get(number)
            self._legalities[number] = None if content is None else Legality(read_constraints(content))
        return self._legalities[number]

    def model(self, by: ServedBy) -> Model | str:
        """Return a model as it was, or the name of what is missing: `model` or `learned_count`."""
        kept = self._kept_model(by.kept) if by.kept else None
        if kept is not None and kept.learned_count == by.learned_count:
            return kept
        # Without its file: a version that was kept of this log's own models is in the log too.
        life = self._of(by.version, by.birth)
        if life is None:
            return "model"
        return life.at(by.learned_count) or "learned_count"

    def _kept_model(self, version: str) -> Model | None:
        if version not in self._kept:
            try:
                self._kept[version] = self._load_kept(version).model
            except PilotfishError:
                self._kept[version] = None
        return self._kept[version]

    def _of(self, version: str, birth: int) -> _Life | None:
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


def replay(
    log: ExperienceLog,
    decisions: Iterable[LoggedDecision] | None = None,
    load_kept: LoadKept = no_kept_versions,
) -> Iterator[Replayed]:
    """Make decisions again and yield what came of each, nearly in the order of the log.

    Compared are the legal set, given what breakers, budgets and risk took out at that moment; where the policy and the
    champion were computed their pmfs and the policy's scores and uncertainties; then the served module and the
    propensity, given the share, the side of it and the probes that are on record. What a decision was made from is
    taken from its record: the request with the modules' descriptors, the weights, its id as the seed.
    Cost: each learned value is learned again, once.

    Args:
        log: The truth; may be in use.
        decisions: Which; None: all.
        load_kept: Loads kept versions that came from elsewhere; those of this log's own models need none.

    Raises:
        StateError: A model of the log was made by a release with other rewards; that release can replay it.
    """
    lives = _Lives(log, load_kept)
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
    differs = [] if _is_legal_set(record, lives.legality(record.constraints)) else ["legal"]
    places = tuple([record.legal.index(index) for index in record.probing])
    baseline = record.legal.index(record.baseline)
    policy = champion = _NOT_COMPUTED
    if record.learned_count >= 0:
        by = ServedBy(decision.model_version, record.birth, record.learned_count, record.kept)
        answer = _decided(by, decision, lives)
        if isinstance(answer, str):
            return (*differs, answer)
        policy = answer
    elif record.mode != Mode.OFF and not _UNCOMPUTED.intersection(record.reasons):
        differs.append("learned_count")
    if record.control is not None:
        answer = _decided(record.control, decision, lives)
        if isinstance(answer, str):
            return (*differs, answer)
        champion = answer
    answered = policy.place if record.in_policy_share and policy.place >= 0 else champion.place
    place, _ = drawn(decision.decision_id, answered, baseline, places, record.probe_share)
    sides = both_sides(policy.pmf, champion.pmf, baseline, places, record.probe_share)
    recorded = (record.policy_pmf, record.scores, record.uncertainties, record.control_pmf)
    again = (policy.pmf, policy.scores, policy.uncertainties, champion.pmf)
    module = record.request.candidates[record.legal[place]].name
    recorded_all = (*recorded, decision.module, decision.propensity)
    again_all = (*again, module, mixture(*sides, record.policy_share, place))
    differs += [name for name, one, other in zip(_COMPARED, recorded_all, again_all, strict=True) if one != other]
    return tuple(differs)


_COMPARED: Final = ("pmf", "scores", "uncertainties", "control_pmf", "module", "propensity")
"""What is compared beside `legal`, `model` (the log has none of this name) and `learned_count` (it never had learned so
many values)."""


class _Answer(NamedTuple):
    pmf: bytes = b""
    scores: bytes = b""
    uncertainties: bytes = b""
    place: int = -1


_NOT_COMPUTED: Final = _Answer()


def _is_legal_set(record: DecisionRecord, legality: Legality | None) -> bool:
    if legality is None:
        return False
    permitted, removed = legality.split(record.request, Asked(Mode(record.mode), record.asked_us))
    # What held at that moment only is taken from the record.
    for_now = {removal.index for removal in record.removed if removal.reason in LIVE_REASONS}
    constrained = tuple([removal for removal in record.removed if removal.reason not in LIVE_REASONS])
    return (tuple([index for index in permitted if index not in for_now]), removed) == (record.legal, constrained)


def _decided(by: ServedBy, decision: LoggedDecision, lives: _Lives) -> _Answer | str:
    """Return what a model makes of a decision's request, or the name of what differs."""
    record = decision.record
    request, legal = record.request, record.legal
    model = lives.model(by)
    if isinstance(model, str):
        return model
    try:
        choice = model.decide(
            decision.decision_id,
            request.task.features,
            request.task.description,
            [(module.name, module.features, module.capabilities) for module in (request.candidates[i] for i in legal)],
            record.weights,
        )
    except PilotfishError:
        return _NOT_COMPUTED
    pmf, place = greedy(choice.scores) if record.greedy else (choice.pmf, choice.index)
    # Older logs have them also of explorers that do without: nothing followed from them, so nothing can differ.
    uncertainties = choice.uncertainties or record.uncertainties
    return _Answer(pmf, choice.scores, uncertainties, place)


def _rewards_of(specification: bytes, version: str) -> RewardFunction:
    rewards = msgspec.json.decode(specification)["rewards"]
    if rewards["version"] != REWARD_VERSION:
        raise StateError(
            f"reward_version == {rewards['version']} of model {version}, must be {REWARD_VERSION}; use the release"
            " that wrote it"
        )
    return RewardFunction(half_values={Signal[name.upper()]: value for name, value in rewards["half_values"].items()})
