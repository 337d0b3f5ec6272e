"""A table of requests that every module has answered: the world that the demo's hub lives in.

Knowing each module's quality on each request makes exact yardsticks possible, which no running system has: what
choosing at random, always the same module, or always the best one would have given.
"""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

DATA_FILE = Path(__file__).parent / "data" / "nine_llms.jsonl.gz"
"""The slice that ships with the package; its origin and licence stand beside it."""

CHARACTERS_PER_TOKEN = 4.0
"""A usual rule of thumb for English; the table holds no token counts."""

ASSUMED_OUTPUT_TOKENS = 256.0
"""Assumed length of every answer: the table holds scores, not answers."""


@dataclass(frozen=True, slots=True)
class TableModule:
    """One module of the table, with what its operator publishes of it."""

    name: str
    size_class: str
    """As published, such as `7B`: parameters in billions."""
    input_usd_per_mtok: float
    output_usd_per_mtok: float

    @property
    def billions(self) -> float:
        """Parameters in billions."""
        return float(self.size_class.removesuffix("B"))

    def cost_usd(self, query: str) -> float:
        """Return the list price of a request, under the two assumptions above."""
        input_tokens = len(query) / CHARACTERS_PER_TOKEN
        return (input_tokens * self.input_usd_per_mtok + ASSUMED_OUTPUT_TOKENS * self.output_usd_per_mtok) / 1e6


@dataclass(frozen=True, slots=True)
class TableRequest:
    """One request and how well each module answered it."""

    task: str
    query: str
    qualities: tuple[float, ...]
    """In [0, 1], in the order of the table's modules."""


@dataclass(frozen=True, slots=True)
class Table:
    """Modules and requests; the yardsticks are exact over all requests held."""

    modules: tuple[TableModule, ...]
    requests: tuple[TableRequest, ...]

    def first(self, n_requests: int | None) -> "Table":
        """Return the table's first requests, all of them for None."""
        return replace(self, requests=self.requests[:n_requests])

    def shuffled(self, request_order: Sequence[int], module_order: Sequence[int]) -> "Table":
        """Return the same table with requests and modules in other orders, each given as a permutation."""
        modules = tuple(self.modules[i] for i in module_order)
        requests = (self.requests[i] for i in request_order)
        return Table(
            modules, tuple(replace(r, qualities=tuple(r.qualities[i] for i in module_order)) for r in requests)
        )

    def random_quality(self) -> float:
        """Return the expected mean quality of choosing each module with the same probability."""
        return fmean(fmean(request.qualities) for request in self.requests)

    def oracle_quality(self) -> float:
        """Return the mean quality of choosing the best module of each request."""
        return fmean(max(request.qualities) for request in self.requests)

    def best_fixed(self) -> tuple[TableModule, float]:
        """Return the one module that is best in hindsight and its mean quality; of equals the first."""
        means = [fmean(request.qualities[i] for request in self.requests) for i in range(len(self.modules))]
        best = max(range(len(means)), key=means.__getitem__)
        return self.modules[best], means[best]


def load_table(path: Path = DATA_FILE) -> Table:
    """Return the table in a file of compressed JSON lines; `data/ORIGIN.md` describes the format."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        header = json.loads(next(file))
        modules = tuple(
            TableModule(row["name"], row["size"], row["input_price_per_mtok"], row["output_price_per_mtok"])
            for row in header["models"]
        )
        requests = tuple(
            TableRequest(task, query, tuple(float(score) for score in scores))
            for task, query, scores in map(json.loads, file)
        )
    return Table(modules, requests)
