"""The two sides of a rollout: what the policy's units get, what the others get, and the mixture of both.

    p(module) = share · policy side(module) + (1 − share) · control side(module)

A side that a model decides serves a module on probation with probability q first, each of them alike:

    side(module) = (1 − q) · π(module) + q · 1[on probation] / number on probation

The control side without a champion is the baseline with certainty. A side whose model did not answer is the next step
of the ladder: the policy's is the control side, the champion's is the baseline.
"""

from array import array
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from pilotfish.experience.record import DecisionRecord

_PROBE_SALT: Final = b"pilotfish probe"
_WHICH_SALT: Final = b"pilotfish probed module"


class Side(NamedTuple):
    """A pmf over the legal set, written down as what it was made of. Places are those in the legal set."""

    pmf: Sequence[float] | None
    """The model's, after greed; None: `certain` has probability 1."""
    certain: int
    """What is served if there is no pmf."""
    probing: tuple[int, ...] = ()
    probe_share: float = 0.0

    def probability(self, place: int) -> float:
        """Return the probability that this side serves a module."""
        if self.pmf is None:
            return float(place == self.certain)
        if not self.probing:
            return self.pmf[place]
        probe = self.probe_share / len(self.probing) if place in self.probing else 0.0
        return (1.0 - self.probe_share) * self.pmf[place] + probe


def probed(decision_id: bytes, probing: tuple[int, ...], probe_share: float) -> int:
    """Return the place on probation that this decision probes, or -1: a function of the id, so that it replays."""
    if not probing or _fraction(decision_id, _PROBE_SALT) >= probe_share:
        return -1
    return probing[int(_fraction(decision_id, _WHICH_SALT) * len(probing))]


def drawn(
    decision_id: bytes, answered: int, baseline: int, probing: tuple[int, ...], probe_share: float
) -> tuple[int, bool]:
    """Return the place that a side serves, and whether it is a probe.

    Args:
        decision_id: From which the draw follows.
        answered: What the side's model drew; -1: no model answered, the baseline serves.
        baseline: Place of the baseline.
        probing: Places on probation.
        probe_share: Probability of a probe.
    """
    if answered < 0:
        return baseline, False
    probe = probed(decision_id, probing, probe_share)
    return (answered, False) if probe < 0 else (probe, True)


def greedy(scores: bytes) -> tuple[bytes, int]:
    """Return the pmf, float64, that has all its mass on the largest score, the first of equal ones, and its place."""
    values = memoryview(scores).cast("d")
    best = max(range(len(values)), key=values.__getitem__)
    return array("d", [float(place == best) for place in range(len(values))]).tobytes(), best


def both_sides(
    policy_pmf: bytes, control_pmf: bytes, baseline: int, probing: tuple[int, ...], probe_share: float
) -> tuple[Side, Side]:
    """Return the policy's and the control's side. Places are those in the legal set.

    Args:
        policy_pmf: The policy's, float64 over the legal set; empty if it did not answer.
        control_pmf: The champion's likewise; empty without one.
        baseline: Place of the baseline.
        probing: Places on probation.
        probe_share: Probability q of a probe on a side that a model decides.
    """
    control = Side(None, baseline)
    if control_pmf:
        control = Side(memoryview(control_pmf).cast("d"), -1, probing, probe_share)
    if not policy_pmf:
        return control, control
    return Side(memoryview(policy_pmf).cast("d"), -1, probing, probe_share), control


def sides_of(record: DecisionRecord) -> tuple[Side, Side]:
    """Return the policy's and the control's side of a decision from its record."""
    place = record.legal.index
    return both_sides(
        record.policy_pmf,
        record.control_pmf,
        place(record.baseline),
        tuple([place(index) for index in record.probing]),
        record.probe_share,
    )


def mixture(policy: Side, control: Side, share: float, place: int) -> float:
    """Return the probability that a module is served, over the draw of the unit and of the side it falls on."""
    if policy is control:
        return control.probability(place)
    return share * policy.probability(place) + (1.0 - share) * control.probability(place)


def unit_fraction(unit_id: str, salt: bytes) -> float:
    """Return the unit's place in [0, 1): keyed BLAKE2b, so that salts give independent and uniform assignments.

    A unit is served by the policy while its place is below the share; when the share grows nobody leaves.

    Args:
        unit_id: What the rollout randomises.
        salt: At most 64 bytes; the same salt in each sidecar puts a unit on the same side everywhere.
    """
    return _fraction(unit_id.encode(), salt)


def _fraction(name: bytes, salt: bytes) -> float:
    digest = blake2b(name, digest_size=8, key=salt).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53
