"""From proto to domain and back. Every range and size that the proto comments state is enforced here, and only here."""

from collections.abc import Iterable, Sequence
from typing import Final, NoReturn

from pilotfish.codes import Mode, Signal
from pilotfish.engine.deciding import Decision
from pilotfish.engine.explaining import PresentScore, read_uncertainties
from pilotfish.engine.rollout import served_probability
from pilotfish.exceptions import InvalidInputError
from pilotfish.experience.record import DecisionRecord
from pilotfish.request import RESERVED_PREFIX, Feature, Features, Module, Outcome, Request, Task, reserved_features
from pilotfish.rewards import DEFAULT_HALF_VALUES, MAXIMUM, weight_vector
from pilotfish.v1 import control_service_pb2, decision_service_pb2, outcome_service_pb2, policy_pb2

NAME_BYTES: Final = 64
ID_BYTES: Final = 128
LABEL_BYTES: Final = 256
DESCRIPTION_BYTES: Final = 16_384
REASON_BYTES: Final = 1024
MODULES: Final = 1000
TASK_FEATURES: Final = 128
MODULE_FEATURES: Final = 32
VECTOR_VALUES: Final = 64
CAPABILITIES: Final = 32
BATCH_REQUESTS: Final = 256
BATCH_OUTCOMES: Final = 1024
NUMBER: Final = 1e12
DATA_SIZE_BYTES: Final = 2**53
PRIORITY: Final = 10
DEADLINE_S: Final = 30 * 86_400
DECISION_ID_DIGITS: Final = 32
_SURELY_A_NAME: Final = NAME_BYTES // 4
"""A text of so many characters has at most NAME_BYTES bytes, whatever they are."""
_HEX: Final = frozenset("0123456789abcdef")
_MAY_BE_LOWER_BOUNDS: Final = ", ".join(signal.name.lower() for signal in DEFAULT_HALF_VALUES)
_SIGNALS: Final = {int(signal): signal for signal in Signal}


def request_from(proto: decision_service_pb2.SelectModuleRequest) -> Request:
    """Return the request, every limit checked.

    Raises:
        InvalidInputError: A field breaks its stated rule; the message names the field, the value and the rule.
    """
    if not proto.HasField("task"):
        _refuse("FIELD_REQUIRED", "task", "must be present")
    return Request(
        task=_task_from(proto.task),
        candidates=modules_from(proto.candidates, "candidates", at_least=0),
        baseline_module=_text(proto.baseline_module, "baseline_module", NAME_BYTES),
        allowed_modules=_names(proto.allowed_modules, "allowed_modules", MODULES),
        denied_modules=_names(proto.denied_modules, "denied_modules", MODULES),
        unit_id=_text(proto.unit_id, "unit_id", ID_BYTES),
        request_id=_text(proto.request_id, "request_id", ID_BYTES),
    )


def modules_from(protos: Sequence[policy_pb2.Module], field: str, *, at_least: int) -> tuple[Module, ...]:
    """Return the modules in order.

    Raises:
        InvalidInputError: Too few or too many, a name occurs twice, or a field breaks its rule.
    """
    _count(len(protos), field, at_least, MODULES)
    modules: dict[str, Module] = {}
    for proto in protos:
        name = proto.name
        # A plain name is the whole module: two bytes of framing and no other field. Most candidates are that.
        plain = 0 < len(name) <= _SURELY_A_NAME and proto.ByteSize() == len(name) + 2
        modules[name] = Module(name) if plain else _module_from(proto, field)
    if len(modules) < len(protos):
        _refuse_duplicate((proto.name for proto in protos), f"{field}.name")
    return tuple(modules.values())


def outcome_from(proto: outcome_service_pb2.RecordOutcomeRequest) -> Outcome:
    """Return the outcome, every limit checked.

    Raises:
        InvalidInputError: As above.
    """
    if bool(proto.decision_id) == bool(proto.request_id):
        _refuse("FIELD_CONFLICT", "decision_id", "exactly one of decision_id and request_id must be set")
    _count(len(proto.signals), "signals", 1, len(Signal))
    signals: dict[int, float] = {}
    lower_bounds = []
    for entry in proto.signals:
        signal = _signal(entry.signal, "signals.signal")
        name = f"signals.{signal.name.lower()}"
        if signal in signals:
            _refuse("DUPLICATE_ENTRY", name, "must occur at most once", signal.name)
        _number(entry.value, name, 0.0, MAXIMUM[signal])
        signals[int(signal)] = entry.value
        if entry.lower_bound:
            if signal not in DEFAULT_HALF_VALUES:
                _refuse("FIELD_CONFLICT", f"{name}.lower_bound", f"is taken by {_MAY_BE_LOWER_BOUNDS} only")
            lower_bounds.append(int(signal))
    return Outcome(
        signals=signals,
        decision_id=decision_id_from(proto.decision_id) if proto.decision_id else "",
        request_id=_text(proto.request_id, "request_id", ID_BYTES),
        served_module=_text(proto.served_module, "served_module", NAME_BYTES),
        lower_bounds=frozenset(lower_bounds),
    )


def decision_id_from(text: str) -> str:
    """Return the id if it has the form of one.

    Raises:
        InvalidInputError: It has not.
    """
    if len(text) != DECISION_ID_DIGITS or not _HEX.issuperset(text):
        _refuse("MALFORMED_ID", "decision_id", "must be 32 lower-case hexadecimal digits", text[:DECISION_ID_DIGITS])
    return text


def mode_from(proto: control_service_pb2.SetModeRequest) -> tuple[Mode, float | None, str, str]:
    """Return mode, share, actor and reason.

    Raises:
        InvalidInputError: As above.
    """
    if proto.mode not in {int(mode) for mode in Mode}:
        _refuse("UNKNOWN_ENUM_VALUE", "mode", f"must be one of {', '.join(mode.name for mode in Mode)}", proto.mode)
    mode = Mode(proto.mode)
    share = proto.rollout_share if proto.HasField("rollout_share") else None
    if share is not None:
        if mode is not Mode.ROLLOUT:
            _refuse("FIELD_CONFLICT", "rollout_share", "is taken by mode ROLLOUT only")
        _number(share, "rollout_share", 0.0, 1.0)
    if not proto.actor:
        _refuse("FIELD_REQUIRED", "actor", "must say who changes the mode")
    return mode, share, _text(proto.actor, "actor", ID_BYTES), _text(proto.reason, "reason", REASON_BYTES)


def check_batch(n_entries: int, at_most: int) -> None:
    """Check the size of a batch.

    Raises:
        InvalidInputError: It is empty or too large.
    """
    _count(n_entries, "requests", 1, at_most)


def response_to(decision: Decision, target: decision_service_pb2.SelectModuleResponse, *, explain: bool) -> None:
    """Fill in the answer to a request."""
    decision_to(decision, target.decision)
    if explain:
        explanation_to(decision.record, target.explanation)


def decision_to(decision: Decision, target: policy_pb2.Decision) -> None:
    """Fill in a decision."""
    target.decision_id = decision.decision_id
    target.module = decision.module
    target.propensity = decision.propensity
    target.source = int(decision.source)  # type: ignore[assignment]  # the numbers are the proto's, a contract test says so
    if decision.reasons:
        target.reasons.extend(decision.reasons)  # type: ignore[arg-type]
    target.model_version = decision.model_version


def explanation_to(record: DecisionRecord, target: policy_pb2.Explanation) -> None:
    """Fill in what the record says of a decision, the most probable module first."""
    candidates = record.request.candidates
    policy: Sequence[float]
    scores: Sequence[float]
    uncertainties: Sequence[float]
    policy = scores = uncertainties = (0.0,) * len(record.legal)
    if record.policy_pmf:
        policy, scores = memoryview(record.policy_pmf).cast("d"), memoryview(record.scores).cast("d")
        uncertainties = read_uncertainties(record.uncertainties, len(scores))
    share = record.policy_share if record.policy_pmf else 0.0
    rows = [
        policy_pb2.RankedModule(
            module=candidates[index].name,
            score=scores[i],
            uncertainty=uncertainties[i],
            policy_probability=policy[i],
            probability=served_probability(policy[i], share, is_baseline=index == record.baseline),
        )
        for i, index in enumerate(record.legal)
    ]
    target.ranking.extend(sorted(rows, key=lambda row: (-row.probability, -row.policy_probability, -row.score)))
    target.removed.extend(
        policy_pb2.RemovedModule(module=candidates[index].name, reason=reason)  # type: ignore[arg-type]
        for index, reason in record.removed
    )
    target.baseline_module = candidates[record.baseline].name
    target.policy_share = record.policy_share
    target.unit_in_policy_share = record.in_policy_share
    target.mode = record.mode  # type: ignore[assignment]
    target.learned_count = max(record.learned_count, 0)
    target.policy_evaluated = bool(record.policy_pmf)


def present_score_to(present: PresentScore, target: control_service_pb2.PresentScore) -> None:
    """Fill in what the present model makes of one candidate."""
    target.module = present.module
    target.score = present.score
    target.uncertainty = present.uncertainty
    target.policy_probability = present.policy_probability
    for part, value in present.contributions:
        target.contributions.add(part=part, value=value)
    target.other_contributions = present.other_contributions
    target.other_count = present.other_count


def module_to(module: Module) -> policy_pb2.Module:
    """Return a registered module as it was declared."""
    proto = policy_pb2.Module(
        name=module.name, capabilities=module.capabilities, max_data_size_bytes=module.max_data_size_bytes
    )
    for name, value in module.features.items():
        if isinstance(value, bool):
            proto.features.flags[name] = value
        elif isinstance(value, str):
            proto.features.labels[name] = value
        elif isinstance(value, list):
            proto.features.vectors[name].values.extend(value)
        else:
            proto.features.numbers[name] = value
    return proto


def _task_from(proto: policy_pb2.Task) -> Task:
    if not proto.type:
        _refuse("FIELD_REQUIRED", "task.type", "must not be empty")
    size = proto.data_size_bytes if proto.HasField("data_size_bytes") else None
    if size is not None:
        _number(size, "task.data_size_bytes", 0, DATA_SIZE_BYTES)
    deadline_s = None
    if proto.HasField("deadline_duration"):
        deadline_s = proto.deadline_duration.seconds + proto.deadline_duration.nanos * 1e-9
        _number(deadline_s, "task.deadline_duration", 0.0, DEADLINE_S)
    priority = proto.priority
    _number(priority, "task.priority", 0, PRIORITY)
    features = reserved_features(_text(proto.type, "task.type", NAME_BYTES), priority, size, deadline_s)
    if proto.HasField("features"):
        features.update(_features_from(proto.features, "task.features", TASK_FEATURES))
    return Task(
        type=proto.type,
        description=_text(proto.description, "task.description", DESCRIPTION_BYTES),
        features=features,
        required_capabilities=_names(proto.required_capabilities, "task.required_capabilities", CAPABILITIES),
        data_size_bytes=size,
        weights=_weights_from(proto.signal_weights) if proto.signal_weights else None,
    )


def _module_from(proto: policy_pb2.Module, field: str) -> Module:
    name = proto.name
    if not name:
        _refuse("FIELD_REQUIRED", f"{field}.name", "must not be empty")
    if len(name) > _SURELY_A_NAME:
        _text(name, f"{field}.name", NAME_BYTES)
    capabilities = proto.capabilities
    limit = proto.max_data_size_bytes if proto.HasField("max_data_size_bytes") else None
    if limit is not None:
        _number(limit, f"{field}.max_data_size_bytes", 0, DATA_SIZE_BYTES)
    return Module(
        name,
        _features_from(proto.features, f"{field}.features", MODULE_FEATURES) if proto.HasField("features") else {},
        _names(capabilities, f"{field}.capabilities", CAPABILITIES) if capabilities else (),
        limit,
    )


def _features_from(proto: policy_pb2.Features, field: str, at_most: int) -> Features:
    numbers, labels, flags, vectors = proto.numbers, proto.labels, proto.flags, proto.vectors
    total = len(numbers) + len(labels) + len(flags) + len(vectors)
    _count(total, field, 0, at_most)
    features: dict[str, Feature] = dict(numbers)
    if not all(-NUMBER <= value <= NUMBER for value in numbers.values()):
        for name, value in numbers.items():
            _number(value, f"{field}.numbers[{name[:NAME_BYTES]}]", -NUMBER, NUMBER)
    for name, label in labels.items():
        features[name] = _text(label, f"{field}.labels[{name[:NAME_BYTES]}]", LABEL_BYTES)
    features.update(flags)
    for name, vector in vectors.items():
        path = f"{field}.vectors[{name[:NAME_BYTES]}]"
        _count(len(vector.values), path, 1, VECTOR_VALUES)
        for value in vector.values:
            _number(value, path, -NUMBER, NUMBER)
        features[name] = list(vector.values)
    if len(features) < total:
        _refuse_duplicate((name for kind in (numbers, labels, flags, vectors) for name in kind), field)
    # Most maps are sound: one look at all names together, name by name only if it found something.
    if features and (
        max(map(len, features)) > _SURELY_A_NAME or "" in features or RESERVED_PREFIX in " ".join(features)
    ):
        for name in features:
            _check_feature_name(name, field)
    return features


def _check_feature_name(name: str, field: str) -> None:
    if not name:
        _refuse("FIELD_REQUIRED", f"{field} name", "must not be empty")
    _text(name, f"{field} name", NAME_BYTES)
    if name.startswith(RESERVED_PREFIX):
        _refuse("FIELD_CONFLICT", field, f"names must not begin with {RESERVED_PREFIX}", name)


def _weights_from(protos: Iterable[policy_pb2.SignalWeight]) -> tuple[float, ...]:
    weights: dict[Signal, float] = {}
    for entry in protos:
        signal = _signal(entry.signal, "task.signal_weights.signal")
        if signal in weights:
            _refuse("DUPLICATE_ENTRY", "task.signal_weights", "each signal at most once", signal.name)
        _number(entry.weight, f"task.signal_weights.{signal.name.lower()}", 0.0, 1000.0)
        weights[signal] = entry.weight
    if not any(weights.values()):
        _refuse("VALUE_OUT_OF_RANGE", "task.signal_weights", "at least one weight must be above 0", 0)
    return weight_vector(weights)


def _signal(number: int, field: str) -> Signal:
    signal = _SIGNALS.get(number)
    if signal is None:
        _refuse("UNKNOWN_ENUM_VALUE", field, f"must be one of {', '.join(s.name for s in Signal)}", number)
    return signal


def _names(names: Sequence[str], field: str, at_most: int) -> tuple[str, ...]:
    if not names:
        return ()
    _count(len(names), field, 0, at_most)
    for name in names:
        if not name:
            _refuse("FIELD_REQUIRED", field, "must not hold an empty name")
        _text(name, field, NAME_BYTES)
    return tuple(names)


def _text(text: str, field: str, at_most: int) -> str:
    # One character is at most 4 bytes, so short texts need no encoding to be known to fit.
    if len(text) * 4 > at_most and (n_bytes := len(text.encode())) > at_most:
        _refuse("TEXT_TOO_LONG", field, f"must have at most {at_most} bytes", n_bytes, what=f"length of {field}")
    return text


def _count(n_entries: int, field: str, at_least: int, at_most: int) -> None:
    if not at_least <= n_entries <= at_most:
        rule = f"must be {at_least} to {at_most}"
        _refuse("COUNT_OUT_OF_RANGE", field, rule, n_entries, what=f"number of {field}")


def _number(value: float, field: str, low: float, high: float) -> None:
    if low <= value <= high:  # false for NaN
        return
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124  NaN is what differs from itself
        _refuse("VALUE_NOT_FINITE", field, "must be finite", value)
    _refuse("VALUE_OUT_OF_RANGE", field, f"must be in [{low:g}, {high:g}]", value)


def _refuse_duplicate(names: Iterable[str], field: str) -> NoReturn:
    seen: set[str] = set()
    name = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    _refuse("DUPLICATE_ENTRY", field, "must be unique", name)


def _refuse(reason: str, field: str, rule: str, value: object = None, *, what: str = "") -> NoReturn:
    metadata = {"field": field, "rule": rule}
    if value is None:
        message = f"{field} {rule}"
    else:
        message = f"{what or field} == {value}, {rule}"
        metadata["value"] = str(value)
    raise InvalidInputError(message, reason=reason, metadata=metadata)
