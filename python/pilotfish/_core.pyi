"""The core: encode features, learn, score, explore. Written in Rust (`rust_core/`).

Vectors come in as C-contiguous buffers of float64 in native byte order (`array("d")`, NumPy, or the `bytes` of one)
and go out as `bytes`; read them with `memoryview(...).cast("d")`. Nothing may write to a buffer during a call.

A refusal is an `InvalidInputError` or a `StateError` whose message names what was received and the rule it breaks; an
argument of another type than stated may also be a `TypeError`. A refused call has changed nothing.
"""

from collections.abc import Sequence
from typing import final

from typing_extensions import Buffer

from pilotfish._core_change import Alarm as Alarm
from pilotfish._core_change import ChangeDetector as ChangeDetector
from pilotfish._core_history import Features as _Features
from pilotfish._core_history import History as History
from pilotfish._core_history import Module as _Module
from pilotfish._core_rules import RuleSet as RuleSet
from pilotfish._core_statistics import ConfidenceSequence as ConfidenceSequence
from pilotfish._core_statistics import SampleRatio as SampleRatio

__all__ = [
    "Alarm",
    "ChangeDetector",
    "Choice",
    "ConfidenceSequence",
    "History",
    "Model",
    "RuleSet",
    "SampleRatio",
    "explore",
    "explorer_default",
    "explorer_explores",
    "explorer_names",
    "sample",
]

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
    def learned_count(self) -> int:
        """Signal values that the model had learned; with its version this names the state that chose."""

    @property
    def pmf(self) -> bytes:
        """Probabilities of all modules, float64 [K]; they sum to 1 within rounding."""

    @property
    def scores(self) -> bytes:
        """Expected utilities under the weights, float64 [K]; 0 where nothing has been learned."""

    @property
    def uncertainties(self) -> bytes:
        """Posterior standard deviations of the scores, float64 [K]; empty where the explorer does not need them.

        Uniform, greedy, ε-greedy, softmax and inverse-gap weighting with `gamma` look at scores alone. A decision costs
        them K · d, and uncertainties would cost K · d²: so these are not computed, and nothing is said about them.
        """

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

    @staticmethod
    def trained(spec: bytes, history: History) -> Model:
        """Make a model that has learned a history.

        Equal to learning its values one by one within 1e-9, at a fraction of the cost: sums first, then what is
        derived from them, once (block elimination by Cholesky factors; Golub and Van Loan, "Matrix Computations", 2013,
        algorithm 4.2.1). The same specification and history give the same bits.
        Cost: rows · d · (d + k) + modules · d³.

        Args:
            spec: As in `Model`.
            history: What happened; rows that are appended meanwhile are not in it.

        Raises:
            InvalidInputError: The specification or a row breaks a rule of `learn`.
            StateError: The sums belong to no data: rounding has eaten the prior.
        """

    @property
    def evidence(self) -> float:
        """Σ over signals of ln p(utilities | tasks, modules) + ½ n ln 2π, n the weight of the signal's observations.

        How well the specification foretold what it then saw: of several, the one with the largest evidence on the same
        outcomes explains them best. 0 before any; independent of their order. A weight w counts like w observations.
        The noise variance is integrated out under a prior worth max(1, `noise_count`) observations.

        Source: the marginal likelihood of the conjugate linear model (Bishop, "Pattern Recognition and Machine
        Learning", 2006, section 3.5.1 and exercise 3.23).
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

    def contributions(
        self, task: _Features, text: str, module: _Module, weights: Sequence[float]
    ) -> list[tuple[str, float]]:
        """Split the score that `decide` gives a module into what each part of the input adds to it.

        The parts are sorted by absolute value, largest first, ties by name; their sum is the score, within 1e-9. Which
        parts there are follows from the input and the specification alone; one without influence has 0. While nothing
        has been learned of a signal with a weight, all are 0.

        - `bias`: the module itself, whatever the task. `feature:NAME`: a feature of the task. `text:WORD`: a word of
          the text, in lower case. `interplay`: what is not linear in the declared features, which is no sum over them.
          `clipped`: what was cut off where features pile up in one slot beyond ±1000.
        - Learned from all modules alike: `shared:bias`, `shared:feature:NAME`, `shared:module:NAME` (a feature of the
          module), `shared:capability:TAG`, `shared:feature:NAME × module:NAME` and `… × capability:TAG` (the two
          together).

        Source: Lundberg and Lee, "A unified approach to interpreting model predictions", 2017, corollary 1, with the
        baseline at 0; formula in `rust_core/kernel/src/model/explain.rs`.

        Args:
            task: As in `decide`.
            text: As in `decide`.
            module: Name, features, capability tags.
            weights: As in `decide`.

        Raises:
            InvalidInputError: An argument breaks its rule.
        """

    def learn(
        self, task: _Features, text: str, module: _Module, signal: int, utility: float, weight: float = 1.0
    ) -> tuple[float, float]:
        """Take in what happened, and return how far it was from what was expected.

        Weighted least squares: an observation of weight w is one whose vectors and utility are multiplied by √w, so a
        whole w equals w observations (Bishop, "Pattern Recognition and Machine Learning", 2006, exercise 3.3).

        Args:
            task: As in `decide`.
            text: As in `decide`.
            module: The module that ran, with the features it had then.
            signal: Place of the signal in the specification.
            utility: In [0, 1]; more is better.
            weight: What the observation counts for, in (0, 1024].

        Returns:
            Utility − prediction, in [-1, 1], the prediction clipped to [0, 1] and made before this was learned; and the
            prediction's standard deviation, >= 0. `ChangeDetector.observe` takes both.

        Raises:
            InvalidInputError: An argument breaks its rule.
        """

    def learn_encoded(
        self, context: Buffer, shared: Buffer | None, module: str, signal: int, utility: float, weight: float = 1.0
    ) -> tuple[float, float]:
        """Take in what happened, by vectors encoded beforehand, and return how far it was from what was expected.

        Args:
            context: The encoded task, float64 [d], each within ±1000.
            shared: The encoded module, float64 [k], each within ±1000; None for [1, 0, …].
            module: The name of the module that ran.
            signal: Place of the signal in the specification.
            utility: In [0, 1]; more is better.
            weight: As in `learn`.

        Returns:
            As `learn`.

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
    ε-greedy with ε = 0, and Thompson, information ratio or soft UCB with scale 0. No other policy can be evaluated from
    what such a one logs. True is no promise of support: with floor 0, softmax, soft UCB, Thompson, information ratio
    and the adaptive inverse gap give 0 to an action that is far enough behind.

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
