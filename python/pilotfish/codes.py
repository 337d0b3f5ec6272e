"""The closed lists that decisions, the log and the wire share.

The numbers are those of `proto/pilotfish/v1/policy.proto`; a contract test compares them. The domain keeps its own
enums so that nothing inside the engine depends on generated code.
"""

from enum import IntEnum


class Mode(IntEnum):
    """How far the policy may act."""

    OFF = 1
    SHADOW = 2
    ROLLOUT = 3
    ON = 4


class Source(IntEnum):
    """Which rule chose the served module."""

    POLICY = 1
    BASELINE = 2
    FALLBACK = 3
    CHAMPION = 4


class Reason(IntEnum):
    """Why a module was removed, or which rule applied."""

    MISSING_CAPABILITY = 1
    NOT_ALLOWED = 2
    DENIED = 3
    DATA_TOO_LARGE = 4
    BANNED = 5
    MISSING_FEATURE = 6
    DEADLINE_TOO_SHORT = 7
    BUDGET_SPENT = 8
    BREAKER_OPEN = 9
    MODE_OFF = 10
    MODE_SHADOW = 11
    OUTSIDE_ROLLOUT = 12
    ONLY_CANDIDATE = 13
    BASELINE_NOT_LEGAL = 14
    PROBE = 15
    PANIC = 16
    CRITICAL = 17
    HELD_BACK = 18
    POLICY_FAILED = 20
    GUARD_REFUSED = 21
    LOG_UNAVAILABLE = 22
    SIDECAR_UNAVAILABLE = 23
    CIRCUIT_OPEN = 24
    DEADLINE_NEAR = 25
    CHAMPION_ANSWERED = 26
    DECLARED_ORDER = 27
    SAFE_DEFAULT = 28
    RULE_VIOLATED = 30
    RISK_TOO_HIGH = 31
    NOT_REPEATABLE = 32


class Signal(IntEnum):
    """What is measured of an outcome; the unit is part of the name."""

    COMPLETION = 1
    LATENCY_MS = 2
    COST_USD = 3
    QUALITY = 4
    RETRY_COUNT = 5
    RECOVERY = 6
    SATISFACTION = 7
