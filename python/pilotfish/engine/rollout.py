"""Who gets the policy: a sticky share of units, and the mixture that follows from it."""

from hashlib import blake2b

from pilotfish.codes import Mode


def policy_share(mode: Mode, rollout_share: float) -> float:
    """Return the share of units, [0, 1], that the policy serves in this mode."""
    return {Mode.OFF: 0.0, Mode.SHADOW: 0.0, Mode.ROLLOUT: rollout_share, Mode.ON: 1.0}[mode]


def unit_fraction(unit_id: str, salt: bytes) -> float:
    """Return the unit's place in [0, 1): keyed BLAKE2b, so that salts give independent and uniform assignments.

    A unit is served by the policy while its place is below the share; when the share grows nobody leaves.

    Args:
        unit_id: What the rollout randomises.
        salt: At most 64 bytes; the same salt in each sidecar puts a unit on the same side everywhere.
    """
    digest = blake2b(unit_id.encode(), digest_size=8, key=salt).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53


def served_probability(policy_probability: float, share: float, *, is_baseline: bool) -> float:
    """Return the probability that a module is served, over the draw of the unit and the policy's own draw.

    p = share · π(module) + (1 − share) · 1[module is the baseline]
    """
    return share * policy_probability + (1.0 - share) * is_baseline
