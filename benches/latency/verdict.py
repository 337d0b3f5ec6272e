"""What was asked of the core, and whether the figures show it."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

from benches.latency.contender import OPERATIONS
from benches.latency.families import (
    FAMILIES,
    FLOOR,
    FLOOR_LIMIT,
    MEANS_FLOOR,
    REQUIRED_SPEEDUP,
    floor_of,
    is_memory_bound,
    our_name,
)

# The one size with limits in microseconds: K, d, operation, statistic, limit.
ABSOLUTE_LIMITS = (
    (10, 20, "decide", "p50_us", 2.5),
    (10, 20, "decide", "p99_us", 6.0),
    (10, 20, "learn", "p50_us", 2.5),
)


class Figure(NamedTuple):
    """One operation of one contender at one size; `p50_us` is None where it was skipped."""

    n_modules: int
    n_features: int
    contender: str
    family: str
    gives: str
    operation: str
    p50_us: float | None
    p99_us: float | None
    n_calls: int
    n_blocks: int
    skipped_us: float | None


class Verdict(NamedTuple):
    """One requirement: `value` against `limit`, where larger is better for a speed-up and smaller for the rest.

    `floors` is the speed-up of the floor over the same peer: below the limit, no exact linear learner can meet it.
    """

    rule: str
    n_modules: int
    n_features: int
    operation: str
    ours: str
    other: str
    value: float
    limit: float
    is_met: bool
    floors: float | None = None


Place: TypeAlias = tuple[int, int, str, str]  # K, d, operation, contender


def by_place(figures: Iterable[Figure]) -> dict[Place, Figure]:
    """Return figures by K, d, operation and contender."""
    return {(f.n_modules, f.n_features, f.operation, f.contender): f for f in figures}


def ratio(slow_us: float | None, fast_us: float | None) -> float | None:
    """Return slow ÷ fast, or None where one of them was not measured."""
    return slow_us / fast_us if slow_us is not None and fast_us else None


def speedups(figures: list[Figure]) -> dict[Place, float]:
    """Return, for each figure of another library, its p50 ÷ that of our explorer in its family."""
    places = by_place(figures)
    result: dict[Place, float] = {}
    for key, figure in places.items():
        ours = places.get((*key[:3], our_name(FAMILIES[figure.family].ours)))
        value = ratio(figure.p50_us, ours.p50_us) if ours is not None and ours.contender != figure.contender else None
        if value is not None:
            result[key] = value
    return result


def verdicts(figures: list[Figure], l2_bytes: int) -> list[Verdict]:
    """Hold the figures against the requirements.

    Where what the operation reads fits the second-level cache, ours must be 2.5 × faster than every peer of its
    family. Beyond, memory sets the pace for all, and ours must be within 1.5 × of the floor. What was not measured has
    no verdict.
    """
    places = by_place(figures)
    sizes = sorted({(f.n_modules, f.n_features) for f in figures})
    found = list(absolute_verdicts(places))
    for size in sizes:
        found += floor_verdicts(places, *size, l2_bytes)
        found += peer_verdicts(figures, *size, l2_bytes)
    return found


def absolute_verdicts(places: dict[Place, Figure]) -> Iterator[Verdict]:
    """Yield the limits in microseconds, of the explorer that costs most."""
    for n_modules, n_features, operation, statistic, limit in ABSOLUTE_LIMITS:
        for name in our_names():
            figure = places.get((n_modules, n_features, operation, name))
            value = getattr(figure, statistic, None)
            if value is not None:
                rule = f"{statistic[:3]} in µs"
                yield Verdict(rule, n_modules, n_features, operation, name, "", value, limit, value <= limit)


def floor_verdicts(places: dict[Place, Figure], n_modules: int, n_features: int, l2_bytes: int) -> Iterator[Verdict]:
    """Yield the distance to the floor at one size, where memory is the bound."""
    for operation in OPERATIONS:
        for name, family in FAMILIES.items():
            own = our_name(family.ours)
            other = floor_of(name, operation)
            floor, ours = (places.get((n_modules, n_features, operation, contender)) for contender in (other, own))
            value = ratio(ours and ours.p50_us, floor and floor.p50_us)
            if value is not None and is_memory_bound(n_modules, n_features, l2_bytes, other):
                rule = "× the floor"
                is_met = value <= FLOOR_LIMIT
                yield Verdict(rule, n_modules, n_features, operation, own, other, value, FLOOR_LIMIT, is_met)


def peer_verdicts(figures: list[Figure], n_modules: int, n_features: int, l2_bytes: int) -> Iterator[Verdict]:
    """Yield the speed-up over each peer at one size, where memory is not the bound; the floors are no peers."""
    places = by_place(figures)
    for (k, d, operation, name), value in speedups(figures).items():
        family = places[k, d, operation, name].family
        other = floor_of(family, operation)
        if (
            (k, d) == (n_modules, n_features)
            and name not in {FLOOR, MEANS_FLOOR, *our_names()}
            and not is_memory_bound(k, d, l2_bytes, other)
        ):
            ours = our_name(FAMILIES[family].ours)
            is_met = value >= REQUIRED_SPEEDUP
            kind = "NumPy" if name.startswith("NumPy") else "library"
            floor = places.get((k, d, operation, other))
            floors = ratio(places[k, d, operation, name].p50_us, floor and floor.p50_us)
            yield Verdict(f"× faster ({kind})", k, d, operation, ours, name, value, REQUIRED_SPEEDUP, is_met, floors)


def our_names() -> list[str]:
    """Return the names of our explorers, once each, in the order of the families."""
    return list(dict.fromkeys(our_name(family.ours) for family in FAMILIES.values()))
