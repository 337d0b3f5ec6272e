"""Everything that may keep a module from a task, as one object that decisions and outcomes share."""

from collections.abc import Callable, Sequence

from pilotfish.codes import Signal
from pilotfish.safety.breakers import Breakers, State
from pilotfish.safety.budgets import Budgets
from pilotfish.safety.legal_set import Legality
from pilotfish.safety.live import FAILED_BELOW
from pilotfish.safety.settings import SafetySettings


class Safeguards:
    """Thread-safe.

    Args:
        settings: What is configured.
        on_transition: Told when a breaker changes its state.

    Raises:
        InvalidInputError: A rule is malformed; the message names it.
    """

    def __init__(
        self, settings: SafetySettings, on_transition: Callable[[str, State, State], None] = lambda *_: None
    ) -> None:
        self.settings = settings
        self.legality = Legality(settings.constraints())
        self.breakers = Breakers(settings.breakers, on_transition)
        self.budgets = Budgets(settings.budgets)

    def call_off(self, module: str, decision_id: bytes, now_s: float) -> None:
        """Withdraw what was reserved for a call that is not made, or of which nobody will hear.

        Args:
            module: Whose call it was to be.
            decision_id: Of the decision.
            now_s: Monotonic seconds.
        """
        if self.budgets.is_active:
            self.budgets.release(decision_id, now_s)
        self.breakers.withdraw_probe(module, decision_id)

    def observe(self, module: str, decision_id: bytes, values: Sequence[tuple[int, float]], now_s: float) -> None:
        """Take in the raw values of one outcome call, of the module that was decided.

        Args:
            module: Its name.
            decision_id: Of the decision.
            values: (signal, raw value).
            now_s: Monotonic seconds at which they came.
        """
        by_signal = dict(values)
        if self.budgets.is_active:
            self.budgets.record(module, decision_id, cost_usd=by_signal.get(Signal.COST_USD), now_s=now_s)
        completion = by_signal.get(Signal.COMPLETION)
        if completion is not None:
            self.breakers.record(
                module,
                failed=completion < FAILED_BELOW,
                latency_ms=by_signal.get(Signal.LATENCY_MS),
                now_s=now_s,
                probe_id=decision_id,
            )
