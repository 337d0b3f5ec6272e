"""The figures as Markdown tables, one per operation, grouped by family."""

from collections.abc import Iterator

from benches.latency.contender import OPERATIONS
from benches.latency.families import FAMILIES, floor_of, is_memory_bound, our_name
from benches.latency.verdict import Figure, Place, Verdict, by_place, ratio, speedups

US_PER_MS = 1e3
SMALL = 10.0
LARGE = 100.0


def number(value: float) -> str:
    """Return a figure with two or three digits that mean something."""
    return f"{value:.2f}" if value < SMALL else f"{value:.1f}" if value < LARGE else f"{value:,.0f}"


def cell(figure: Figure | None, speedup: float | None) -> str:
    """Return `p50 / p99 · ratio`; a dash for a p99 of too few calls; the one call that was tried if skipped."""
    if figure is None:
        return ""
    if figure.p50_us is None:
        return f"skipped ({(figure.skipped_us or 0.0) / US_PER_MS:,.0f} ms)"
    p99 = "–" if figure.p99_us is None else number(figure.p99_us)
    return f"{number(figure.p50_us)} / {p99}" + ("" if speedup is None else f" · {number(speedup)} ×")


def tables(figures: list[Figure], l2_bytes: int) -> Iterator[str]:
    """Yield the lines of all tables: decide, learn, distance to the floor."""
    places, ratios = by_place(figures), speedups(figures)
    sizes = sorted({(f.n_modules, f.n_features) for f in figures})
    marks = {size: "*" if is_memory_bound(*size, l2_bytes) else "" for size in sizes}
    header = "| " + " | ".join(["", *(f"{k} × {d}{marks[k, d]}" for k, d in sizes)]) + " |"
    rule = "|" + "---|" * (len(sizes) + 1)
    for operation in OPERATIONS:
        yield from (
            "",
            f"### {operation}: p50 / p99 in µs · times ours; K × d, * beyond the second-level cache",
            "",
            header,
            rule,
        )
        for name, family in FAMILIES.items():
            yield f"| **{name}**: {family.what} |" + " |" * len(sizes)
            ours, others = our_name(family.ours), [f.contender for f in figures if f.family == name]
            for contender in dict.fromkeys([ours, *others]):
                keys: list[Place] = [(*size, operation, contender) for size in sizes]
                shown = [cell(places.get(key), None if contender == ours else ratios.get(key)) for key in keys]
                if contender in {our_name(other.ours) for other in FAMILIES.values()} - {ours}:
                    continue
                yield f"| {contender} | " + " | ".join(shown) + " |"
    yield from ("", "### Distance to the floor: p50 ÷ p50 of the floor", "", header, rule)
    for operation in OPERATIONS:
        for name, family in FAMILIES.items():
            contender, other = our_name(family.ours), floor_of(name, operation)
            pairs = [(places.get((*s, operation, contender)), places.get((*s, operation, other))) for s in sizes]
            values = [ratio(ours and ours.p50_us, floor and floor.p50_us) for ours, floor in pairs]
            yield f"| {operation}, {contender} | " + " | ".join("" if v is None else number(v) for v in values) + " |"


def conclusion(verdicts: list[Verdict]) -> Iterator[str]:
    """Yield how many requirements are met, by rule, and every one that is not."""
    yield from ("", "### Requirements", "")
    for rule in dict.fromkeys(verdict.rule for verdict in verdicts):
        of_rule = [verdict for verdict in verdicts if verdict.rule == rule]
        beyond = sum(not v.is_met and v.floors is not None and v.floors < v.limit for v in of_rule)
        note = f"; the floor itself would miss {beyond} of the others" if beyond else ""
        yield f"- {rule}: {sum(verdict.is_met for verdict in of_rule)} of {len(of_rule)} met{note}"
    for v in verdicts:
        if not v.is_met:
            against = f" against {v.other}" if v.other else ""
            floor = "" if v.floors is None else f" (floor {number(v.floors)})"
            yield (
                f"  - not met: {v.operation} {v.n_modules} × {v.n_features}, {v.ours}{against}: "
                f"{number(v.value)} {v.rule}, must be {v.limit}{floor}"
            )
