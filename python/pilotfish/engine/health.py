"""How each module has done lately: what the baseline looks at. Folded from the same signals as the model."""

import msgspec

from pilotfish.codes import Signal

WEIGHT_OF_NEWEST = 0.05
"""Share of the newest outcome in the running mean: a memory of about 20 outcomes, so that a failing module is noticed
within a dozen tasks and one stray failure does not change the baseline."""


class ModuleHealth(msgspec.Struct, gc=False):
    """Running means of one module."""

    success: float = 1.0
    latency_ms: float = 0.0
    latency_known: bool = False


_UNKNOWN = ModuleHealth()
"""Nothing is held against a module without outcomes: it counts as well, and as fast, as any."""


class Health:
    """Running means of success and latency per module. One writer; readers see whole numbers' worth of lag at most."""

    __slots__ = ("_modules",)

    def __init__(self, state: bytes = b"") -> None:
        self._modules: dict[str, ModuleHealth] = (
            msgspec.msgpack.decode(state, type=dict[str, ModuleHealth]) if state else {}
        )

    def observe(self, module: str, signal: Signal, value: float) -> None:
        """Take in one signal value; only completion and latency matter here."""
        if signal not in (Signal.COMPLETION, Signal.LATENCY_MS):
            return
        health = self._modules.setdefault(module, ModuleHealth())
        if signal is Signal.COMPLETION:
            health.success += WEIGHT_OF_NEWEST * (value - health.success)
        elif health.latency_known:
            health.latency_ms += WEIGHT_OF_NEWEST * (value - health.latency_ms)
        else:
            health.latency_ms, health.latency_known = value, True

    def of(self, module: str) -> ModuleHealth:
        """Return the module's means, not to be changed."""
        return self._modules.get(module, _UNKNOWN)

    def state(self) -> bytes:
        """Return the means as bytes, the same for the same history."""
        return msgspec.msgpack.encode(dict(sorted(self._modules.items())))
