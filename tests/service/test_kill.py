"""Nothing acknowledged is lost: the process is killed at random points under load, again and again."""

import random
import sqlite3
import threading
from collections import Counter
from dataclasses import dataclass, field

import grpc
import pytest

from pilotfish import v1
from pilotfish.engine.folding import fold
from pilotfish.engine.replaying import replay
from pilotfish.engine.specification import model_specification
from pilotfish.experience.births import all_births
from pilotfish.experience.log import DATABASE_NAME, ExperienceLog
from pilotfish.rewards import RewardFunction
from tests.service.running_server import Server, running_server

N_KILLS = 100
N_HUBS = 3
CALLS_MAX = 60
FOLD_EVERY = 10
N_BIRTHS = 5


@dataclass
class Acknowledged:
    """What the hubs were told; nothing of this may be missing."""

    decisions: dict[str, tuple[str, float]] = field(default_factory=dict)
    outcomes: list[tuple[str, int, float]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Hub(threading.Thread):
    """Decides and reports, each outcome one to three times, until the server dies under it."""

    def __init__(self, server: Server, told: Acknowledged, seed: int) -> None:
        super().__init__()
        self._server, self._told, self._rng = server, told, random.Random(seed)
        self.calls = 0

    def run(self) -> None:
        options = (("grpc.default_authority", "localhost"), ("grpc.use_local_subchannel_pool", 1))
        with grpc.insecure_channel(f"unix:{self._server.data_socket}", options) as channel:
            decisions, outcomes = v1.DecisionServiceStub(channel), v1.OutcomeServiceStub(channel)
            try:
                while True:
                    self._one_task(decisions, outcomes)
            except grpc.RpcError as error:
                assert error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}, error  # noqa: PT017

    def _one_task(self, decisions: v1.DecisionServiceStub, outcomes: v1.OutcomeServiceStub) -> None:
        rng = self._rng
        request = v1.SelectModuleRequest(
            request_id=f"{rng.getrandbits(64):016x}", candidates=[v1.Module(name=name) for name in "abcd"]
        )
        request.task.type = rng.choice(("ocr", "search"))
        request.task.features.numbers["load"] = rng.random()
        decision = decisions.SelectModule(request, timeout=5).decision
        self.calls += 1
        with self._told.lock:
            self._told.decisions[decision.decision_id] = (decision.module, decision.propensity)
        signals = {v1.SIGNAL_QUALITY: rng.random(), v1.SIGNAL_LATENCY_MS: rng.expovariate(0.01)}
        report = v1.RecordOutcomeRequest(decision_id=decision.decision_id)
        for signal, value in signals.items():
            report.signals.add(signal=signal, value=value)
        for _ in range(rng.randint(1, 3)):
            outcomes.RecordOutcome(report, timeout=5)
            with self._told.lock:
                self._told.outcomes += [(decision.decision_id, signal, value) for signal, value in signals.items()]


@pytest.mark.timeout(600)
def test_no_acknowledged_fact_is_lost_or_doubled_by_kills_under_load() -> None:
    rng, told, calls = random.Random(7), Acknowledged(), 0
    # Ids from a seed make births come at their places and not when upkeep finds time, so kills come between a birth and
    # the next checkpoint.
    with running_server(state__id_seed="kills") as server:
        for kill in range(N_KILLS):
            hubs = [Hub(server, told, seed=1000 * kill + i) for i in range(N_HUBS)]
            for hub in hubs:
                hub.start()
            # Counted in calls: in a time there are none while the machine is busy with something else.
            wanted = rng.randint(0, CALLS_MAX)
            while sum(hub.calls for hub in hubs) < wanted and all(hub.is_alive() for hub in hubs):
                threading.Event().wait(rng.uniform(0.0, 0.002))
            server.kill()
            for hub in hubs:
                hub.join()
            calls += sum(hub.calls for hub in hubs)
            server.start()
            if kill % FOLD_EVERY == 0 or kill == N_KILLS - 1:
                assert server.control.GetInfo(v1.GetInfoRequest(), timeout=5).state_sha256 == folded_sha256(server)
        assert calls > CALLS_MAX / 4 * N_KILLS, "the load was too light to mean anything"
        check_log(server, told)
        check_births(server)


def check_log(server: Server, told: Acknowledged) -> None:
    connection = sqlite3.connect(server.state_directory / DATABASE_NAME)
    rows = connection.execute("SELECT lower(hex(decision_id)), module, propensity, request_id FROM decision").fetchall()
    logged = {row[0]: (row[1], row[2]) for row in rows}
    values = connection.execute(
        "SELECT lower(hex(decision_id)), signal, value FROM signal_value"
        " JOIN decision ON decision.sequence = decision_sequence"
    ).fetchall()
    connection.close()
    assert {i: logged.get(i) for i in told.decisions} == told.decisions
    assert len({row[3] for row in rows}) == len(rows), "a request was decided twice"
    assert set(told.outcomes) <= set(values)
    assert max(Counter((decision, signal) for decision, signal, _ in values).values()) == 1


def check_births(server: Server) -> None:
    log = ExperienceLog(server.state_directory)
    born = [birth.signal_sequence for _, birth in all_births(log)]
    assert len(born) >= N_BIRTHS
    replayed = Counter(one.differs for one in replay(log))
    assert replayed == {(): log.decision_count}
    log.close()


def folded_sha256(server: Server) -> str:
    log = ExperienceLog(server.state_directory)
    try:
        rewards = RewardFunction()
        return fold(log, model_specification(rewards), rewards).state_sha256()
    finally:
        log.close()
