"""Everything that is configured of safety, as one section."""

from typing import Annotated

import msgspec

from pilotfish.safety.breakers import BreakerSettings
from pilotfish.safety.budgets import BudgetSettings
from pilotfish.safety.constraints import Constraints


class SafetySettings(Constraints, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may not be served: the constraints, and what holds just now."""

    breakers: BreakerSettings = BreakerSettings()
    """When a module that fails is taken out, and how it comes back."""
    budgets: BudgetSettings = BudgetSettings()
    """What each module may cost and how often it may be called."""
    risk_cap: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)] | None = None
    """Largest probability of failure, as an upper bound, that a module may have to take a critical task. None: no cap.
    A model that cannot be asked has no bound, and then no module is below the cap."""
    risk_deviations: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 1.645
    """Standard deviations of the predicted completion that are added to its failure; 1.645: 95 % of a normal's mass."""
    safe_default: str = ""
    """The module that is served if breakers, budgets and risk leave nothing; it must be a candidate, and neither the
    request nor a constraint may forbid it. Empty: the request is refused."""

    def constraints(self) -> Constraints:
        """Return what depends on the request and the hour alone."""
        return Constraints(**{name: getattr(self, name) for name in Constraints.__struct_fields__})
