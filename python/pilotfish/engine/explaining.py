"""What the model makes, now, of a decision that was made before: scores, and what each is the sum of."""

import logging
import math
from collections.abc import Sequence
from typing import Final

import msgspec

from pilotfish._core import Model
from pilotfish.experience.record import DecisionRecord

EXPLAINED_MODULES: Final = 32
"""One takes up to a millisecond, so that a decision over 1,000 modules must not hold up the others for a second."""
LISTED_CONTRIBUTIONS: Final = 20
"""What a person reads; the rest is one sum."""

logger = logging.getLogger(__name__)


class PresentScore(msgspec.Struct, frozen=True, gc=False):
    """What the model makes of one candidate of a logged decision."""

    module: str
    """Its name."""
    score: float
    """Expected reward under the decision's weights."""
    uncertainty: float
    """Standard deviation of the score's posterior; NaN if the model's explorer does without."""
    policy_probability: float
    """Probability under the policy alone, among the legal candidates of then."""
    contributions: tuple[tuple[str, float], ...]
    """The largest by absolute value, largest first; the parts are described at `Model.contributions`."""
    other_contributions: float
    """The sum of the others: with those above it makes the score, within 1e-9."""
    other_count: int
    """How many others there are."""


def read_uncertainties(column: bytes, n_modules: int) -> Sequence[float]:
    """Return the uncertainties of a decision whose policy was computed: NaN each if its explorer does without."""
    return memoryview(column).cast("d") if column else (math.nan,) * n_modules


def present_scores(model: Model, record: DecisionRecord, chosen: str, ranking: Sequence[str]) -> list[PresentScore]:
    """Return what `model` makes of the legal candidates of a decision, for the task and the weights of then.

    Args:
        model: A frozen copy of the model as it is now: scores and contributions must be of one state.
        record: The decision.
        chosen: The module that was served.
        ranking: Names of the legal candidates; the first 32 and the chosen one are explained, in this order.

    Returns:
        One entry per explained candidate; none if the model refuses the request, as when a feature has another shape
        than the model declares, because then there is no score to explain.
    """
    task, candidates, weights = record.request.task, record.request.candidates, record.weights
    modules = [(module.name, module.features, module.capabilities) for module in (candidates[i] for i in record.legal)]
    places = {name: place for place, (name, _, _) in enumerate(modules)}
    explained = [*ranking[:EXPLAINED_MODULES], *(name for name in ranking[EXPLAINED_MODULES:] if name == chosen)]
    try:
        # The seed decides what is sampled, which nobody looks at.
        choice = model.decide(bytes(16), task.features, task.description, modules, weights)
        split = {
            name: model.contributions(task.features, task.description, modules[places[name]], weights)
            for name in explained
        }
    except Exception as error:  # noqa: BLE001  what is on record is shown whatever the learner does
        logger.warning("the present model cannot explain a decision: %r", error)
        return []
    scores, pmf = memoryview(choice.scores).cast("d"), memoryview(choice.pmf).cast("d")
    uncertainties = read_uncertainties(choice.uncertainties, len(scores))
    return [
        PresentScore(
            module=name,
            score=scores[places[name]],
            uncertainty=uncertainties[places[name]],
            policy_probability=pmf[places[name]],
            contributions=tuple(parts[:LISTED_CONTRIBUTIONS]),
            other_contributions=sum(value for _, value in parts[LISTED_CONTRIBUTIONS:]),
            other_count=len(parts[LISTED_CONTRIBUTIONS:]),
        )
        for name, parts in split.items()
    ]
