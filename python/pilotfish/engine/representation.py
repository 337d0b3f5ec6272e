"""How tasks become vectors, chosen by what the log shows and not by hand.

Three questions are answered anew whenever the log has doubled: which features have slots of their own and on which
scale, whether tasks differ for all modules alike, and whether effects are linear. Each answer is a specification; the
one whose evidence on the same outcomes is largest wins (`Model.evidence`, the log marginal likelihood: progressive
validation by the log score, without regard to the order of the outcomes).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pilotfish._core import History, Model

SLOTS_MAX: Final = 384
"""Slots of the declared block; features beyond it stay hashed. A decision costs the square of the slots per module."""

SKEWED: Final = 0.5
"""Skewness beyond which a number's logarithm is taken, if that is less skewed: an exponential's is 2, a normal's 0."""

SPARSE: Final = 4
"""Rows per label below which a text is no category: its labels hardly come again."""

LINEAR_SCALES: Final = (1.0, 4.0)
"""Tried lengths of the declared block, beside the middle one."""

CURVES: Final = ((0.7, 2.0, 0.5), (1.4, 2.0, 0.5), (2.8, 2.0, 0.5), (1.4, 2.0, 2.0))
"""Tried (length scale, scale of the random block, scale of the declared block)."""

RANDOM_DIMS: Final = 128


def choose_model(history: History, specify: Callable[[Mapping[str, Any]], bytes]) -> Model:
    """Return a model trained on a history, in the representation of the largest evidence.

    Args:
        history: What happened; at least one row.
        specify: From encoder keys that replace the default's to a specification.
    """
    best = Model.trained(specify({}), history)
    chosen: dict[str, Any] = {}
    for stage in _stages(history):
        known = chosen
        for keys in stage:
            model = Model.trained(specify(known | keys), history)
            if model.evidence > best.evidence:
                best, chosen = model, known | keys
    return best


def _stages(history: History) -> Iterator[list[dict[str, Any]]]:
    """Yield the alternatives of each question; the answers before are kept."""
    declared = declare(history)
    size = math.sqrt(max(1, len(declared)))

    def linear(scale: float) -> dict[str, Any]:
        return {"declared": declared, "declared_scale": scale / size, "hashed_dims": 8}

    alone = {"shared_task": False} if history.describes_modules else {"shared_dims": 1, "shared_task": False}
    yield [alone, linear(2.0), alone | linear(2.0)]
    if declared:
        curves = [
            linear(line) | {"random_dims": RANDOM_DIMS, "random_length": length, "random_scale": scale}
            for length, scale, line in CURVES
        ]
        yield [*(linear(scale) for scale in LINEAR_SCALES), *curves]


def declare(history: History) -> list[dict[str, Any]]:
    """Return the features that get slots of their own, most frequent first, on the scale that the history shows."""
    rows = len(history)
    declared: list[dict[str, Any]] = []
    slots = 0
    for column in sorted(history.describe(), key=lambda column: (-column["count"], column["name"])):
        feature = _declared(column, rows)
        if feature is not None and slots + _slots(feature) <= SLOTS_MAX:
            declared.append(feature)
            slots += _slots(feature)
    return declared


def _declared(column: Mapping[str, Any], rows: int) -> dict[str, Any] | None:
    name, kind, count = column["name"], column["kind"], column["count"]
    if kind == "number":
        log = abs(column["plain"][2]) > max(SKEWED, abs(column["log"][2]))
        center, scale, _ = column["log" if log else "plain"]
        # What never changed says nothing, and rounding must not be scaled up.
        if scale <= 1e-9 * max(1.0, abs(center)):
            return None
        scaled = {"center": center, "scale": scale, "log": log, "indicator": count < rows}
        return {"kind": kind, "name": name, **scaled}
    if kind == "category" and count >= SPARSE * len(column["labels"]):
        return {"kind": kind, "name": name, "values": column["labels"]}
    # Vectors stay hashed: a declared one of another length would be refused, and its length may change tomorrow.
    return None


def _slots(feature: Mapping[str, Any]) -> int:
    return 1 + int(feature["indicator"]) if feature["kind"] == "number" else len(feature["values"])
