"""What `pilotfish top` shows, from two calls and one scrape per look."""

import math
import time
import urllib.request
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

from prometheus_client.parser import text_string_to_metric_families
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pilotfish.cli.control import control, settings_of
from pilotfish.cli.rollout import described
from pilotfish.v1 import GetInfoRequest, GetInfoResponse, GetRolloutRequest, GetRolloutResponse, Guardrail

KEPT: Final = 120
"""Looks that the sparklines remember: two minutes at the default interval."""
_BARS: Final = " ▁▂▃▄▅▆▇█"
_COLOURS: Final = {"pass": "green", "hold": "yellow", "breach": "red", "none": "dim", "closed": "green"}
_SCRAPE_S: Final = 2.0
_AXIS: Final = 41
"""Columns of an interval's axis at most, odd so that zero has one of its own."""
_AXIS_LEAST: Final = 9
_BESIDE_AXIS: Final = 78
"""Columns that the rest of its row takes; in a narrower terminal the numbers break over two lines."""

_Key = TypeVar("_Key", str, float)
_Count = TypeVar("_Count", int, float)


class Watch:
    """Looks at one sidecar.

    Args:
        socket: Its control socket.
        metrics: `host:port` of its metrics; empty: as configured here, or none if that does not answer.
    """

    def __init__(self, socket: Path, metrics: str) -> None:
        self._socket = socket
        management = settings_of().management
        self._metrics = metrics or (f"{management.host}:{management.metrics_port}" if management.metrics_port else "")
        self._before: tuple[float, dict[str, int]] | None = None
        self._calls: dict[float, float] = {}
        self._rates: deque[float] = deque(maxlen=KEPT)
        self._latencies: deque[float] = deque(maxlen=KEPT)

    def look(self, width: int) -> RenderableType:
        """Return what there is to see now, for a terminal of so many columns."""
        info = control(self._socket, "GetInfo", GetInfoRequest(), GetInfoResponse)
        rollout = control(self._socket, "GetRollout", GetRolloutRequest(), GetRolloutResponse)
        return Group(
            Columns([self._traffic(rollout), _model(info)], equal=True, expand=True),
            _rollout(rollout, width),
            Columns([_breakers(rollout), _budgets(rollout)], equal=True, expand=True),
            *(Text(f"warning: {warning}", style="yellow") for warning in info.range_warnings),
        )

    def _traffic(self, rollout: GetRolloutResponse) -> Panel:
        now, counts = time.monotonic(), dict(rollout.decision_counts)
        rates: dict[str, float] = {}
        if self._before is not None:
            passed = max(now - self._before[0], 1e-3)
            rates = {name: count / passed for name, count in _since(counts, self._before[1]).items()}
            self._rates.append(sum(rates.values()))
        self._before = (now, counts)
        latency = self._latency_ms()
        if latency is not None:
            self._latencies.append(latency[1])
        table = Table.grid(padding=(0, 2))
        table.add_row("decisions/s", f"{sum(rates.values()):.1f}", spark(self._rates))
        if latency is not None:
            table.add_row("p50 / p99 ms", f"{latency[0]:.2f} / {latency[1]:.2f}", spark(self._latencies))
        for name in sorted(counts):
            style = "red" if name == "fallback" and rates.get(name) else ""
            table.add_row(name, f"{rates.get(name, 0.0):.1f}/s", f"{counts[name]} since start", style=style)
        return Panel(table, title="traffic", border_style="blue")

    def _latency_ms(self) -> tuple[float, float] | None:
        """Return p50 and p99 of SelectModule since the last look, each the upper end of its bucket; None if unknown."""
        if not self._metrics:
            return None
        try:
            with urllib.request.urlopen(f"http://{self._metrics}/metrics", timeout=_SCRAPE_S) as answer:
                content = answer.read().decode()
        except OSError:
            return None
        calls = {
            float(sample.labels["le"]): sample.value
            for family in text_string_to_metric_families(content)
            if family.name == "pilotfish_rpc_duration_seconds"
            for sample in family.samples
            if sample.name.endswith("_bucket") and sample.labels["method"] == "SelectModule"
        }
        new = _since(calls, self._calls)
        self._calls = calls
        total = max(new.values(), default=0.0)
        if not total:
            return None
        found = [next(bound for bound in sorted(new) if new[bound] >= share * total) for share in (0.5, 0.99)]
        return found[0] * 1e3, found[1] * 1e3


def _since(counts: Mapping[_Key, _Count], before: Mapping[_Key, _Count]) -> dict[_Key, _Count]:
    """Return what was counted since; if anything has fallen the sidecar has begun anew, and all of it is since."""
    if any(counts[key] < before[key] for key in counts.keys() & before.keys()):
        return dict(counts)
    return {key: count - before[key] if key in before else count for key, count in counts.items()}


def spark(values: deque[float]) -> str:
    """Return a line of bars, the newest last, the tallest the largest; past all buckets is as tall."""
    top = max((value for value in values if value < math.inf), default=0.0)

    def height(value: float) -> float:
        return 1.0 if value == math.inf else value / top if top else 0.0

    return "".join(_BARS[round(height(value) * (len(_BARS) - 1))] for value in list(values)[-30:])


def _model(info: GetInfoResponse) -> Panel:
    table = Table.grid(padding=(0, 2))
    table.add_row("version", info.version)
    table.add_row("model", info.model_version[:16])
    table.add_row("explorer", info.explorer)
    table.add_row("learned", f"{info.learned_count} values" + (" (paused)" if info.learning_paused else ""))
    table.add_row("births", f"{info.birth_count}")
    table.add_row("last change", Text(info.last_change or "none", style="yellow" if info.last_change else ""))
    table.add_row("log", f"{info.decision_count} decisions, {info.signal_value_count} values")
    return Panel(table, title="model", border_style="blue")


def _rollout(rollout: GetRolloutResponse, width: int) -> Panel:
    axis = min(max((width - _BESIDE_AXIS - 1) | 1, _AXIS_LEAST), _AXIS)
    head = Table.grid(padding=(0, 2))
    head.add_row("in force", described(rollout.exposure))
    following = f"{rollout.next_share:.0%}" if rollout.next_share else "none"
    head.add_row("next stage", following)
    head.add_row("verdict", Text(rollout.verdict, style=_COLOURS.get(rollout.verdict, "")))
    for reason in rollout.verdict_reasons[:5]:
        head.add_row("", Text(reason, style="dim"))
    rails = Table(box=None, pad_edge=False)
    for title in ("guardrail", "policy", "control", "", "difference, interval", "outcomes", "state"):
        rails.add_column(title, no_wrap="interval" not in title)
    span = max((max(abs(g.lower_bound), abs(g.upper_bound), g.margin) for g in rollout.guardrails), default=1.0)
    for guardrail in rollout.guardrails:
        rails.add_row(
            guardrail.metric,
            f"{guardrail.policy_mean:.3f}",
            f"{guardrail.control_mean:.3f}",
            interval(guardrail, span or 1.0, axis),
            f"{guardrail.difference:+.3f} [{guardrail.lower_bound:+.3f},{guardrail.upper_bound:+.3f}]",
            f"{guardrail.observation_count}",
            Text(guardrail.state, style=_COLOURS.get(guardrail.state, "")),
        )
    return Panel(Group(head, rails) if rollout.guardrails else head, title="rollout", border_style="blue")


def interval(guardrail: Guardrail, span: float, columns: int = _AXIS) -> Text:
    """Return an interval drawn on an axis from −span to span: zero is `┊`, the margin `╎`, the estimate `●`.

    Args:
        guardrail: Whose interval.
        span: Where the axis ends, > 0.
        columns: Its width; odd, so that zero has a column of its own.
    """

    def column(value: float) -> int:
        return min(max(round((value / span + 1.0) / 2.0 * (columns - 1)), 0), columns - 1)

    cells = [" "] * columns
    for place in range(column(guardrail.lower_bound), column(guardrail.upper_bound) + 1):
        cells[place] = "─"
    cells[column(0.0)] = "┊"
    cells[column(-guardrail.margin)] = "╎"
    cells[column(guardrail.difference)] = "●"
    return Text("".join(cells), style=_COLOURS.get(guardrail.state, ""))


def _breakers(rollout: GetRolloutResponse) -> Panel:
    table = Table(box=None, pad_edge=False)
    for title in ("module", "state", "failures", "calls", "open for", "trips"):
        table.add_column(title)
    for breaker in rollout.breakers[:12]:
        table.add_row(
            breaker.module,
            Text(breaker.state, style=_COLOURS.get(breaker.state, "red")),
            f"{breaker.failure_rate:.0%}",
            f"{breaker.call_count}",
            f"{breaker.remaining_s:.1f} s" if breaker.remaining_s else "",
            f"{breaker.trip_count}",
        )
    return Panel(table, title="breakers", border_style="blue")


def _budgets(rollout: GetRolloutResponse) -> Panel:
    table = Table(box=None, pad_edge=False)
    for title in ("module", "budget", "used", "of"):
        table.add_column(title)
    for budget in rollout.budgets[:12]:
        style = "red" if budget.used >= budget.limit else ""
        table.add_row(
            budget.module, budget.rule.removeprefix("budget."), f"{budget.used:g}", f"{budget.limit:g}", style=style
        )
    return Panel(table, title="budgets", border_style="blue")
