"""Storing events, against raw SQLite that inserts the same bytes into the same table."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.table import Row, rate_row
from runwire.events.entry import EventLogEntry
from runwire.events.payloads import StepSuccessData
from runwire.events.types import EventType
from runwire.runs.run import Run, RunRecord
from runwire.storages.sql.tables import LOG
from runwire.storages.sqlite import SqliteStorage
from runwire.storages.sqlite.schema import ddl

EVENTS = 80
LINES = 5_000
GROUP = 100

_COLUMNS = "timestamp, level, event_type, step_key, message, applied, epoch, body"
_INSERT = f"INSERT INTO events ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608


def run() -> list[Row]:
    """Measures durable events one at a time, log lines in group commits, and events that change a run."""
    with tempfile.TemporaryDirectory(prefix="runwire-bench-") as folder:
        storage = SqliteStorage(folder)
        record, _ = storage.run_storage.add_run(Run(job_name="bench"), created_at=1.0)
        raw, second = _RawLog(Path(folder) / "raw.db"), _RawLog(Path(folder) / "second.db")
        log = _Log(storage, record)
        try:
            return [
                rate_row(
                    "durable events, one writer, one at a time",
                    "events/s",
                    lambda: log.store([[log.step_success()] for _ in range(EVENTS)]),
                    lambda: raw.insert(log.last_rows(EVENTS), 1, synced=True),
                    at_least=0.5,
                ),
                rate_row(
                    f"log lines, one writer, in group commits of {GROUP}",
                    "lines/s",
                    lambda: log.store([log.lines(n) for n in range(LINES // GROUP)]),
                    lambda: raw.insert(log.last_rows(LINES), GROUP, synced=False),
                    at_least=0.5,
                ),
                rate_row(
                    "events that the run's row reflects, against an insert into two files",
                    "events/s",
                    lambda: log.store([[log.step_failure()] for _ in range(EVENTS)]),
                    lambda: raw.insert(log.last_rows(EVENTS), 1, synced=True, beside=second),
                ),
            ]
        finally:
            storage.dispose()
            raw.close()
            second.close()


class _Log:
    """A run's log, written the way that a run worker does."""

    def __init__(self, storage: SqliteStorage, record: RunRecord) -> None:
        self._storage = storage
        self._record = record
        self._run_id = record.run_id

    def store(self, groups: Sequence[Sequence[EventLogEntry]]) -> float:
        """Stores each group in one call; returns events a second."""

        def work() -> None:
            for group in groups:
                self._storage.store_events(self._run_id, group, known=self._record)

        return sum(map(len, groups)) / _seconds(work)

    def last_rows(self, number: int) -> list[tuple[Any, ...]]:
        """The rows that were stored last, as they are in the file, in order, without their position."""
        (path,) = Path(self._storage.run_storage.path).parent.glob("events/*/*.db")
        newest = f"SELECT {_COLUMNS} FROM events ORDER BY position DESC LIMIT ?"  # noqa: S608
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(newest, (number,)).fetchall()[::-1]

    def step_success(self) -> EventLogEntry:
        return EventLogEntry(
            run_id=self._run_id,
            message='Finished step "extract" in 12.5 ms',
            event_type=EventType.STEP_SUCCESS,
            step_key="extract",
            data=StepSuccessData(12.5),
        )

    def step_failure(self) -> EventLogEntry:
        return EventLogEntry(
            run_id=self._run_id,
            message='Step "extract" failed',
            event_type=EventType.STEP_FAILURE,
            step_key="extract",
        )

    def lines(self, group: int) -> list[EventLogEntry]:
        return [
            EventLogEntry(
                run_id=self._run_id,
                message=f"read {group * GROUP + n} rows of orders.csv so far",
                step_key="extract",
            )
            for n in range(GROUP)
        ]


class _RawLog:
    """A file with the same tables, written by the driver alone."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        for statement in ddl(LOG):
            self.connection.execute(statement)

    def insert(
        self,
        rows: list[tuple[Any, ...]],
        group: int,
        *,
        synced: bool,
        beside: _RawLog | None = None,
    ) -> float:
        """Inserts rows, so many a transaction, into one file or into two; returns rows a second."""
        logs = [self] if beside is None else [self, beside]
        for log in logs:
            log.connection.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
        groups = [rows[n : n + group] for n in range(0, len(rows), group)]

        def work() -> None:
            for each in groups:
                for log in logs:
                    log.connection.execute("BEGIN IMMEDIATE")
                    log.connection.executemany(_INSERT, each)
                    log.connection.execute("COMMIT")

        return len(rows) / _seconds(work)

    def close(self) -> None:
        self.connection.close()


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
