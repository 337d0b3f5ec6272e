"""Every decision of a log can be made again from the log alone."""

import random
import sqlite3
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from pilotfish.cli.replay import replay as command
from pilotfish.codes import Mode, Reason, Signal
from pilotfish.engine import replaying
from pilotfish.engine.engine import Engine
from pilotfish.engine.replaying import replay
from pilotfish.experience.births import all_births
from pilotfish.experience.log import ExperienceLog
from pilotfish.experience.record import DecisionRecord, decode_record, encode_record
from pilotfish.request import Features, Outcome, Request, Task
from tests.unit.engine.growing import MODULES, NAMES, live, open_grown

N_MIXED = 60


def live_in_every_way(engine: Engine, seed: int) -> None:
    """Modes, masks, weights, units, texts, several signals, outcomes that are late or never come."""
    rng = random.Random(seed)
    waiting: list[str] = []
    for number in range(N_MIXED):
        if number % 10 == 0:
            engine.set_mode(rng.choice(list(Mode)[1:]), 0.5, "test", "every mode")
        weights = tuple(rng.random() for _ in Signal) if rng.random() < 0.3 else None
        features: Features = {"size": rng.gauss(0.0, 1.0), "kind": rng.choice("ab"), "flag": rng.random() < 0.5}
        task = Task("t", rng.choice(("", "a scanned page")), features, weights=weights)
        denied = (rng.choice(NAMES),) if rng.random() < 0.3 else ()
        decision = engine.decide(Request(task, MODULES, unit_id=str(rng.randrange(9)), denied_modules=denied))
        waiting.append(decision.decision_id)
        if rng.random() < 0.7:
            done = waiting.pop(rng.randrange(len(waiting)))
            measured = {Signal.COMPLETION: 1.0, Signal.QUALITY: rng.random(), Signal.LATENCY_MS: 80.0}
            engine.record_outcome(Outcome(dict(rng.sample(sorted(measured.items()), rng.randint(1, 3))), done))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with births, a change, restarts of each growth and another configuration."""
    directory = tmp_path_factory.mktemp("lived")
    for settings, part in (
        ({}, lambda engine: live(engine, 130)),
        ({}, lambda engine: live(engine, 300, 2, swapped=True)),
        ({"growth": "off"}, lambda engine: live_in_every_way(engine, 3)),
        ({"encoder": {"hashed_dims": 16}}, lambda engine: live_in_every_way(engine, 4)),
        ({}, lambda engine: live_in_every_way(engine, 5)),
    ):
        engine = open_grown(directory, **settings)
        part(engine)
        engine.close()
    return directory


@pytest.fixture
def log(lived: Path, tmp_path: Path) -> ExperienceLog:
    """A copy that a test may tamper with."""
    with (
        sqlite3.connect(lived / "experience.sqlite3") as source,
        sqlite3.connect(tmp_path / "experience.sqlite3") as to,
    ):
        source.backup(to)
    source.close()
    to.close()
    return ExperienceLog(tmp_path)


def rewrite(log: ExperienceLog, sequence: int, change: Callable[[DecisionRecord], DecisionRecord]) -> None:
    with log.transaction() as connection:
        (record,) = connection.execute("SELECT record FROM decision WHERE sequence = ?", (sequence,)).fetchone()
        changed = encode_record(change(decode_record(record)))
        connection.execute("UPDATE decision SET record = ? WHERE sequence = ?", (changed, sequence))


def differing(log: ExperienceLog) -> dict[int, tuple[str, ...]]:
    return {one.sequence: one.differs for one in replay(log) if one.differs}


def test_a_log_of_every_kind_replays_bit_for_bit(log: ExperienceLog) -> None:
    replayed = list(replay(log))
    assert [one for one in replayed if one.differs] == []
    assert sorted(one.sequence for one in replayed) == [decision.sequence for decision in log.decisions()]
    records = [decision.record for decision in log.decisions()]
    assert len({record.birth for record in records}) > 6
    assert {record.mode for record in records} == {int(mode) for mode in list(Mode)[1:]}
    assert any(birth.change is not None for _, birth in all_births(log))
    assert len({base for base, _ in all_births(log)}) == 2
    log.close()


@pytest.mark.parametrize(
    ("field", "name"),
    [("policy_pmf", "pmf"), ("scores", "scores"), ("uncertainties", "uncertainties")],
)
def test_one_bit_that_was_tampered_with_is_found(log: ExperienceLog, field: str, name: str) -> None:
    def flip(record: DecisionRecord) -> DecisionRecord:
        content = bytearray(getattr(record, field))
        content[0] ^= 1
        return msgspec.structs.replace(record, **{field: bytes(content)})

    rewrite(log, 200, flip)
    assert differing(log) == {200: (name,)}
    log.close()


def test_uncertainties_of_an_explorer_that_does_without_are_not_compared(tmp_path: Path) -> None:
    engine = open_grown(tmp_path, explorer={"kind": "epsilon_greedy", "epsilon": 0.1, "floor": 0.0})
    decision = engine.decide(Request(Task("t"), MODULES))
    assert decision.record.policy_pmf
    assert not decision.record.uncertainties
    assert differing(engine.log) == {}
    computed = bytes(len(decision.record.scores))
    rewrite(engine.log, 1, lambda record: msgspec.structs.replace(record, uncertainties=computed))
    assert differing(engine.log) == {}
    rewrite(engine.log, 1, lambda record: msgspec.structs.replace(record, scores=b"\1" * len(record.scores)))
    assert differing(engine.log) == {1: ("scores",)}
    engine.close()


@pytest.mark.parametrize("column", ["propensity", "module"])
def test_another_answer_than_the_record_gives_is_found(log: ExperienceLog, column: str) -> None:
    unreported = next(decision for decision in log.decisions() if not log.rows_of(decision.sequence))
    other = {"propensity": 0.123, "module": next(name for name in NAMES if name != unreported.module)}[column]
    with log.transaction() as connection:
        query = f"UPDATE decision SET {column} = ? WHERE sequence = ?"  # noqa: S608  a name from above
        connection.execute(query, (other, unreported.sequence))
    assert differing(log) == {unreported.sequence: (column,)}
    log.close()


def test_a_count_that_the_model_never_had_is_found(log: ExperienceLog) -> None:
    rewrite(log, 100, lambda record: msgspec.structs.replace(record, learned_count=10**9))
    rewrite(log, 101, lambda record: msgspec.structs.replace(record, birth=999))
    rewrite(log, 102, lambda record: msgspec.structs.replace(record, learned_count=-1, policy_pmf=b""))
    rewrite(log, 103, lambda record: msgspec.structs.replace(record, legal=record.legal[:1]))
    found = differing(log)
    assert {place: found.get(place, ())[:1] for place in (100, 101, 102, 103)} == {
        100: ("learned_count",),
        101: ("model",),
        102: ("learned_count",),
        103: ("legal",),
    }
    assert set(found) == {100, 101, 102, 103}
    log.close()


def test_a_signal_value_that_was_tampered_with_shows_in_what_was_decided_later(log: ExperienceLog) -> None:
    with log.transaction() as connection:
        connection.execute("UPDATE signal_value SET value = 0.5 WHERE sequence = 20")
    found = differing(log)
    assert min(found) == 21
    log.close()


def test_the_order_of_the_log_need_not_be_that_of_learning(log: ExperienceLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "WINDOW", 1)
    monkeypatch.setattr(replaying, "ALIVE", 1)
    shuffled = list(islice(log.decisions(), 60))
    random.Random(1).shuffle(shuffled)
    replayed = list(replay(log, shuffled))
    assert len(replayed) == 60
    assert [one for one in replayed if one.differs] == []
    log.close()


def test_a_decision_whose_policy_failed_replays_as_the_baseline(tmp_path: Path) -> None:
    engine = open_grown(tmp_path)
    decision = engine.decide(Request(Task("t"), MODULES))
    rewrite(
        engine.log,
        1,
        lambda record: msgspec.structs.replace(
            record,
            learned_count=-1,
            policy_pmf=b"",
            scores=b"",
            uncertainties=b"",
            reasons=(int(Reason.POLICY_FAILED),),
        ),
    )
    with engine.log.transaction() as connection:
        baseline = MODULES[decision.record.baseline].name
        connection.execute("UPDATE decision SET propensity = 1.0, module = ?", (baseline,))
    assert [one.differs for one in replay(engine.log)] == [()]
    engine.close()


def test_the_command_says_how_many_differ_and_fails_if_any_does(log: ExperienceLog, tmp_path: Path) -> None:
    arguments = ["--state-dir", str(tmp_path)]
    said = CliRunner().invoke(command, [*arguments, "--limit", "50"])
    assert (said.exit_code, said.output) == (0, "50 decisions replayed, 0 differ\n")
    with log.transaction() as connection:
        connection.execute("UPDATE decision SET propensity = 0.123 WHERE sequence = 7")
    said = CliRunner().invoke(command, arguments)
    identity = log.decision_by_sequence(7).decision_id.hex()
    total = log.decision_count
    assert (said.exit_code, said.output) == (
        1,
        f"{identity} differs in propensity\n{total} decisions replayed, 1 differ\n",
    )
    log.close()


def test_the_command_names_a_folder_without_a_log(tmp_path: Path) -> None:
    said = CliRunner().invoke(command, ["--state-dir", str(tmp_path)])
    assert said.exit_code == 1
    assert f"state directory == {tmp_path}, must hold experience.sqlite3" in said.output
