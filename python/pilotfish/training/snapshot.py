"""A model at one moment, as a file that proves itself: specification, learned state, and where it came from.

    8 bytes   magic "PFSNAPSH"
    2 bytes   format version, little endian
    32 bytes  SHA-256 of the body: the snapshot's id
    the rest  body: `Snapshot` as msgpack, in one spelling only

`Model.version` names a specification, under which every learned value makes another model. A snapshot's id names one
such model to the bit, which is what a rollback needs.

The checksum finds damage. `restore` finds what a checksum cannot: a body that is whole and still no model that this
release could serve. The core bounds every number of a state by what data could have left there
(`rust_core/kernel/src/model/reader.rs`); here come the specification's meaning and a decision as a test.
"""

import hashlib
import math
from typing import Annotated, Any, Final

import msgspec

from pilotfish._core import Choice, Model
from pilotfish.codes import Signal
from pilotfish.exceptions import InvalidInputError, PilotfishError, StateError
from pilotfish.rewards import DEFAULT_HALF_VALUES, SIGNAL_NAMES, RewardFunction

MAGIC: Final = b"PFSNAPSH"
FORMAT_VERSION: Final = 1
HEADER_BYTES: Final = len(MAGIC) + 2 + hashlib.sha256().digest_size

NOTE_MAX: Final = 1024
"""Longest note, in characters."""
ACTOR_MAX: Final = 128
"""Longest name of who kept it, in characters."""
TIME_MAX_US: Final = 253_402_300_800_000_000
"""The year 10000, in microseconds since 1970: later times are a clock's fault, and would not sort."""

REASON_MAX: Final = 500
"""Longest quotation of the core's reason; a state of another specification quotes both."""

_SELF_TEST: Final[tuple[tuple[str, dict[str, float], tuple[str, ...]], ...]] = (
    ("self test a", {}, ()),
    ("self test b", {}, ()),
)

Time = Annotated[int, msgspec.Meta(ge=0, lt=TIME_MAX_US)]
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model at one moment: the body of a snapshot file."""

    created_us: Time
    """When it was kept first, in microseconds since 1970; it stays when a file is carried elsewhere."""
    model_version: Digest
    """`Model.version`: the specification's SHA-256."""
    specification: bytes
    """`Model.specification`."""
    state: bytes
    """`Model.state()`."""
    birth: Count
    """The model's birth, by its sequence number in the log that it comes from; 0 for none."""
    learned_count: Count
    """Signal values that it has learned."""
    state_sha256: Digest
    """SHA-256 of `state`: equal for two snapshots of the same learning, whatever was noted with them."""
    note: str
    """Why it was kept; at most 1,024 printable characters."""
    actor: str
    """Who kept it; 1 to 128 printable characters."""


def take(model: Model, *, birth: int, note: str, actor: str, now_us: int) -> Snapshot:
    """Return a model's snapshot of this moment; later learning does not touch it.

    Raises:
        InvalidInputError: An argument breaks its rule.
    """
    if birth < 0:
        raise InvalidInputError(f"birth == {birth}, must be >= 0")
    check_time(now_us)
    check_text("note", note, at_least=0, at_most=NOTE_MAX)
    check_text("actor", actor, at_least=1, at_most=ACTOR_MAX)
    frozen = model.frozen()
    state = frozen.state()
    return Snapshot(
        created_us=now_us,
        model_version=frozen.version,
        specification=frozen.specification,
        state=state,
        birth=birth,
        learned_count=frozen.learned_count,
        state_sha256=hashlib.sha256(state).hexdigest(),
        note=note,
        actor=actor,
    )


def check_time(now_us: int) -> None:
    """Refuse a time outside [1970, 10000).

    Raises:
        InvalidInputError: It is outside.
    """
    if not 0 <= now_us < TIME_MAX_US:
        raise InvalidInputError(f"now_us == {now_us}, must be in [0, {TIME_MAX_US})")


def check_text(key: str, text: str, *, at_least: int, at_most: int) -> None:
    """Refuse what does not fit on a line: a text goes to terminals and logs, and a file may come from anywhere.

    Raises:
        InvalidInputError: It is too short, too long or not printable.
    """
    if not (at_least <= len(text) <= at_most and text.isprintable()):
        raise InvalidInputError(f"{key} == {text[:50]!a}, must be {at_least} to {at_most} printable characters")


def seal(snapshot: Snapshot) -> tuple[str, bytes]:
    """Return a snapshot's id and the content of its file."""
    body = msgspec.msgpack.encode(snapshot)
    digest = hashlib.sha256(body)
    return digest.hexdigest(), MAGIC + FORMAT_VERSION.to_bytes(2, "little") + digest.digest() + body


def unseal(content: bytes) -> tuple[str, Snapshot]:
    """Return a file's snapshot and its id, provided that the file is whole.

    Raises:
        StateError: It is not, or holds something else; the message says what.
    """
    if len(content) < HEADER_BYTES:
        raise StateError(f"snapshot has {len(content)} bytes, too few to be one")
    header, body = content[:HEADER_BYTES], memoryview(content)[HEADER_BYTES:]
    if not header.startswith(MAGIC):
        raise StateError(f"snapshot does not begin with the magic bytes {MAGIC.decode()}")
    found = int.from_bytes(header[len(MAGIC) : len(MAGIC) + 2], "little")
    if found != FORMAT_VERSION:
        raise StateError(f"snapshot's format version == {found}, must be {FORMAT_VERSION}")
    digest = hashlib.sha256(body)
    if header[len(MAGIC) + 2 :] != digest.digest():
        raise StateError("snapshot's SHA-256 differs: the file is damaged or cut short")
    try:
        snapshot = msgspec.msgpack.decode(body, type=Snapshot)
        # One spelling for one content: no key twice, no longer form of a number, no other order.
        if msgspec.msgpack.encode(snapshot) != body:
            raise StateError("snapshot's body is not as this release writes it")
        check_text("note", snapshot.note, at_least=0, at_most=NOTE_MAX)
        check_text("actor", snapshot.actor, at_least=1, at_most=ACTOR_MAX)
    except (msgspec.DecodeError, InvalidInputError, RecursionError, UnicodeError) as error:
        raise StateError(f"snapshot's body cannot be read: {_reason(error)}") from error
    return digest.hexdigest(), snapshot


def restore(snapshot: Snapshot) -> Model:
    """Return a snapshot's model, provided that it means what this release means and can decide.

    Raises:
        StateError: It is damaged, impossible or another release's; the message says what.
    """
    if hashlib.sha256(snapshot.state).hexdigest() != snapshot.state_sha256:
        raise StateError(f"snapshot's state_sha256 == {snapshot.state_sha256}, must be the SHA-256 of its state")
    try:
        model = Model.from_state(snapshot.state, snapshot.specification)
        _check_specification(model.specification)
        if model.specification != snapshot.specification:
            raise StateError("snapshot's specification is not in canonical form")
        for key in ("model_version", "learned_count"):
            said, true = getattr(snapshot, key), getattr(model, "version" if key == "model_version" else key)
            if said != true:
                raise StateError(f"snapshot's {key} == {said}, must be {true}")
        self_test(model)
    except PilotfishError as error:
        raise StateError(f"snapshot cannot be served: {_reason(error)}") from error
    return model


def self_test(model: Model) -> None:
    """Decide once between two modules that nobody has, and refuse a model whose answer is none.

    Raises:
        InvalidInputError: The model refuses to decide.
        StateError: A number of the answer breaks its rule.
    """
    choice = model.decide(bytes(16), {}, "self test", _SELF_TEST, (1.0,) * model.n_signals)
    check_choice(choice, len(_SELF_TEST))


def check_choice(choice: Choice, n_modules: int) -> None:
    """Refuse an answer that is not finite or not a probability mass function.

    Raises:
        StateError: A number breaks its rule.
    """
    pmf, scores, uncertainties = (
        memoryview(vector).cast("d").tolist() for vector in (choice.pmf, choice.scores, choice.uncertainties)
    )
    lengths = [len(vector) for vector in (pmf, scores, uncertainties)]
    # An explorer that looks at scores alone has no uncertainties computed.
    if lengths not in ([n_modules] * 3, [n_modules, n_modules, 0]):
        raise StateError(f"self-test: lengths == {lengths}, must be {n_modules} each, or none of the last")
    if not all(map(math.isfinite, scores)):
        raise StateError(f"self-test: scores == {scores}, must be finite")
    if not all(math.isfinite(value) and value >= 0.0 for value in uncertainties):
        raise StateError(f"self-test: uncertainties == {uncertainties}, must be finite and >= 0")
    if not (all(0.0 <= p <= 1.0 for p in pmf) and abs(math.fsum(pmf) - 1.0) <= 1e-9):  # noqa: PLR2004  n rounding errors
        raise StateError(f"self-test: pmf == {pmf}, must be probabilities with sum 1")
    if not (choice.propensity == pmf[choice.index] > 0.0):
        raise StateError(f"self-test: propensity == {choice.propensity}, must be that of the chosen module and > 0")


def _check_specification(canonical: bytes) -> None:
    """Refuse heads and utilities of another meaning; the core has read the rest, key by key."""
    specification: dict[str, Any] = msgspec.json.decode(canonical)
    signals = specification["learner"]["signals"]
    if tuple(signals) != SIGNAL_NAMES:
        raise StateError(f"learner.signals == {signals}, must be {list(SIGNAL_NAMES)}")
    rewards = specification.get("rewards")
    half_values = rewards.get("half_values") if isinstance(rewards, dict) else None
    if not isinstance(half_values, dict) or half_values.keys() != {s.name.lower() for s in DEFAULT_HALF_VALUES}:
        raise StateError(f"rewards == {rewards}, must be those of this release")
    if not all(type(value) in (int, float) for value in half_values.values()):
        raise StateError(f"rewards.half_values == {half_values}, must be numbers")
    this_release = RewardFunction(half_values={Signal[name.upper()]: value for name, value in half_values.items()})
    if this_release.specification() != rewards:
        raise StateError(f"rewards == {rewards}, must be {this_release.specification()}")


def _reason(error: Exception) -> str:
    text = str(error)
    return text if len(text) <= REASON_MAX else f"{text[:REASON_MAX]}…"
