"""The change detector written out a second time, slowly: every bettor of the sums is kept on its own."""

from dataclasses import dataclass, field

import numpy as np

STAKES = np.array([0.1, 0.2, 0.4, 0.8])


@dataclass
class Stream:
    """Wealth of every bettor: rows by side and stake, a column per observation at which one started."""

    wealth: np.ndarray = field(default_factory=lambda: np.empty((2 * len(STAKES), 0)))
    starts: list[int] = field(default_factory=list)

    def observe(self, residual: float, rooms: tuple[float, float], slack: float, at: int) -> None:
        high, low = (max(room, 0.1) + slack for room in rooms)
        gains = np.concatenate([STAKES * (residual - slack) / high, STAKES * (-residual - slack) / low])
        self.wealth = np.column_stack([self.wealth, np.ones(len(gains))]) * (1 + gains)[:, None]
        self.starts.append(at)

    def mean(self) -> float:
        return float(self.wealth.sum(axis=1).mean())

    def winner(self) -> tuple[float, int]:
        best = int(self.wealth.max(axis=0).argmax())
        return float(self.wealth[:, best].max()), self.starts[best]


class ChangeTwin:
    """Same answers as `ChangeDetector`, at a cost that grows with every observation."""

    def __init__(self, alpha: float, slack: float) -> None:
        self.alpha, self.slack, self.count = alpha, slack, 0
        self.everything, self.modules = Stream(), dict[str, Stream]()

    def statistic(self) -> float:
        return 0.5 * (self.everything.mean() + sum(stream.mean() for stream in self.modules.values()))

    def observe(
        self, residual: float, module: str, uncertainty: float, utility: float | None
    ) -> tuple[int, list[str]] | None:
        """`n_after` and the modules of an alarm."""
        slack = self.slack + uncertainty / 2
        rooms = (1.0, 1.0) if utility is None else (utility - residual, 1 - utility + residual)
        for stream in (self.everything, self.modules.setdefault(module, Stream())):
            stream.observe(residual, rooms, slack, self.count)
        self.count += 1
        if self.statistic() < 1 / self.alpha:
            return None
        start = max(stream.winner() for stream in (self.everything, *self.modules.values()))[1]
        is_local = sum(stream.mean() for stream in self.modules.values()) >= self.everything.mean() * (1 - 1e-9)
        blamed = sorted(name for name, stream in self.modules.items() if is_local and stream.mean() >= self.alpha**-0.5)
        self.everything, self.modules = Stream(), {}
        return self.count - start, blamed
