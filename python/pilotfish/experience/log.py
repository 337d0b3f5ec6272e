"""The log: SQLite in WAL mode, one writer, one transaction per acknowledged fact.

Durability: `synchronous=NORMAL` in WAL mode. A commit has been written to the operating system before the call returns,
so it survives the death of the process at any moment; a power cut may take the last commits. The WAL is folded into the
database by a thread of its own (`upkeep.py`), never inside a request.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from pilotfish.exceptions import NotFoundError, StateError
from pilotfish.experience.record import DecisionRecord, LoggedDecision, decode_record, encode_record
from pilotfish.experience.schema import prepare
from pilotfish.experience.signals import (
    INSERT_SIGNAL,
    SELECT_ROWS_OF,
    SELECT_SIGNALS,
    SELECT_SIGNALS_LATE_IN_TIME,
    Kind,
    NewSignal,
    ParkedSignal,
    SignalRow,
    Value,
    read_row,
)
from pilotfish.request import Module

DATABASE_NAME: Final = "experience.sqlite3"
SEQUENCE_BYTES: Final = 6
RANDOM_BYTES: Final = 10
"""A decision id is its sequence number (6 bytes, big endian) and 10 random bytes: needs no index, cannot be guessed."""

BUSY_TIMEOUT_S: Final = 0.010
"""How long a write waits for another process's lock: half a decision's deadline, then the caller falls back."""

PAGE_BYTES: Final = 4096
"""A page of the operating system. Pages of 1024 halve what a commit writes (5 kB for 12) and cost half as much CPU more
(39 µs for 27), because each is a write of its own into a part of a page."""

FOLD_WAL_BYTES: Final = 16 * 2**20
"""WAL size from which `upkeep.py` folds it into the database."""

_SELECT_DECISION: Final = (
    "SELECT sequence, decision_id, time_us, module, propensity, source,"
    " (SELECT version FROM model_version WHERE number = model_version), record FROM decision"
)

_INSERT_DECISION: Final = (
    "INSERT INTO decision VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (request_id) WHERE request_id IS NOT NULL DO NOTHING"
)

DecisionRow: TypeAlias = tuple[bytes, str, float, int, int, DecisionRecord]
"""Decision id, module, propensity, source, number of the model version, record."""


class ExperienceLog:
    """Opens the log in a directory, creating it if needed. Thread-safe: every method takes the connection's lock.

    Args:
        state_dir: Where the file is.
        id_seed: If not empty, ids and with them all draws follow from it, at most 64 bytes; for simulations only.

    Raises:
        StateError: The file is not a Pilotfish log or comes from a newer version.
        sqlite3.Error: The file system refuses.
    """

    def __init__(self, state_dir: Path, id_seed: bytes = b"") -> None:
        self._id_seed = id_seed
        self.path = state_dir / DATABASE_NAME
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise StateError(f"{self.path} is not a usable log ({error}); move it away or restore it") from error
        self._random_bytes: list[bytes] = []
        self._next_sequence: int = self._one("SELECT COALESCE(MAX(sequence), 0) + 1 FROM decision")
        self.decision_count: int = self._one("SELECT COUNT(*) FROM decision")
        self.signal_value_count: int = self._one("SELECT COUNT(*) FROM signal_value")
        self._parked = {row[0] for row in self._connection.execute("SELECT DISTINCT request_id FROM parked_signal")}

    def _prepare(self) -> None:
        execute = self._connection.execute
        execute(f"PRAGMA page_size = {PAGE_BYTES}")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")
        execute("PRAGMA wal_autocheckpoint = 0")
        execute(f"PRAGMA journal_size_limit = {FOLD_WAL_BYTES}")
        execute("PRAGMA cache_size = -16000")
        prepare(self._connection, self.path)

    def close(self) -> None:
        """Close the connection; later calls raise `sqlite3.ProgrammingError`."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the connection for writes of which all or none are made."""
        with self._lock:
            decision_count = self.decision_count
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                self.decision_count = decision_count
                if self._connection.in_transaction:  # a full disk has rolled back by itself
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Hold the connection for a short read."""
        with self._lock:
            yield self._connection

    # -- model versions --------------------------------------------------------------------------------------------

    def register_model(self, version: str, specification: bytes) -> int:
        """Return the number under which the log names a model version, adding it if it is new."""
        with self._lock:
            self._connection.execute(
                "INSERT OR IGNORE INTO model_version (version, specification, time_us) VALUES (?, ?, ?)",
                (version, specification, now_us()),
            )
            return int(self._one("SELECT number FROM model_version WHERE version = ?", version))

    # -- decisions -------------------------------------------------------------------------------------------------

    def new_decision_id(self) -> bytes:
        """Return a fresh id, which also seeds the decision's draw."""
        with self._lock:
            sequence = self._next_sequence
            self._next_sequence = sequence + 1
            prefix = sequence.to_bytes(SEQUENCE_BYTES, "big")
            if self._id_seed:
                return prefix + blake2b(prefix, digest_size=RANDOM_BYTES, key=self._id_seed).digest()
            if not self._random_bytes:
                # One system call for a hundred ids: it costs more than all the rest of an id.
                pool = os.urandom(100 * RANDOM_BYTES)
                self._random_bytes = [pool[i : i + RANDOM_BYTES] for i in range(0, len(pool), RANDOM_BYTES)]
            return prefix + self._random_bytes.pop()

    def append_decisions(self, rows: Sequence[DecisionRow]) -> list[bool]:
        """Append decisions in one commit, durable on return; False for each whose request_id is on record already.

        Raises:
            sqlite3.Error: They could not be written; none was.
        """
        if len(rows) == 1:  # a statement is a commit of its own; a transaction around it costs a fifth more
            with self._lock:
                return [self._append_decision(rows[0])]
        with self.transaction():
            return [self._append_decision(row) for row in rows]

    def _append_decision(self, row: DecisionRow) -> bool:
        decision_id, module, propensity, source, model_number, record = row
        request = record.request
        cursor = self._connection.execute(
            _INSERT_DECISION,
            (
                int.from_bytes(decision_id[:SEQUENCE_BYTES], "big"),
                decision_id,
                now_us(),
                request.request_id or None,
                request.unit_id,
                request.task.type,
                module,
                propensity,
                source,
                model_number,
                encode_record(record),
            ),
        )
        self.decision_count += cursor.rowcount
        return cursor.rowcount == 1

    def find_decision(self, decision_id: bytes) -> LoggedDecision | None:
        """Return the decision with this id, or None."""
        sequence = int.from_bytes(decision_id[:SEQUENCE_BYTES], "big")
        found = self._decision(f"{_SELECT_DECISION} WHERE sequence = ?", sequence)
        return found if found is not None and found.decision_id == decision_id else None

    def get_decision(self, decision_id: str) -> LoggedDecision:
        """Return the decision with this id, 32 hexadecimal digits.

        Raises:
            NotFoundError: There is none (reason DECISION_NOT_FOUND).
        """
        found = self.find_decision(bytes.fromhex(decision_id))
        if found is None:
            raise NotFoundError(
                f"decision_id == {decision_id}, must be the id of a decision in this sidecar's log",
                reason="DECISION_NOT_FOUND",
                metadata={"field": "decision_id", "value": decision_id, "rule": "a logged decision"},
            )
        return found

    def find_request(self, request_id: str) -> LoggedDecision | None:
        """Return the decision of this request, or None."""
        return self._decision(f"{_SELECT_DECISION} WHERE request_id = ?", request_id)

    def decisions(self, after: int = 0) -> Iterator[LoggedDecision]:
        """Yield the decisions in order, those after a sequence number."""
        for row in self._pages(f"{_SELECT_DECISION} WHERE sequence > ? ORDER BY sequence LIMIT 1000", after):
            yield _decision(row)

    def _decision(self, query: str, key: int | str) -> LoggedDecision | None:
        with self._lock:
            row = self._connection.execute(query, (key,)).fetchone()
        return None if row is None else _decision(row)

    # -- outcomes --------------------------------------------------------------------------------------------------

    def rows_of(self, decision_sequence: int) -> list[SignalRow]:
        """Return the rows of a decision, in order."""
        with self._lock:
            return [read_row(row) for row in self._connection.execute(SELECT_ROWS_OF, (decision_sequence,)).fetchall()]

    def signals_of(self, decision_sequence: int) -> dict[int, float]:
        """Return the raw value of each signal of a decision that was reported; defaults are not among them."""
        return {row.signal: row.value for row in self.rows_of(decision_sequence) if row.kind is not Kind.DEFAULT}

    def append_signals(
        self, decision_sequence: int, signals: Iterable[NewSignal], *, parked_as: str = ""
    ) -> list[SignalRow]:
        """Append signal values of a decision in one commit; return their rows.

        Args:
            decision_sequence: Whose they are.
            signals: What is new.
            parked_as: The request under which they waited; they stop waiting in the same commit.
        """
        time_us = now_us()
        with self.transaction():
            rows = [
                SignalRow(
                    self._connection.execute(
                        INSERT_SIGNAL,
                        # Plain numbers: SQLite's module looks for an adapter of each enum, 2 µs apiece.
                        (decision_sequence, int(signal), value, int(kind), int(use), served_module, time_us),
                    ).lastrowid
                    or 0,
                    *(decision_sequence, signal, value, kind, use, time_us),
                )
                for signal, value, kind, use, served_module in signals
            ]
            if parked_as:
                self._connection.execute("DELETE FROM parked_signal WHERE request_id = ?", (parked_as,))
        self.signal_value_count += len(rows)
        self._parked.discard(parked_as)
        return rows

    def signals(self, after: int = 0, *, late_in_time: bool = False) -> Iterator[SignalRow]:
        """Yield the signal values in the order in which they are learned, those after a sequence number.

        Args:
            after: The sequence number.
            late_in_time: As if whatever came late had come in time: late values count as learned, and the defaults
                that they replace are left out.
        """
        for row in self._pages(SELECT_SIGNALS_LATE_IN_TIME if late_in_time else SELECT_SIGNALS, after):
            yield read_row(row)

    def before(self, time_us: int) -> tuple[int, int]:
        """Return the sequence numbers of the last decision and the last signal value before a time."""
        query = "SELECT COALESCE((SELECT sequence FROM {} WHERE time_us < ? ORDER BY sequence DESC LIMIT 1), 0)"
        with self._lock:
            decision, signal = (
                self._connection.execute(query.format(table), (time_us,)).fetchone()[0]
                for table in ("decision", "signal_value")
            )
        return decision, signal

    def newest_values(self, limit: int) -> list[tuple[int, float]]:
        """Return (signal, raw value) of the newest reported values, oldest first."""
        query = "SELECT signal, value FROM signal_value WHERE kind <> 2 ORDER BY sequence DESC LIMIT ?"
        with self._lock:
            return self._connection.execute(query, (limit,)).fetchall()[::-1]

    def last_signal_sequence(self) -> int:
        """Return the sequence number of the last signal value; 0 if there is none."""
        with self._lock:
            return int(self._one("SELECT COALESCE(MAX(sequence), 0) FROM signal_value"))

    def last_decision_sequence(self) -> int:
        """Return the sequence number of the last decision; 0 if there is none."""
        with self._lock:
            return int(self._one("SELECT COALESCE(MAX(sequence), 0) FROM decision"))

    def decision_by_sequence(self, sequence: int) -> LoggedDecision:
        """Return the decision with this sequence number; it exists for every signal value."""
        found = self._decision(f"{_SELECT_DECISION} WHERE sequence = ?", sequence)
        if found is None:
            raise StateError(f"decision {sequence} is missing in {self.path} though a signal refers to it")
        return found

    # -- outcomes that came first ----------------------------------------------------------------------------------

    def is_parked(self, request_id: str) -> bool:
        """Return whether an outcome waits for this request's decision."""
        return request_id in self._parked

    def answered_parked(self) -> list[str]:
        """Return the parked requests whose decision is on record: a kill came between the decision and the join."""
        query = (
            "SELECT DISTINCT request_id FROM parked_signal JOIN decision USING (request_id) ORDER BY decision.sequence"
        )
        with self._lock:
            return [row[0] for row in self._connection.execute(query).fetchall()]

    def parked_signals(self, request_id: str) -> dict[int, ParkedSignal]:
        """Return what waits for a request, by signal."""
        query = (
            "SELECT signal, value, kind, COALESCE(served_module, '') FROM parked_signal WHERE request_id = ?"
            " ORDER BY signal"
        )
        with self._lock:
            rows = self._connection.execute(query, (request_id,)).fetchall()
        return {signal: ParkedSignal(Value(value, Kind(kind)), served) for signal, value, kind, served in rows}

    def park_signals(self, request_id: str, signals: Iterable[tuple[int, Value]], served_module: str) -> None:
        """Keep signal values until the request's decision comes; durable on return."""
        with self.transaction():
            for signal, (value, kind) in signals:
                self._connection.execute(
                    "INSERT INTO parked_signal (request_id, signal, value, kind, time_us, served_module)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (request_id, signal, value, kind, now_us(), served_module or None),
                )
        self._parked.add(request_id)

    # -- modules -----------------------------------------------------------------------------------------

    def put_modules(self, modules: Iterable[Module]) -> None:
        """Add modules or replace those of the same name; all or none."""
        with self.transaction():
            for module in modules:
                self._connection.execute(
                    "INSERT INTO module (name, module) VALUES (?, ?)"
                    " ON CONFLICT (name) DO UPDATE SET module = excluded.module",
                    (module.name, msgspec.msgpack.encode(module)),
                )

    def modules(self) -> tuple[Module, ...]:
        """Return the registered modules in declared order."""
        with self._lock:
            rows = self._connection.execute("SELECT module FROM module ORDER BY position").fetchall()
        return tuple(msgspec.msgpack.decode(row[0], type=Module) for row in rows)

    # -- reading ---------------------------------------------------------------------------------------------------

    def _one(self, query: str, *parameters: str) -> Any:  # noqa: ANN401  whatever the column holds
        return self._connection.execute(query, parameters).fetchone()[0]

    def _pages(self, query: str, after: int) -> Iterator[tuple[Any, ...]]:
        # Page by page, so that a long read never holds the writer's lock.
        while True:
            with self._lock:
                rows = self._connection.execute(query, (after,)).fetchall()
            if not rows:
                return
            yield from rows
            after = rows[-1][0]


def _decision(row: tuple[Any, ...]) -> LoggedDecision:
    sequence, decision_id, time_us, module, propensity, source, model_version, record = row
    return LoggedDecision(
        sequence, decision_id, time_us, module, propensity, source, model_version, decode_record(record)
    )


def now_us() -> int:
    """Return the wall-clock time in microseconds since the epoch."""
    return time.time_ns() // 1000
