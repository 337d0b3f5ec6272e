"""What one module has used of its budget."""

import math
from collections import deque
from contextlib import suppress
from typing import Annotated, Final

import msgspec

MINUTE_S: Final = 60.0
HOUR_S: Final = 3600.0
UNITS_PER_USD: Final = 10**12
"""Money is counted in whole millionths of a millionth of a dollar: a sum of floats from which old entries are taken
away again drifts, and would refuse at 0.9999 what it allows at 1."""
MAX_COST_USD: Final = 1e12
"""What one call can cost at most; of more this much counts. Above every limit, and far from a float's end."""
MAX_EXACT_COSTS: Final = 4096
"""Costs in the hour that are kept one by one, about 1 per second. Past this, those of one second are kept together as
of the latest of them: at most 3,600 entries more, and money comes back up to 1 s late but never early."""


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one module may use. A limit that is left out does not exist."""

    cost_usd_per_hour: Annotated[float, msgspec.Meta(gt=0.0, le=1e9)] | None = None
    """Reported cost in US dollars within any hour from which on the module is not legal."""
    calls_per_minute: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    """Calls that may begin within any 60 s, such as a provider's rate limit."""
    concurrent_calls: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    """Calls that may be under way at once, such as the slots of a local model."""


class Spending:
    """The calls and costs of one module. Not thread-safe, and its times never run backwards: `Budgets` sees to both.

    A window holds what came later than its length ago: a call at 0 s and one at 60 s do not share one of 60 s.

    Args:
        budget: Its limits.
    """

    __slots__ = ("_costs", "_limit", "_mean", "_starts", "_total", "budget", "n_running", "n_unpriced", "touched_s")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.n_running = 0
        self.n_unpriced = 0  # calls under way or over whose cost may still come
        self.touched_s = -math.inf
        # Of forced calls past the limit only the latest matter: the module is free again when the N-th latest is old.
        self._starts: deque[float] = deque(maxlen=budget.calls_per_minute or 0)
        self._limit = None if budget.cost_usd_per_hour is None else round(budget.cost_usd_per_hour * UNITS_PER_USD)
        self._costs: deque[tuple[float, int, int]] = deque()  # time, sum, number of reports
        self._total = (0, 0)  # sum and number of reports within the hour
        self._mean = (0, 1)  # the same as of the last report: their ratio is a call's mean cost

    @property
    def is_tight(self) -> bool:
        """Whether something is used up if nothing has aged out since; false means that nothing can be."""
        return self._used_up() != ""

    def fault(self, now_s: float) -> str:
        """Return the id of the budget that is used up, that which lasts longest first, or "" if none is."""
        self._age(now_s)
        return self._used_up()

    def begin(self, now_s: float) -> None:
        """Count a call that begins."""
        self.n_running += 1
        self.n_unpriced += 1
        self._starts.append(now_s)

    def withdraw(self, start_s: float) -> None:
        """Take back a call's place in the minute."""
        with suppress(ValueError):  # it was forced, and later calls have pushed it out
            self._starts.remove(start_s)

    def pay(self, cost_usd: float, now_s: float) -> None:
        """Add a reported cost. What is no amount of money (negative, NaN, infinite) counts as 0."""
        if self._limit is None:
            return
        self._age(now_s)
        cost = round(min(cost_usd, MAX_COST_USD) * UNITS_PER_USD) if 0.0 <= cost_usd < math.inf else 0
        costs = self._costs
        if len(costs) >= MAX_EXACT_COSTS and math.floor(costs[-1][0]) == math.floor(now_s):
            _, sum_, count = costs.pop()
            costs.append((now_s, sum_ + cost, count + 1))
        else:
            costs.append((now_s, cost, 1))
        self._total = (self._total[0] + cost, self._total[1] + 1)
        self._mean = self._total

    def usage(self, now_s: float) -> tuple[float, int, int]:
        """Return the reported cost in dollars within the hour, the calls within the minute, and those under way."""
        self._age(now_s)
        return self._total[0] / UNITS_PER_USD, len(self._starts), self.n_running

    def _used_up(self) -> str:
        budget = self.budget
        if self._limit is not None:
            sum_, count = self._mean
            if (self._limit - self._total[0]) * count <= self.n_unpriced * sum_:
                return "budget.cost_usd_per_hour"
        if budget.calls_per_minute is not None and len(self._starts) >= budget.calls_per_minute:
            return "budget.calls_per_minute"
        if budget.concurrent_calls is not None and self.n_running >= budget.concurrent_calls:
            return "budget.concurrent_calls"
        return ""

    def _age(self, now_s: float) -> None:
        starts, costs = self._starts, self._costs
        while starts and starts[0] <= now_s - MINUTE_S:
            starts.popleft()
        while costs and costs[0][0] <= now_s - HOUR_S:
            _, sum_, count = costs.popleft()
            self._total = (self._total[0] - sum_, self._total[1] - count)
