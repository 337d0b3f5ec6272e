"""The baseline: what the hub would do without learning, and what it gets whenever the policy may not or cannot act."""

import math

from pilotfish.codes import Reason
from pilotfish.engine.health import UNKNOWN, Health
from pilotfish.request import Request

SUCCESS_STEP = 0.05
"""Success rates are compared in steps of this size, so that latency decides between modules that work equally well."""

_WORST = (True, 1, math.inf)


def choose_baseline(
    request: Request, legal: tuple[int, ...], health: Health, probing: tuple[int, ...] = ()
) -> tuple[int, tuple[int, ...]]:
    """Return the index of the baseline's candidate, always a legal one, and the reason codes to report.

    The hub's own choice if it is legal. Else the heuristic: a module that names the task's type as a capability
    before one that does not, then the best recent success, then the lowest recent latency, then declared order. One on
    probation counts as one without outcomes, or it would never be tried again where no policy explores.
    """
    reasons: tuple[int, ...] = ()
    candidates = request.candidates
    if request.baseline_module:
        for index in legal:
            if candidates[index].name == request.baseline_module:
                return index, ()
        reasons = (int(Reason.BASELINE_NOT_LEGAL),)

    task_type, best, best_rank = request.task.type, legal[0], _WORST
    for index in legal:
        module = candidates[index]
        recent = UNKNOWN if index in probing else health.of(module.name)
        rank = (task_type not in module.capabilities, -round(recent.success / SUCCESS_STEP), recent.latency_ms)
        if rank < best_rank:  # a tie stays with the earlier one
            best, best_rank = index, rank
    return best, reasons
