"""Lists of runs, and the log of one, as the number of runs grows.

The short form goes to 100,000 runs and a million events (10,000 of each log's files where every run has one); with
``RUNWIRE_SCALE=full`` it goes to a million runs and ten million events (100,000 files), which takes half an hour and
15 GB below the folder for temporary files.

Milliseconds are those of processors: of this thread and, on PostgreSQL, of the server's process that answers it. They
are medians. The floor of each row is the same question to the same storage when it had the first number of runs.

Runs are not added one by one: rows are inserted by the thousand, and every run's events are copies of those that the
storage itself stored for the first one; logs in files of their own are copies of its file under other ids. So the
bytes, the tables and their indices are the real ones. How long the storage itself takes to add runs, one durable
commit each, is a row of its own.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import func, insert, select

from benchmarks.table import Row
from runwire.events.entry import EventLogEntry
from runwire.events.payloads import StepSuccessData
from runwire.events.types import EventType
from runwire.runs.filters import RunsFilter, TagFilter, TimeRange
from runwire.runs.run import Run, RunRecord
from runwire.runs.status import RunStatus
from runwire.storage import InstanceStorage
from runwire.storages.postgres import PostgresStorage
from runwire.storages.postgres.connections import Limits
from runwire.storages.sql.rows import run_values
from runwire.storages.sql.run_storage import SqlRunStorage
from runwire.storages.sql.tables import run_events, run_heads, run_tags, runs
from runwire.storages.sqlite import SqliteStorage
from runwire.storages.sqlite.shards import Shards
from runwire.storages.stored_form import new_record
from tests.postgres import PostgresServer

FULL = os.environ.get("RUNWIRE_SCALE") == "full"
SIZES = (10_000, 100_000, 1_000_000) if FULL else (10_000, 100_000)
SHARDED_SIZES = (10_000, 100_000) if FULL else (10_000, 20_000)
"""How many runs there are when questions are asked."""

EVENTS_PER_STEP = 10
"""How many events a step has; all runs but one have one step."""

STEPS = 100
"""How many steps that one has, whose log is read."""

BULK = 5_000
ADDED = 2_000
REPEATS = 120
COUNTED = 5_000
"""How far is counted: there are as many from the first."""

MINUTES = 5
"""How long 100,000 runs may take to be added."""

FAILED = RunsFilter(
    statuses=frozenset({RunStatus.FAILURE}),
    tags=(TagFilter("team", frozenset({"team 40"})),),
)
"""One run in two hundred, by two conditions that are each met by many more."""

NEVER = replace(FAILED, tags=(TagFilter("team", frozenset({"team 41"})),))
"""No run, by two conditions that are each met by many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something that is asked of a storage.

    Attributes:
        name: what is asked.
        ask: asks it.
        at_most_ms: the milliseconds that are aimed at, if there is such an aim.
        at_most_times: how many times as long it may take as with the first number of runs; None where it is only told.
    """

    name: str
    ask: Callable[[], object]
    at_most_ms: float | None = None
    at_most_times: float | None = 1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A storage to measure.

    Attributes:
        name: what it is.
        storage: it.
        sizes: the numbers of runs at which it is asked.
        server_ms: the milliseconds of processors that the database's server has taken so far.
        settle: does what the database does by itself some time after many rows were added.
        copy_logs: gives the runs of a span of storage ids, both inclusive, the log of another run.
    """

    name: str
    storage: InstanceStorage
    sizes: tuple[int, ...]
    server_ms: Callable[[], float]
    settle: Callable[[], None]
    copy_logs: Callable[[RunRecord, int, int], None]

    @property
    def runs(self) -> SqlRunStorage:
        """Its runs."""
        assert isinstance(self.storage.run_storage, SqlRunStorage)
        return self.storage.run_storage


class Took(NamedTuple):
    """Milliseconds of processors: of this process, and of the database's server."""

    own_ms: float
    server_ms: float


def run() -> list[Row]:
    """Measures each storage."""
    rows = []
    for make in (_sharded, _consolidated, _postgres):
        with make() as place:
            rows += _measure(place)
    return rows


# --------------------------------------------------------------------------------- the storages


@contextmanager
def _sharded() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="runwire-bench-") as folder:
        storage = SqliteStorage(folder)
        yield Place(
            name="SQLite, sharded",
            storage=storage,
            sizes=SHARDED_SIZES,
            server_ms=lambda: 0.0,
            settle=lambda: None,
            copy_logs=lambda like, first, last: _copy_files(
                Path(folder), storage.run_storage, like, first, last
            ),
        )
        storage.dispose()


@contextmanager
def _consolidated() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="runwire-bench-") as folder:
        storage = SqliteStorage(folder, layout="consolidated")
        yield Place(
            name="SQLite, consolidated",
            storage=storage,
            sizes=SIZES,
            server_ms=lambda: 0.0,
            settle=lambda: None,
            copy_logs=lambda like, first, last: _copy_rows(storage.run_storage, like, first, last),
        )
        storage.dispose()


@contextmanager
def _postgres() -> Iterator[Place]:
    server = PostgresServer()
    try:
        server.start("fsync=on", "shared_buffers=1GB", "max_wal_size=8GB")
        database = server.make_database()
        storage = PostgresStorage(server.url(database), Limits(prepared_statements=True))
        with storage.run_storage.reading() as connection:
            # The pool gives the connection that was given back last.
            backend = connection.execute(select(func.pg_backend_pid())).scalar_one()
        yield Place(
            name="PostgreSQL",
            storage=storage,
            sizes=SIZES,
            server_ms=lambda: _ms_of(backend),
            # What autovacuum does a minute later.
            settle=lambda: server.execute("VACUUM ANALYZE", database),
            copy_logs=lambda like, first, last: _copy_rows(storage.run_storage, like, first, last),
        )
        storage.dispose()
    finally:
        server.close()


def _own_ms() -> float:
    return time.thread_time_ns() / 1e6


def _ms_of(process: int) -> float:
    """The milliseconds of processors that another process has taken."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e6


# ------------------------------------------------------------------------------------ measuring


def _measure(place: Place) -> list[Row]:
    added = _add_some(place)
    # Before rows with storage ids of their own are inserted, of which PostgreSQL's counter knows nothing.
    like, watched = _add_with_log(place.storage, 1), _add_with_log(place.storage, STEPS)
    seconds: dict[int, float] = {}
    took: dict[int, dict[str, Took]] = {}
    questions: list[Question] = []
    for size in place.sizes:
        present = place.storage.run_storage.get_runs_count()
        began = time.perf_counter()
        _seed(place, like, present + 1, size)
        seconds[size] = time.perf_counter() - began
        place.settle()
        questions = _questions(place.storage, watched, size)
        took[size] = {each.name: _ask(place, each) for each in questions}
        _tell(place, size, seconds[size], took[size])
    few, *more = place.sizes
    rows = [_row(place, each, size, took, few) for each in questions for size in (few, *more)]
    return [*rows, added]


def _tell(place: Place, size: int, seconds: float, took: dict[str, Took]) -> None:
    print(f"  {place.name}, {size:,} runs, the last of them seeded in {seconds:.0f} s:", flush=True)
    for name, (own_ms, server_ms) in took.items():
        print(f"    {name}: {own_ms:.3f} ms here, {server_ms:.3f} ms in the server", flush=True)


def _row(
    place: Place, question: Question, size: int, took: dict[int, dict[str, Took]], few: int
) -> Row:
    measured, floor = (sum(took[runs][question.name]) for runs in (size, few))
    aims = []
    if question.at_most_ms is not None:
        aims.append((f"{question.at_most_ms:g} ms", measured <= question.at_most_ms))
    if question.at_most_times is not None and size != few:
        aims.append(
            (f"{question.at_most_times:g} times", measured <= question.at_most_times * floor)
        )
    return Row(
        name=f"{place.name}, {size:,} runs: {question.name}",
        measured=measured,
        unit="ms",
        floor=None if size == few else floor,
        ratio=None if size == few else measured / floor,
        aim="at most " + " and ".join(aim for aim, _ in aims) if aims else "",
        met=all(met for _, met in aims) if aims else None,
    )


def _questions(storage: InstanceStorage, watched: RunRecord, size: int) -> list[Question]:
    kept, logs = storage.run_storage, storage.event_log_storage
    span = TimeRange(after=1000.0 + 0.3 * size, before=1000.0 + 0.9 * size)
    wanted, never = replace(FAILED, created_at=span), replace(NEVER, created_at=span)
    assert len(kept.get_run_records(wanted, limit=25).records) == 25
    assert kept.get_run_records(never, limit=25).records == []
    assert len(logs.get_records(watched, limit=1000).records) == EVENTS_PER_STEP * STEPS
    succeeded = RunsFilter(statuses=frozenset({RunStatus.SUCCESS}))
    return [
        Question(name="a page of 25", ask=lambda: kept.get_run_records(limit=25), at_most_ms=0.5),
        Question(
            name="a page of 25 by status, tag and time",
            ask=lambda: kept.get_run_records(wanted, limit=25),
            at_most_ms=2.0,
        ),
        Question(
            name="the same, where nothing matches",
            ask=lambda: kept.get_run_records(never, limit=25),
            at_most_times=None,
        ),
        Question(name=f"count, to {COUNTED:,}", ask=lambda: kept.get_runs_count(limit=COUNTED)),
        Question(
            name=f"count by status, to {COUNTED:,}",
            ask=lambda: kept.get_runs_count(succeeded, limit=COUNTED),
        ),
        Question(name="tag keys", ask=kept.get_run_tag_keys),
        Question(name="values of a tag", ask=lambda: kept.get_run_tag_values("team")),
        Question(
            name="100 of many values of a tag, that begin so",
            ask=lambda: kept.get_run_tag_values("order", "order 12"),
        ),
        Question(
            name=f"step counts of a run of {EVENTS_PER_STEP * STEPS:,} events",
            ask=lambda: logs.get_step_counts(watched),
        ),
        Question(
            name="1,000 events of a run",
            ask=lambda: logs.get_records(watched, limit=1000),
            at_most_ms=2.5,
        ),
    ]


def _ask(place: Place, question: Question) -> Took:
    own, server = [], []
    for _ in range(REPEATS):
        began = _own_ms(), place.server_ms()
        question.ask()
        own.append(_own_ms() - began[0])
        server.append(place.server_ms() - began[1])
    return Took(*(statistics.median(each[REPEATS // 6 :]) for each in (own, server)))


# -------------------------------------------------------------------------------------- seeding


def _add_some(place: Place) -> Row:
    """Adds runs as the instance does, one durable commit each."""
    began = time.perf_counter()
    for number in range(ADDED):
        place.storage.run_storage.add_run(_run(number + 1), created_at=1001.0 + number)
    rate = ADDED / (time.perf_counter() - began)
    at_least = 100_000 / (60 * MINUTES)
    return Row(
        name=f"{place.name}: runs added one by one",
        measured=rate,
        unit="runs/s",
        aim=f"100,000 in {MINUTES} minutes",
        met=rate >= at_least,
    )


def _run(number: int) -> Run:
    return Run(
        job_name=f"job {number % 40}",
        tags={
            "team": f"team {number % 50}",
            "user": f"user {number % 1000}",
            "order": f"order {number}",
        },
        run_config={"ops": {"extract": {"config": {"path": "orders.csv", "rows": number}}}},
    )


def _add_with_log(storage: InstanceStorage, steps: int) -> RunRecord:
    """Adds a run with ten events for each step, as the instance does."""
    made, _ = storage.run_storage.add_run(Run(job_name="watched"), created_at=999.0)
    entries = itertools.chain.from_iterable(_events(made.run_id, step) for step in range(steps))
    storage.store_events(made.run_id, list(entries))
    return storage.get_run_record(made.run_id)


def _events(run_id: str, step: int) -> Iterator[EventLogEntry]:
    step_key = f"step_{step}"
    start = EventLogEntry(
        run_id=run_id,
        message=f"Started step {step_key}",
        event_type=EventType.STEP_START,
        step_key=step_key,
    )
    end = EventLogEntry(
        run_id=run_id,
        message=f"Finished step {step_key} in 12.5 ms",
        event_type=EventType.STEP_SUCCESS,
        step_key=step_key,
        data=StepSuccessData(12.5),
    )
    yield start
    for line in range(EVENTS_PER_STEP - 2):
        message = f"read {line * 100} rows of orders.csv so far"
        yield EventLogEntry(run_id=run_id, message=message, step_key=step_key)
    yield end


def _seed(place: Place, like: RunRecord, first: int, last: int) -> None:
    """Makes the runs of a span of storage ids, both inclusive, and their logs."""
    for low in range(first, last + 1, BULK):
        high = min(last, low + BULK - 1)
        _seed_runs(place.runs, low, high)
        place.copy_logs(like, low, high)


def _seed_runs(kept: SqlRunStorage, first: int, last: int) -> None:
    run_rows, tag_rows = [], []
    for number in range(first, last + 1):
        made = _ended(new_record(number, _run(number), 1000.0 + number), number)
        run_rows.append(run_values(made, None) | {"storage_id": number})
        tag_rows += [
            {"storage_id": number, "key": key, "value": value, "created_at": made.created_at}
            for key, value in made.run.tags.items()
        ]
    with kept.writing(durable=False) as connection:
        connection.execute(insert(runs), run_rows)
        connection.execute(insert(run_tags), tag_rows)


def _ended(made: RunRecord, number: int) -> RunRecord:
    """One run in forty has failed, and another was canceled."""
    statuses = {0: RunStatus.FAILURE, 20: RunStatus.CANCELED}
    status = statuses.get(number % 40, RunStatus.SUCCESS)
    return replace(made, status=status, started_at=made.created_at, ended_at=made.created_at + 1)


def _copy_rows(kept: SqlRunStorage, like: RunRecord, first: int, last: int) -> None:
    """Copies a log to runs in one database."""
    with kept.writing(durable=False) as connection:
        for table in (run_heads, run_events):
            chosen: Any = [runs.c.storage_id, *(c for c in table.c if c.name != "storage_id")]
            copies = (
                select(*chosen)
                .join_from(runs, table, table.c.storage_id == like.storage_id)
                .where(runs.c.storage_id.between(first, last))
            )
            connection.execute(insert(table).from_select([c.name for c in chosen], copies))


def _copy_files(
    base_dir: Path, kept: SqlRunStorage, like: RunRecord, first: int, last: int
) -> None:
    """Copies a log's file to runs: their ids are as long as those in it, and take their place."""
    shards = Shards(base_dir, 1.0, 1)
    path = shards.path_of(like.run_id, like.log_id)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = path.read_bytes()
    assert data.count(like.run_id.encode()) == data.count(like.log_id.encode()) == 1
    chosen = select(runs.c.run_id, runs.c.log_id).where(runs.c.storage_id.between(first, last))
    with kept.reading() as connection:
        ids = connection.execute(chosen).all()
    for run_id, log_id in ids:
        copy = shards.path_of(run_id, log_id)
        copy.parent.mkdir(parents=True, exist_ok=True)
        theirs = data.replace(like.run_id.encode(), run_id.encode())
        copy.write_bytes(theirs.replace(like.log_id.encode(), log_id.encode()))
