"""How each module has done lately: what the baseline looks at, and what the policy is told beside the descriptors.

Folded from the same signals as the model.
"""

from typing import Final

import msgspec

from pilotfish.codes import Signal
from pilotfish.rewards import RewardFunction

WEIGHT_OF_NEWEST = 0.05
"""Share of the newest outcome in the running mean: a memory of about 20 outcomes, so that a failing module is noticed
within a dozen tasks and one stray failure does not change the baseline."""


LIVE_REWARD: Final = "live.reward"
"""The module feature that holds the running mean of the reward. The log keeps it, as it was, with each decision."""

_SCALE: Final = RewardFunction()
"""Never the configured one: a log that is scored anew under other weights must find the features it would have had."""

LIVE_WEIGHT_OF_NEWEST: Final = 0.15
"""Share of the newest utility in it: a memory of seven outcomes. Response times of public services that all users share
within a quarter of an hour are caught by it (`docs/adr/0010-models-are-born-from-the-log.md`); a longer one is the
model's own task."""


class ModuleHealth(msgspec.Struct, gc=False):
    """Running means of one module."""

    success: float = 1.0
    latency_ms: float = 0.0
    latency_known: bool = False
    utilities: dict[int, tuple[int, float]] = {}
    """Count and running mean of the utility, by signal."""


UNKNOWN = ModuleHealth()
"""Nothing is held against a module without outcomes: it counts as well, and as fast, as any."""


class Health:
    """Running means of success and latency per module. One writer; readers see whole numbers' worth of lag at most."""

    __slots__ = ("_modules",)

    def __init__(self, state: bytes = b"") -> None:
        self._modules: dict[str, ModuleHealth] = (
            msgspec.msgpack.decode(state, type=dict[str, ModuleHealth]) if state else {}
        )

    def observe(self, module: str, signal: Signal, value: float) -> None:
        """Take in one signal value."""
        health = self._modules.setdefault(module, ModuleHealth())
        count, mean = health.utilities.get(signal, (0, 0.0))
        share = max(LIVE_WEIGHT_OF_NEWEST, 1.0 / (count + 1))
        health.utilities[signal] = (count + 1, mean + share * (_SCALE.utility(signal, value) - mean))
        if signal is Signal.COMPLETION:
            health.success += WEIGHT_OF_NEWEST * (value - health.success)
        elif signal is not Signal.LATENCY_MS:
            return
        elif health.latency_known:
            health.latency_ms += WEIGHT_OF_NEWEST * (value - health.latency_ms)
        else:
            health.latency_ms, health.latency_known = value, True

    def of(self, module: str) -> ModuleHealth:
        """Return the module's means, not to be changed."""
        return self._modules.get(module, UNKNOWN)

    def live_reward(self, module: str) -> float | None:
        """Return the running mean of the module's reward, in [0, 1]; None if nothing is known."""
        total = reward = 0.0
        for signal, (_, mean) in self.of(module).utilities.items():
            weight = _SCALE.weights[signal - 1]
            total += weight
            reward += weight * mean
        return reward / total if total > 0.0 else None

    def state(self) -> bytes:
        """Return the means as bytes, the same for the same history."""
        return msgspec.msgpack.encode(dict(sorted(self._modules.items())))
