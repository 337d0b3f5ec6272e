"""What `pilotfish top` draws."""

from collections import deque
from pathlib import Path
from typing import Self

import pytest
from rich.console import Console, RenderableType

from pilotfish import v1
from pilotfish.cli import dashboard
from pilotfish.cli.dashboard import Watch, interval, spark


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([], ""),
        ([0.0, 0.0], "  "),
        ([0.0, 1.0, 2.0, 4.0, 8.0], " ▁▂▄█"),
        ([5.0], "█"),
        ([1.0, float("inf"), 2.0], "▄██"),
        ([float("inf")], "█"),
    ],
)
def test_bars_are_as_tall_as_the_largest_allows(values: list[float], bars: str) -> None:
    assert spark(deque(values)) == bars


def test_only_the_newest_30_bars_are_drawn_but_all_count_for_the_tallest() -> None:
    assert spark(deque([16.0, *[8.0] * 30])) == "▄" * 30


def guardrail(lower: float, difference: float, upper: float, margin: float = 0.5) -> v1.Guardrail:
    return v1.Guardrail(
        lower_bound=lower, difference=difference, upper_bound=upper, margin=margin, metric="reward", state="hold"
    )


def test_interval_margin_zero_and_estimate_stand_at_their_places() -> None:
    drawn = interval(guardrail(0.1, 0.25, 0.5), 1.0).plain

    assert len(drawn) == 41
    assert {sign: drawn.index(sign) for sign in "╎┊●"} == {"╎": 10, "┊": 20, "●": 25}
    assert drawn[22:31] == "───●─────"
    assert set(drawn) - {"╎", "┊", "●", "─"} == {" "}


def test_zero_and_the_margin_are_seen_through_the_interval() -> None:
    drawn = interval(guardrail(-0.75, 0.5, 0.75), 1.0, 9).plain

    assert drawn == " ─╎─┊─●─ "


def test_what_is_off_the_axis_is_drawn_at_its_end() -> None:
    drawn = interval(guardrail(-9.0, 9.0, 9.0), 1.0).plain

    assert len(drawn) == 41
    assert (drawn[0], drawn[-1], drawn[10]) == ("─", "●", "╎")


def shown(what: RenderableType, width: int = 160) -> str:
    console = Console(width=width, file=None, record=True, quiet=False, force_terminal=False)
    with console.capture() as captured:
        console.print(what)
    return captured.get()


class Sidecar:
    """A stand-in whose numbers change from look to look."""

    def __init__(self) -> None:
        self.info = v1.GetInfoResponse(version="1.2.3", learned_count=7, learning_paused=True, last_change="a is worse")
        self.rollout = v1.GetRolloutResponse(
            exposure=v1.Exposure(mode=v1.MODE_ROLLOUT, rollout_share=0.25),
            verdict="hold",
            verdict_reasons=["reward: 1 of 200 outcomes"],
            next_share=0.5,
            guardrails=[guardrail(-0.3, 0.1, 0.4, 0.02)],
            breakers=[
                v1.BreakerState(
                    module="ocr", state="open", failure_rate=0.75, call_count=8, remaining_s=1.5, trip_count=2
                )
            ],
            budgets=[v1.BudgetState(module="gpu", rule="budget.calls_per_minute", used=60, limit=60)],
            decision_counts={"policy": 10, "baseline": 30, "fallback": 0},
        )

    def __call__(self, _: Path, method: str, *__: object) -> object:
        return {"GetInfo": self.info, "GetRollout": self.rollout}[method]


@pytest.fixture
def sidecar(monkeypatch: pytest.MonkeyPatch) -> Sidecar:
    stand_in = Sidecar()
    monkeypatch.setattr(dashboard, "control", stand_in)
    return stand_in


def test_everything_that_matters_is_on_the_screen(sidecar: Sidecar) -> None:
    sidecar.info.range_warnings.append("latency_ms is constant")

    screen = shown(Watch(Path("c.sock"), "127.0.0.1:1").look(160))

    for words in (
        "rollout 0.25",
        "50%",
        "reward: 1 of 200 outcomes",
        "+0.100 [-0.300,+0.400]",
        "1.5 s",
        "75%",
        "calls_per_minute",
        "7 values (paused)",
        "a is worse",
        "30 since start",
        "warning: latency_ms is constant",
    ):
        assert words in screen, words


@pytest.mark.parametrize("width", [80, 100, 160])
def test_neither_the_axis_nor_the_numbers_of_an_interval_are_cut_off(sidecar: Sidecar, width: int) -> None:
    sidecar.rollout.guardrails[0].metric, sidecar.rollout.guardrails[0].state = "retry_count", "breach"
    sidecar.rollout.guardrails[0].margin = 0.2

    screen = shown(Watch(Path("c.sock"), "127.0.0.1:1").look(width), width)

    for words in ("+0.100", "[-0.300,+0.400]", "┊", "●", "╎", " breach "):
        assert words in screen, words
    assert "…" not in screen


def test_rates_are_those_since_the_last_look(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter((100.0, 102.0))
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    watch = Watch(Path("c.sock"), "127.0.0.1:1")

    assert "0.0/s" in shown(watch.look(160))
    sidecar.rollout.decision_counts["policy"] += 30

    screen = shown(watch.look(160))
    assert "15.0/s" in screen
    assert "40 since start" in screen


def test_a_sidecar_that_has_begun_anew_is_counted_from_nothing(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter((100.0, 102.0))
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    scrapes = iter(([98, 100, 100], [0, 0, 4]))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: _Scrape(next(scrapes)))
    watch = Watch(Path("c.sock"), "127.0.0.1:1")
    watch.look(160)
    sidecar.rollout.decision_counts.update({"policy": 4, "baseline": 0})

    screen = shown(watch.look(160))

    assert "decisions/s   2.0" in screen
    assert "-" not in screen[screen.index("decisions/s") : screen.index("fallback")].replace("───", "")


def test_latency_is_read_from_the_buckets_since_the_last_look(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    del sidecar
    scrapes = iter(([0, 0, 0], [98, 100, 100], [98, 101, 200]))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: _Scrape(next(scrapes)))
    watch = Watch(Path("c.sock"), "127.0.0.1:1")

    screens = [shown(watch.look(160)) for _ in range(3)]

    assert "p50 / p99" not in screens[0]  # nothing was decided
    assert "0.10 / 0.20" in screens[1]
    assert "inf" in screens[2]


class _Scrape:
    def __init__(self, counts: list[int]) -> None:
        name = "pilotfish_rpc_duration_seconds"
        bounds = ("0.0001", "0.0002", "+Inf")
        self._lines = [f"# TYPE {name} histogram"] + [
            f'{name}_bucket{{le="{bound}",method="SelectModule"}} {count}'
            for bound, count in zip(bounds, counts, strict=True)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read(self) -> bytes:
        return ("\n".join(self._lines) + "\n").encode()
