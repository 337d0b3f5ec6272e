"""How much each module may be used: money per hour, calls per minute, calls at once."""

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated, Final, NamedTuple

import msgspec

from pilotfish.safety.spending import HOUR_S, Budget, Spending

__all__ = ["Budget", "BudgetSettings", "BudgetUse", "BudgetView", "Budgets"]

EACH_OTHER: Final = "*"


class BudgetSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What modules may use."""

    modules: dict[str, Budget] = {}
    """Budget by module name. "*": the budget that each module without an own entry has for itself. An own entry
    replaces it whole. Empty: no limits."""
    concurrent_patience_s: Annotated[float, msgspec.Meta(gt=0.0, le=3600.0)] = 60.0
    """A call without an outcome is believed over after this, or hubs that report nothing would use up what may be under
    way at once. Longer than a call takes, or more run at once than allowed."""


class BudgetUse(NamedTuple):
    """How far one limit is used."""

    used: float
    limit: float


class BudgetView(NamedTuple):
    """One module's budget, for people and metrics; None where there is no limit."""

    cost_usd_per_hour: BudgetUse | None
    calls_per_minute: BudgetUse | None
    concurrent_calls: BudgetUse | None


class _Call:
    """A call that was reserved no longer ago than the patience."""

    __slots__ = ("is_priced", "is_running", "spending", "start_s")

    def __init__(self, spending: Spending, start_s: float) -> None:
        self.spending = spending
        self.start_s = start_s
        self.is_running = True
        self.is_priced = False


class Budgets:
    """What each module has used. Threads may share it.

    Limits on calls are never exceeded by those who hold `lock` from `spent` to `reserve` and serve only what is not
    spent. A call that was reserved although its module was spent (the only candidate, say) is counted all the same.

    Cost is known afterwards. A module is spent as soon as its reported cost of the last hour, plus its mean cost for
    each call whose cost has not come within the patience, reaches the limit. So any hour's cost exceeds the limit by at
    most the cost of one call, plus what the calls in flight cost above the mean, plus the calls whose cost came after
    the patience. Before its first report a module's mean is 0, and what is then in flight is bounded only by the other
    two limits: give `concurrent_calls` as well where that matters. A mean is that of the hour as of the last report,
    and is forgotten with a module that was not used for an hour.

    Time that runs backwards, as between threads that read the clock before they wait for the lock, stands still.

    In memory: for each module that was used within the last hour, as many times as it may have calls per minute and at
    most 7,696 costs; and each call of the last `concurrent_patience_s`.

    Args:
        settings: The limits.
    """

    def __init__(self, settings: BudgetSettings) -> None:
        self._budgets = {name: budget for name, budget in settings.modules.items() if name != EACH_OTHER}
        self._other = settings.modules.get(EACH_OTHER, Budget())
        self._patience_s = settings.concurrent_patience_s
        self._now_s = -math.inf
        self._spendings: OrderedDict[str, Spending] = OrderedDict()  # what was used last stands last
        self._tight: dict[str, Spending] = {}  # the only ones that can be spent
        self._calls: dict[bytes, _Call] = {}  # in the order in which they began
        self.lock = threading.RLock()
        self.is_active = any(_is_limited(budget) for budget in settings.modules.values())
        """Whether there is any limit; without one the caller need not ask."""

    def spent(self, names: Sequence[str], now_s: float) -> dict[int, str]:
        """Return which of a request's candidates have used up a budget.

        Args:
            names: Modules in declared order.
            now_s: Monotonic seconds.

        Returns:
            By index: `budget.cost_usd_per_hour`, `budget.calls_per_minute` or `budget.concurrent_calls`, the first that
            is used up.
        """
        if not self._tight or self._tight.keys().isdisjoint(names):
            return {}
        with self.lock:
            now_s = self._advance(now_s)
            faults: dict[int, str] = {}
            for index, name in enumerate(names):
                spending = self._tight.get(name)
                if spending is None:
                    continue
                if fault := spending.fault(now_s):
                    faults[index] = fault
                else:
                    del self._tight[name]
            return faults

    def reserve(self, module: str, call_id: bytes, now_s: float) -> None:
        """Note that a call begins. The same id again, within the patience, is the same call."""
        budget = self._budgets.get(module, self._other)
        if not _is_limited(budget):
            return
        with self.lock:
            now_s = self._advance(now_s)
            if call_id in self._calls:
                return
            spending = self._touch(module, budget)
            spending.begin(now_s)
            self._calls[call_id] = _Call(spending, now_s)
            self._judge(module, spending)

    def release(self, call_id: bytes, now_s: float) -> None:
        """Take a reservation back: the decision was not served after all.

        A call that is unknown, that has an outcome, or that began longer ago than the patience stays counted.
        """
        with self.lock:
            self._advance(now_s)
            call = self._calls.get(call_id)
            if call is None or not call.is_running or call.is_priced:
                return
            del self._calls[call_id]
            self._end(call)
            self._price(call)
            call.spending.withdraw(call.start_s)

    def record(self, module: str, call_id: bytes, *, cost_usd: float | None, now_s: float) -> None:
        """Note an outcome, or a part of one: it ends the call, and its cost is added.

        Args:
            module: Who was called.
            call_id: What `reserve` was given. Within the patience only the first cost of a call counts; later, and for
                calls that were never reserved, each does, and the caller sees to it that a cost is reported once.
            cost_usd: What the call cost, US dollars; None if this part does not say, it may come later.
            now_s: Monotonic seconds.
        """
        budget = self._budgets.get(module, self._other)
        if not _is_limited(budget):
            return
        with self.lock:
            now_s = self._advance(now_s)
            call = self._calls.get(call_id)
            if call is not None:
                self._end(call)
                if cost_usd is None or call.is_priced:
                    return
                self._price(call)
            if cost_usd is not None:
                spending = self._touch(module, budget)
                spending.pay(cost_usd, now_s)
                self._judge(module, spending)

    def snapshot(self, now_s: float) -> dict[str, BudgetView]:
        """Return used and limit of each budget, by module: those with an own entry, and those used within the hour."""
        with self.lock:
            now_s = self._advance(now_s)
            unused = {name: Spending(budget) for name, budget in self._budgets.items() if _is_limited(budget)}
            return {name: _view(spending, now_s) for name, spending in {**unused, **self._spendings}.items()}

    def _advance(self, now_s: float) -> float:
        """Let the calls go that are believed over and the modules that are long unused; return the present time."""
        self._now_s = now_s = max(now_s, self._now_s)
        while self._calls:
            call_id = next(iter(self._calls))
            call = self._calls[call_id]
            if call.start_s > now_s - self._patience_s:
                break
            del self._calls[call_id]
            self._end(call)
            self._price(call)
        while self._spendings:
            module = next(iter(self._spendings))
            # No window is longer than an hour and no patience either, so nothing but the mean cost is lost.
            if self._spendings[module].touched_s > now_s - HOUR_S:
                break
            del self._spendings[module]
            self._tight.pop(module, None)
        return now_s

    def _touch(self, module: str, budget: Budget) -> Spending:
        spending = self._spendings.get(module)
        if spending is None:
            spending = self._spendings[module] = Spending(budget)
        else:
            self._spendings.move_to_end(module)
        spending.touched_s = self._now_s
        return spending

    def _judge(self, module: str, spending: Spending) -> None:
        if spending.is_tight:
            self._tight[module] = spending

    @staticmethod
    def _end(call: _Call) -> None:
        if call.is_running:
            call.is_running = False
            call.spending.n_running -= 1

    @staticmethod
    def _price(call: _Call) -> None:
        if not call.is_priced:
            call.is_priced = True
            call.spending.n_unpriced -= 1


def _is_limited(budget: Budget) -> bool:
    return not (
        budget.cost_usd_per_hour is None and budget.calls_per_minute is None and budget.concurrent_calls is None
    )


def _view(spending: Spending, now_s: float) -> BudgetView:
    cost_usd, n_calls, n_running = spending.usage(now_s)
    budget = spending.budget
    return BudgetView(
        None if budget.cost_usd_per_hour is None else BudgetUse(cost_usd, budget.cost_usd_per_hour),
        None if budget.calls_per_minute is None else BudgetUse(n_calls, budget.calls_per_minute),
        None if budget.concurrent_calls is None else BudgetUse(n_running, budget.concurrent_calls),
    )
