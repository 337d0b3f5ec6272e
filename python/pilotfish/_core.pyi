"""The core: encode features, learn, score, explore. Written in Rust (`rust_core/`).

Vectors come in as C-contiguous buffers of float64 in native byte order (`array("d")`, NumPy, or the `bytes` of one)
and go out as `bytes`; read them with `memoryview(...).cast("d")`. Nothing may write to a buffer during a call.

A refusal is an `InvalidInputError` or a `StateError` whose message names what was received and the rule it breaks; an
argument of another type than stated may also be a `TypeError`. A refused call has changed nothing.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias, final

from typing_extensions import Buffer

__all__ = [
    "Alarm",
    "ChangeDetector",
    "Choice",
    "Model",
    "explore",
    "explorer_default",
    "explorer_explores",
    "explorer_names",
    "sample",
]

_Features: TypeAlias = Mapping[str, float | str | bool | Sequence[float]]
_Module: TypeAlias = tuple[str, _Features, Sequence[str]]

@final
class Choice:
    """The answer to a decision; K is the number of modules it was made among."""

    @property
    def index(self) -> int:
        """Place of the chosen module in the list that was given."""

    @property
    def propensity(self) -> float:
        """Probability with which it was chosen: the element of `pmf` at `index`."""

    @property
    def pmf(self) -> bytes:
        """Probabilities of all modules, float64 [K]; they sum to 1 within rounding."""

    @property
    def scores(self) -> bytes:
        """Expected utilities under the weights, float64 [K]; 0 where nothing has been learned."""

    @property
    def uncertainties(self) -> bytes:
        """Posterior standard deviations of the scores, float64 [K]."""

@final
class Model:
    """A model: encoder, posterior and explorer. A handle that threads may share.

    A decision reads an immutable snapshot and never waits. Learning takes turns; each `learn` publishes a new snapshot.
    """

    def __new__(cls, spec: bytes) -> Model:
        """Make a model that has learned nothing.

        Args:
            spec: JSON with the keys `encoder`, `learner`, `explorer`, and at will `rewards` (an object that the core
                does not read; it is part of the version). See `rust_core/README.md` for the keys inside.

        Raises:
            InvalidInputError: A key is absent, unknown or breaks its rule.
        """

    @staticmethod
    def from_state(state: bytes, spec: bytes) -> Model:
        """Restore a model to the bit.

        Args:
            state: What `state` returned.
            spec: The specification that the state must have.

        Raises:
            InvalidInputError: The specification breaks a rule.
            StateError: The state is damaged, impossible, of another format or of another specification.
        """

    @property
    def version(self) -> str:
        """SHA-256 of the canonical specification and the format version, in hexadecimal."""

    @property
    def specification(self) -> bytes:
        """The canonical specification: JSON with sorted keys, without spaces."""

    @property
    def n_context(self) -> int:
        """Length d of an encoded task."""

    @property
    def n_shared(self) -> int:
        """Length k of an encoded module."""

    @property
    def n_signals(self) -> int:
        """Number of signals."""

    @property
    def learned_count(self) -> int:
        """Number of signal values learned."""

    @property
    def explorer(self) -> str:
        """Name of the explorer."""

    @property
    def explores(self) -> bool:
        """Whether any action but the best can have a probability; see `explorer_explores`."""

    def decide(
        self, seed: bytes, task: _Features, text: str, modules: Sequence[_Module], weights: Sequence[float]
    ) -> Choice:
        """Choose a module.

        Args:
            seed: The decision id, 16 bytes. Same state, arguments and seed: same choice, bit for bit.
            task: Features of the task. Numbers must be finite.
            text: Free text, of which the first 256 words count; "" for none.
            modules: A list or tuple of 1 to 1000 modules: name (once), features, capability tags (a set).
            weights: One per signal, in [0, 1e9]. Signals without weight or without learned values do not count.

        Raises:
            InvalidInputError: An argument breaks its rule.
        """

    def decide_encoded(
        self, seed: bytes, context: Buffer, shared: Buffer | None, modules: Sequence[str], weights: Sequence[float]
    ) -> Choice:
        """Choose a module by vectors encoded beforehand.

        Args:
            seed: The decision id, 16 bytes.
            context: The encoded task, float64 [d], each within ±1000.
            shared: The encoded modules, float64 [K, k], each within ±1000; None for [1, 0, …] each.
            modules: A list or tuple of names, as in `decide`.
            weights: As in `decide`.

        Raises:
            InvalidInputError: An argument breaks its rule.
        """

    def encode_task(self, task: _Features, text: str) -> bytes:
        """Return the encoded task, float64 [d].

        Raises:
            InvalidInputError: A feature is not finite, or a declared vector has another length.
        """

    def encode_module(self, task: _Features, module: _Module) -> bytes:
        """Return the module as encoded in the light of the task, float64 [k].

        Raises:
            InvalidInputError: A feature is not finite.
        """

    def learn(self, task: _Features, text: str, module: _Module, signal: int, utility: float) -> None:
        """Take in what happened.

        Args:
            task: As in `decide`.
            text: As in `decide`.
            module: The module that ran, with the features it had then.
            signal: Place of the signal in the specification.
            utility: In [0, 1]; more is better.

        Raises:
            InvalidInputError: An argument breaks its rule.
        """

    def learn_encoded(self, context: Buffer, shared: Buffer | None, module: str, signal: int, utility: float) -> None:
        """Take in what happened, by vectors encoded beforehand.

        Args:
            context: The encoded task, float64 [d], each within ±1000.
            shared: The encoded module, float64 [k], each within ±1000; None for [1, 0, …].
            module: The name of the module that ran.
            signal: Place of the signal in the specification.
            utility: In [0, 1]; more is better.

        Raises:
            InvalidInputError: An argument breaks its rule.
        """

    def state(self) -> bytes:
        """Return the model as bytes: the same bytes for the same values learned in the same order."""

    def frozen(self) -> Model:
        """Return a copy of this moment that later learning does not touch. Costs a few pointers."""

    def merge(self, other: Model) -> Model:
        """Return a model that has learned what both have; what both have seen counts twice.

        Raises:
            StateError: The specifications differ.
        """

    def arrays(self) -> dict[str, bytes]:
        """Return sums and derived quantities by readable key, float64, for tests and diagnosis."""

@final
class Alarm:
    """That, where and since when something has changed."""

    @property
    def evidence(self) -> float:
        """ln(1 + M) at the alarm, see `ChangeDetector`."""

    @property
    def n_after(self) -> int:
        """How many of the latest observations came after the change, as estimated; at least 1, this one."""

    @property
    def modules(self) -> list[str]:
        """Modules whose own evidence is at least √(1/alpha), in the order of names; empty if none shows it alone."""

@final
class ChangeDetector:
    """Raises an alarm when outcomes leave what was predicted, with a stated rate of false alarms.

    An e-detector (Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change detection",
    2023): M is the mean of the evidence in all residuals and of the sum of each module's; the alarm is at
    M >= 1 / alpha. While the expected residual, given the past and the module, is within ±(slack + uncertainty / 2),
    the mean number of observations to an alarm is at least 1 / alpha, whatever the distribution and the number of
    modules. The same observations in the same order give the same bits. Source and proof:
    `rust_core/kernel/src/statistics/change.rs`.
    """

    def __new__(cls, alpha: float = 1e-6, slack: float = 0.05) -> ChangeDetector:
        """Make a detector that has seen nothing.

        Args:
            alpha: One over the least mean number of observations between false alarms, [1e-30, 1].
            slack: Mean residual that is no change, [0, 1].

        Raises:
            InvalidInputError: An argument is out of its range.
        """

    @staticmethod
    def from_state(state: bytes) -> ChangeDetector:
        """Restore a detector to the bit, with its settings.

        Args:
            state: What `state` returned.

        Raises:
            StateError: The state is damaged, impossible or of another format.
        """

    def observe(self, residual: float, module: str, uncertainty: float = 0.0) -> Alarm | None:
        """Take in one learned outcome, in the order of the log, and say whether it raises the alarm.

        After an alarm all evidence is gone and the detector starts anew.

        Args:
            residual: Utility − prediction, the prediction clipped to [0, 1] and made before this outcome was learned;
                in [-1, 1].
            module: The name of the module that ran.
            uncertainty: Standard deviation of that prediction, >= 0; 0 if it has none.

        Raises:
            InvalidInputError: An argument is out of its range.
        """

    def start_anew(self) -> None:
        """Forget all evidence, as after an alarm: for when the model was replaced. The count goes on."""

    def state(self) -> bytes:
        """Return the detector as bytes: the same bytes for the same observations."""

    @property
    def evidence(self) -> float:
        """ln(1 + M), >= 0; 0 when nothing has been seen since the last alarm."""

    @property
    def threshold(self) -> float:
        """ln(1 + 1 / alpha): the evidence at which the alarm is raised."""

    @property
    def alpha(self) -> float:
        """One over the least mean number of observations between false alarms."""

    @property
    def slack(self) -> float:
        """Mean residual that is no change."""

    @property
    def count(self) -> int:
        """Observations so far, over all alarms."""

def explore(explorer: bytes, scores: Buffer, uncertainties: Buffer, n_observed: float = 0.0) -> bytes:
    """Return probabilities, float64 [K], each at least floor / K.

    Args:
        explorer: JSON as under `explorer` in a specification.
        scores: float64 [K], finite, K >= 1.
        uncertainties: float64 [K], finite and >= 0.
        n_observed: How many observations the scores rest on, >= 0; matters to explorers with an `anneal_count`.

    Raises:
        InvalidInputError: An argument breaks its rule.
    """

def sample(pmf: Buffer, seed: bytes) -> int:
    """Draw an action; one with probability 0 is never drawn.

    Args:
        pmf: float64 [K], each >= 0, with sum 1 within 1e-6.
        seed: 16 bytes.

    Raises:
        InvalidInputError: An argument breaks its rule.
    """

def explorer_explores(explorer: bytes) -> bool:
    """Return whether any action but those with the best score can ever have a probability.

    False for floor 0 with a rule that gives everything to the best whatever the scores and uncertainties are: greedy,
    ε-greedy with ε = 0, and Thompson or soft UCB with scale 0. No other policy can be evaluated from what such a one
    logs. True is no promise of support: with floor 0, softmax, soft UCB, Thompson and the adaptive inverse gap give
    probability 0 to an action that is far enough behind.

    Args:
        explorer: JSON as under `explorer` in a specification.

    Raises:
        InvalidInputError: A key is absent, unknown or breaks its rule.
    """

def explorer_names() -> list[str]:
    """Return the names of all explorers."""

def explorer_default(name: str) -> bytes:
    """Return a usable setting of an explorer, as JSON for `explore`.

    Raises:
        InvalidInputError: There is no explorer of this name.
    """
