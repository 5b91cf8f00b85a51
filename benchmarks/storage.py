"""Storing and reading events, against the bare drivers with the same bytes, durability and indices."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Any

from benchmarks.programs import first_line, program
from benchmarks.raw_logs import RawLog, RawPostgresLog, RawRow, RawSqliteLog
from benchmarks.samples import lines, raw_row, step_failure, step_success
from benchmarks.table import Row, rate_row
from runwire.config import ConfigurableClassData
from runwire.events.entry import EventLogEntry
from runwire.runs.run import Run, RunRecord
from runwire.storage import InstanceStorage
from runwire.storages.postgres import PostgresStorage
from runwire.storages.postgres.connections import Limits
from runwire.storages.sql.heads import LATELY_SECONDS
from tests.postgres import PostgresServer

EVENTS = 80
LINES = 5_000
GROUP = 100
READ = 1_000
READS = 60

WRITERS = 4
EVENTS_A_SECOND = 100
PACED_SECONDS = 10

WATCHED = 10_000
FEW_WATCHED = 1_000
POLLS = 120
_MANY_RUNS = (
    (
        "INSERT INTO runs (run_id, log_id, status, job_name, managed, created_at, updated_at, worker_epoch,"
        " resume_attempts, applied_position, tags, run_config, steps_planned, counts) SELECT 'run ' || n, 'log ' || n,"
        " 'MANAGED', 'bench', true, n, n, 0, 0, 0, '{}', '{}', 0, '{}' FROM generate_series(1, 10000) AS n"
    ),
    "INSERT INTO run_heads SELECT storage_id, 10, 0, NULL, 0 FROM runs",
    "VACUUM ANALYZE",
)

MAX_READ_MS = 2.5
MAX_WRITE_MS = 50.0


def run() -> list[Row]:
    """Measures one writer, a reader, and four writers of one run, on SQLite and on PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="runwire-bench-") as folder, _postgres() as server:
        return _measure_sqlite(Path(folder)) + _measure_postgres(server)


def _measure_sqlite(folder: Path) -> list[Row]:
    config = {"base_dir": str(folder)}
    data = ConfigurableClassData("runwire.storages.sqlite", "SqliteStorage", config)
    with (
        _log(data) as log,
        closing(RawSqliteLog(folder / "raw.db")) as raw,
        closing(RawSqliteLog(folder / "second.db")) as second,
    ):
        return [
            _durable_row("SQLite", log, raw),
            _grouped_row("SQLite", log, raw, synced=False),
            rate_row(
                "SQLite: events that the run's row reflects, against an insert into two files",
                "events/s",
                lambda: log.store([[step_failure(log.run_id)] for _ in range(EVENTS)]),
                lambda: _insert(
                    [raw, second], [raw_row(step_failure(log.run_id))] * EVENTS, 1, synced=True
                ),
            ),
            _read_row("SQLite", log, raw),
            _paced_row("SQLite", log, (str(folder / "paced.db"), "sqlite")),
        ]


def _measure_postgres(server: PostgresServer) -> list[Row]:
    rows = []
    database = server.make_database()
    url = server.url(database)
    for name, prepared in (("PostgreSQL", True), ("PostgreSQL as behind a pooler", False)):
        config = {"postgres_url": url, "prepared_statements": prepared}
        data = ConfigurableClassData("runwire.storages.postgres", "PostgresStorage", config)
        with ExitStack() as stack:
            log = stack.enter_context(_log(data))
            raw = RawPostgresLog(url, log.storage_id, prepared=prepared)
            stack.callback(raw.close)
            rows += [
                _durable_row(name, log, raw),
                _grouped_row(name, log, raw, synced=True),
                _read_row(name, log, raw),
            ]
            if prepared:
                rows.append(_paced_row(name, log, (url, "postgres")))
    return [*rows, _watch_row(server)]


def _watch_row(server: PostgresServer) -> Row:
    """A poll of heads while one run is written to, the others being idle; medians count."""
    database = server.make_database()
    storage = PostgresStorage(server.url(database), Limits(prepared_statements=True))
    for statement in _MANY_RUNS:
        server.execute(statement, database)
    measured, floor = (_poll_ms(storage, number) for number in (WATCHED, FEW_WATCHED))
    storage.dispose()
    return Row(
        name=f"PostgreSQL: a poll of heads, {WATCHED:,} runs watched, one active, against {FEW_WATCHED:,}",
        measured=measured,
        unit="ms",
        floor=floor,
        ratio=measured / floor,
        aim="at most 1.5 times",
        met=measured <= 1.5 * floor,
    )


def _poll_ms(storage: PostgresStorage, number: int) -> float:
    heads = storage.event_log_storage.open_heads()
    for n in range(1, number + 1):
        heads.watch(f"run {n}")
    assert len(heads.poll()) == number
    time.sleep(LATELY_SECONDS)  # until they count as idle
    active, took = storage.get_run_record("run 1"), []
    for _ in range(POLLS):
        storage.store_events(active.run_id, lines(active.run_id, 1, 1), known=active)
        took.append(_milliseconds(heads.poll))
    heads.close()
    return statistics.median(took[POLLS // 6 :])


@contextmanager
def _postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start("fsync=on")
        yield server
    finally:
        server.close()


def _durable_row(name: str, log: _Log, raw: RawLog) -> Row:
    return rate_row(
        f"{name}: durable events, one writer, one at a time",
        "events/s",
        lambda: log.store([[step_success(log.run_id)] for _ in range(EVENTS)]),
        lambda: _insert([raw], [raw_row(step_success(log.run_id))] * EVENTS, 1, synced=True),
        at_least=0.5,
    )


def _grouped_row(name: str, log: _Log, raw: RawLog, *, synced: bool) -> Row:
    def groups() -> list[list[EventLogEntry]]:
        return [lines(log.run_id, first, GROUP) for first in range(0, LINES, GROUP)]

    return rate_row(
        f"{name}: log lines, one writer, in group commits of {GROUP}",
        "lines/s",
        lambda: log.store(groups()),
        lambda: _insert([raw], [raw_row(e) for g in groups() for e in g], GROUP, synced=synced),
        at_least=0.5,
    )


def _read_row(name: str, log: _Log, raw: RawLog) -> Row:
    """The first events of a run, which has more; medians count."""
    took = [(_milliseconds(log.read), _milliseconds(lambda: raw.read(READ))) for _ in range(READS)]
    measured, floor = (statistics.median(each) for each in zip(*took[READS // 6 :], strict=True))
    return Row(
        name=f"{name}: {READ:,} events of a run, read",
        measured=measured,
        unit="ms",
        floor=floor,
        ratio=measured / floor,
        aim=f"at most {MAX_READ_MS:g} ms",
        met=measured <= MAX_READ_MS,
    )


def _paced_row(name: str, log: _Log, raw: tuple[str, str]) -> Row:
    measured, floor = _slowest(log.data.to_dict(), log.run_id), _slowest(*raw)
    return Row(
        name=(
            f"{name}: {WRITERS} writers of one run, {EVENTS_A_SECOND} durable events/s each:"
            " slowest write"
        ),
        measured=measured,
        unit="ms",
        floor=floor,
        ratio=measured / floor,
        aim=f"at most {MAX_WRITE_MS:g} ms",
        met=measured <= MAX_WRITE_MS,
    )


def _slowest(place: Any, run: str) -> float:
    """The slowest write of processes that write at a pace, in ms."""
    with ExitStack() as stack:
        writers = []
        for number in range(1, WRITERS + 1):
            arguments = json.dumps([place, run, number, EVENTS_A_SECOND, PACED_SECONDS])
            writer = stack.enter_context(
                program("-m", "benchmarks.paced_writer", arguments, stdin=PIPE)
            )
            first_line(writer, "ready")  # one after the other makes the tables
            writers.append(writer)
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write("go\n")
            writer.stdin.flush()
        return max(float(first_line(writer)) for writer in writers)


@contextmanager
def _log(data: ConfigurableClassData) -> Iterator[_Log]:
    storage = data.rehydrate(InstanceStorage)
    record, _ = storage.run_storage.add_run(Run(job_name="bench"), created_at=1.0)
    yield _Log(data, storage, record)
    storage.dispose()


@dataclass(frozen=True, slots=True)
class _Log:
    """A run's log, written the way that a run worker does."""

    data: ConfigurableClassData
    storage: InstanceStorage
    record: RunRecord

    @property
    def run_id(self) -> str:
        return self.record.run_id

    @property
    def storage_id(self) -> int:
        return self.record.storage_id

    def store(self, groups: Sequence[Sequence[EventLogEntry]]) -> float:
        """Stores each group in one call; returns events a second."""

        def work() -> None:
            for group in groups:
                self.storage.store_events(self.run_id, group, known=self.record)

        return sum(map(len, groups)) / _seconds(work)

    def read(self) -> None:
        page = self.storage.event_log_storage.get_records(self.record, limit=READ)
        assert len(page.records) == READ


def _insert(logs: list[RawLog], rows: list[RawRow], group: int, *, synced: bool) -> float:
    """Inserts rows, so many a transaction, into one log or into each; returns rows a second."""
    groups = [rows[n : n + group] for n in range(0, len(rows), group)]

    def work() -> None:
        for each in groups:
            for log in logs:
                log.insert(each, synced=synced)

    return len(rows) / _seconds(work)


def _milliseconds(work: Callable[[], object]) -> float:
    return 1000 * _seconds(work)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
