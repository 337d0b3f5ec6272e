"""Times contenders in short blocks that take turns, so that noise hits all alike."""

import gc
import random
import statistics
import time
from array import array
from collections.abc import Sequence
from typing import NamedTuple

from benches.latency.contender import OPERATIONS, Contender, Work

NS_PER_US = 1e3
NS_PER_MS = 1e6
BLOCK_MS = 10.0
CALLS_MAX = 500
WARM_UP = 20
WARM_UP_SHARE = 10
PROBES = 5
CALLS_FOR_P99 = 1_000  # as in benches/README.md
BLOCK_FOR_P99 = 100  # fewer have no 99th percentile
P50, P99 = 0.5, 0.99


class Timing(NamedTuple):
    """What one operation of one contender took.

    `p50_us` and `p99_us` are medians over blocks; `p99_us` is None where fewer than 1,000 calls, or 100 per block, were
    timed. `skipped_us` is the one call that was tried when it took longer than the budget; all else is then empty.
    """

    p50_us: float | None = None
    p99_us: float | None = None
    n_calls: int = 0
    n_blocks: int = 0
    skipped_us: float | None = None


def quantile(ordered: "Sequence[float] | array[int]", share: float) -> float:
    """Return the smallest element that at least `share` of all do not exceed.

    Args:
        ordered: Ascending, not empty.
        share: In (0, 1].
    """
    return ordered[max(0, -(-int(len(ordered) * share * 1_000_000) // 1_000_000) - 1)]


def time_calls(work: Work, first: int, count: int) -> "array[int]":
    """Return nanoseconds of `count` calls one by one, from argument `first` on; the clock's own 50 ns are in each."""
    function, arguments, clock = work.function, work.arguments, time.perf_counter_ns
    chosen = [arguments[(first + i) % len(arguments)] for i in range(count)]
    times = array("q", bytes(8 * count))
    for i, argument in enumerate(chosen):
        start = clock()
        function(*argument)
        times[i] = clock() - start
    return times


def clock_ns() -> float:
    """Return what timing a call of nothing costs: it is part of every figure."""
    nothing = Work(lambda: None, [()])
    return statistics.median(time_calls(nothing, 0, 10_000))


def summary(blocks: "Sequence[array[int]]") -> Timing:
    """Return the figures of the blocks of one operation.

    Args:
        blocks: Nanoseconds per call, at least one block, none empty.
    """
    ordered = [sorted(block) for block in blocks]
    n_calls = sum(len(block) for block in ordered)
    has_p99 = n_calls >= CALLS_FOR_P99 and min(len(block) for block in ordered) >= BLOCK_FOR_P99
    p50 = statistics.median(quantile(block, P50) for block in ordered) / NS_PER_US
    p99 = statistics.median(quantile(block, P99) for block in ordered) / NS_PER_US if has_p99 else None
    return Timing(p50, p99, n_calls, len(ordered))


def time_contenders(
    contenders: Sequence[Contender], n_blocks: int, budget_ms: float, block_ms: float = BLOCK_MS
) -> dict[tuple[str, str], Timing]:
    """Time every operation of every contender, in blocks whose order is drawn anew each time.

    Args:
        contenders: Of one size, with distinct names.
        n_blocks: Blocks per operation, >= 1.
        budget_ms: An operation of which one call takes longer is skipped.
        block_ms: Length of a block; at most 500 calls, at least one.

    Returns:
        By name of the contender and operation.
    """
    works: dict[tuple[str, str], Work] = {
        (contender.name, operation): getattr(contender, operation)
        for contender in contenders
        for operation in OPERATIONS
    }
    results: dict[tuple[str, str], Timing] = {}
    counts: dict[tuple[str, str], int] = {}
    for key, work in works.items():
        once = time_calls(work, 0, 1)[0]
        # The first call may load things; a slow one gets a second chance before it is judged.
        typical = once if once < budget_ms * NS_PER_MS else min(once, time_calls(work, 1, 1)[0])
        if typical > budget_ms * NS_PER_MS:
            results[key] = Timing(skipped_us=typical / NS_PER_US)
            continue
        probe = statistics.median(time_calls(work, 1, PROBES))
        counts[key] = max(1, min(CALLS_MAX, int(block_ms * NS_PER_MS / max(1.0, probe))))
    blocks: dict[tuple[str, str], list[array[int]]] = {key: [] for key in counts}
    random_ = random.Random(1)
    for _ in range(n_blocks):
        gc.collect()
        gc.disable()
        for key in random_.sample(list(counts), len(counts)):
            # The first calls of a block fetch what the contender before has pushed out of the caches.
            warm = min(WARM_UP, counts[key] // WARM_UP_SHARE)
            place = sum(len(block) for block in blocks[key])
            blocks[key].append(time_calls(works[key], place, counts[key] + warm)[warm:])
        gc.enable()
    return results | {key: summary(timed) for key, timed in blocks.items()}
