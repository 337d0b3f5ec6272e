"""Prometheus metrics, read from plain counters when they are scraped: a call pays nothing for them."""

from collections.abc import Callable, Iterable, Iterator
from http.server import HTTPServer
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from pilotfish import __version__
from pilotfish.codes import Mode, Reason, Signal, Source
from pilotfish.engine.engine import Engine
from pilotfish.exceptions import StateError
from pilotfish.rewards import REWARD_VERSION
from pilotfish.safety.breakers import State
from pilotfish.safety.legal_set import RULES
from pilotfish.safety.live import LIVE_REASONS
from pilotfish.server.dispatch import BUCKET_BOUNDS_S, Dispatcher

REMOVALS: Final = (*{rule.reason: None for rule in RULES}, Reason.RULE_VIOLATED, *sorted(LIVE_REASONS))

BREAKER_STATES: Final = tuple(state.name.lower() for state in State)

EVENTS: Final[tuple[tuple[str, str, str, str | None, tuple[Any, ...] | None], ...]] = (
    ("decision", "pilotfish_decisions", "Decisions answered, by the rule that chose.", "source", tuple(Source)),
    ("removed", "pilotfish_candidates_removed", "Candidates that were not legal, by reason.", "reason", REMOVALS),
    (
        "removed_by",
        "pilotfish_candidates_removed_by_rule",
        "Candidates that were not legal, by rule of the configuration.",
        "rule",
        None,
    ),
    ("panic", "pilotfish_panics", "Decisions with so many open breakers that the least bad served.", None, ()),
    ("breaker", "pilotfish_breaker_transitions", "Changes of a breaker, by the new state.", "state", BREAKER_STATES),
    ("learned", "pilotfish_signal_values_learned", "Signal values the model learned.", "signal", tuple(Signal)),
    (
        "not_learned",
        "pilotfish_signal_values_not_learned",
        "Signal values kept but not learned: another module was served than decided.",
        "signal",
        tuple(Signal),
    ),
    (
        "late",
        "pilotfish_signal_values_late",
        "Signal values kept but not learned: their default had been learned before they came.",
        "signal",
        tuple(Signal),
    ),
    (
        "paused",
        "pilotfish_signal_values_paused",
        "Signal values kept but not learned: learning was paused.",
        "signal",
        tuple(Signal),
    ),
    ("defaulted", "pilotfish_signal_defaults_learned", "Defaults learned for missing values.", "signal", tuple(Signal)),
    ("lower_bound", "pilotfish_signal_lower_bounds_learned", "Cut-off values learned.", "signal", tuple(Signal)),
    (
        "range_mismatch",
        "pilotfish_signal_range_mismatches",
        "Blocks of 500 values of a signal whose utilities can hardly be told apart; `pilotfish info` says what to do.",
        "signal",
        tuple(Signal),
    ),
    ("learn_failed", "pilotfish_learning_failures", "Signal values the core refused.", "signal", tuple(Signal)),
    ("birth", "pilotfish_model_births", "Models born from the log that took over.", None, ()),
    ("change", "pilotfish_changes_detected", "Births because outcomes had left what was expected.", None, ()),
    ("outcome", "pilotfish_outcomes", "Outcomes acknowledged, repeats included.", None, ()),
    (
        "repeated_request",
        "pilotfish_repeated_requests",
        "Decisions answered from the log for a known request_id.",
        None,
        (),
    ),
    ("policy_failed", "pilotfish_policy_failures", "Decisions whose policy raised; the baseline answered.", None, ()),
    ("baseline_failed", "pilotfish_baseline_failures", "Decisions whose baseline raised.", None, ()),
    (
        "following_failed",
        "pilotfish_following_failures",
        "Decisions and outcomes that the rollout or a safeguard could not take in; a restart takes them from the log.",
        None,
        (),
    ),
    ("guard_refused", "pilotfish_guard_refusals", "Answers that the guard refused; the baseline answered.", None, ()),
    (
        "log_unavailable",
        "pilotfish_unlogged_decisions",
        "Decisions that could not be logged; the baseline answered.",
        None,
        (),
    ),
)
"""The engine's counters: its name for them, ours, help, and the label with the values that it can take; None: whatever
the configuration names."""


class Telemetry(Collector):
    """Turns the counters of an engine and a dispatcher into metrics.

    Args:
        engine: What is counted.
        dispatcher: The calls.
        timed_methods: Methods whose durations are shown; the others are called by operators only.
        is_healthy: Returns whether the process is ready.
        start_time_s: Seconds since the epoch.
        more: Further metrics.
    """

    def __init__(  # noqa: PLR0917  each is told by its type
        self,
        engine: Engine,
        dispatcher: Dispatcher,
        timed_methods: Iterable[str],
        is_healthy: Callable[[], bool],
        start_time_s: float,
        more: Callable[[], Iterable[Metric]] = tuple,
    ) -> None:
        self._engine = engine
        self._dispatcher = dispatcher
        self._timed_methods = tuple(timed_methods)
        self._is_healthy = is_healthy
        self._start_time_s = start_time_s
        self._more = more

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with what it is now."""
        yield from self._state()
        yield from self._events()
        yield from self._calls()
        yield from self._more()

    def _state(self) -> Iterator[Metric]:
        engine = self._engine
        yield InfoMetricFamily("pilotfish_build", "What runs.", {"version": __version__})
        yield InfoMetricFamily(
            "pilotfish_model",
            "The model in use.",
            {"version": engine.model.version, "explorer": engine.model.explorer, "reward_version": REWARD_VERSION},
        )
        mode = GaugeMetricFamily("pilotfish_mode", "1 for the mode in force, 0 for the others.", labels=["mode"])
        for each in Mode:
            mode.add_metric([each.name.lower()], float(each is engine.mode))
        yield mode
        wal = engine.log.path.with_name(engine.log.path.name + "-wal")
        for name, help_text, value in (
            ("rollout_share_ratio", "Share of units that mode rollout gives to the policy.", engine.rollout_share),
            ("ready", "1 while decisions are not fallbacks, as the readiness probe says.", self._is_healthy()),
            ("draining", "1 while stopping.", self._dispatcher.draining),
            ("start_time_seconds", "When this process began to serve, since the epoch.", self._start_time_s),
            ("registered_modules", "Modules in the registry.", len(engine.modules)),
            ("log_decisions", "Decisions in the log.", engine.log.decision_count),
            ("log_signal_values", "Signal values in the log.", engine.log.signal_value_count),
            ("model_signal_values", "Signal values the model has learned from.", engine.model.learned_count),
            ("log_size_bytes", "Size of the log's files.", sum(_size(path) for path in (engine.log.path, wal))),
        ):
            yield GaugeMetricFamily(f"pilotfish_{name}", help_text, float(value))

    def _events(self) -> Iterator[Metric]:
        counts = dict(self._engine.counters)
        for what, name, help_text, label, values in EVENTS:
            if label is None:
                yield CounterMetricFamily(name, help_text, counts.get((what, 0), 0))
                continue
            family = CounterMetricFamily(name, help_text, labels=[label])
            seen = sorted(str(detail) for counted, detail in counts if counted == what)
            for value in (
                seen if values is None else values
            ):  # each from the start, so that the first increase is seen by rate()
                key, shown = (value, value) if isinstance(value, str) else (int(value), value.name.lower())
                family.add_metric([shown], counts.get((what, key), 0))
            yield family

    def _calls(self) -> Iterator[Metric]:
        calls = CounterMetricFamily("pilotfish_rpc_calls", "Calls answered.", labels=["method", "code"])
        for (method, code), count in dict(self._dispatcher.calls).items():
            calls.add_metric([method, code], count)
        yield calls
        durations = HistogramMetricFamily(
            "pilotfish_rpc_duration_seconds",
            "Time from the message received to the answer handed over.",
            labels=["method"],
        )
        for method in self._timed_methods:
            buckets, total = [], 0
            counts = self._dispatcher.durations.get(method) or [0] * (len(BUCKET_BOUNDS_S) + 1)
            for bound, count in zip((*BUCKET_BOUNDS_S, "+Inf"), tuple(counts), strict=True):
                total += count
                buckets.append((str(bound), float(total)))
            durations.add_metric([method], buckets, self._dispatcher.duration_sums.get(method, 0.0))
        yield durations


class MetricsServer:
    """Serves metrics over HTTP until stopped.

    Args:
        telemetry: What to show; the process's own memory, CPU and file handles come with it.
        host: Address to bind.
        port: Port to bind.

    Raises:
        StateError: The port cannot be bound.
    """

    def __init__(self, telemetry: Telemetry, host: str, port: int) -> None:
        registry = CollectorRegistry()
        registry.register(telemetry)
        ProcessCollector(registry=registry)
        self._server: HTTPServer
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise StateError(f"{host}:{port} cannot be bound: {error.strerror}") from error

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
