"""Lists of runs, and the log of one, as the number of runs grows.

The short form goes to 100,000 runs and a million events, or 20,000 where each run's events are a file of their own;
with ``RUNWIRE_SCALE=full`` it goes to a million runs and ten million events, or 100,000 files, which takes ten
minutes and 8 GB below the folder for temporary files.

The floor of each row is the same question to a storage of the same kind with 10,000 runs. The two are asked in turns,
so that what else the machine does hits both; the median of the ratios counts, and of the times the first quartile.
They are milliseconds of processors: of this thread and, on PostgreSQL, of the server's process that answers it.

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
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import func, insert, select

from benchmarks.table import Row
from runwire.events.entry import EventLogEntry
from runwire.events.payloads import StepSuccessData
from runwire.events.types import EventType
from runwire.runs.filters import RunOrder, RunOrderField, RunsFilter, TagFilter, TimeRange
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
from runwire.storages.sqlite.storage import Layout
from runwire.storages.stored_form import new_record
from tests.postgres import PostgresServer

FULL = os.environ.get("RUNWIRE_SCALE") == "full"
FEW = 10_000
MANY = (100_000, 1_000_000) if FULL else (100_000,)
MANY_FILES = (100_000,) if FULL else (20_000,)
"""The numbers of runs that are compared with few; the last where each run's log is a file."""

EVENTS_PER_STEP = 10
"""How many events a step has; all runs but one have one step."""

STEPS = 100
"""How many steps that one has, whose log is read."""

BULK = 5_000
ADDED = 2_000
ROUNDS = 100
COUNTED = 5_000
"""How far is counted: there are as many from the first."""

MINUTES = 5
"""How long 100,000 runs may take to be added."""

FAILED = RunsFilter(
    statuses=frozenset({RunStatus.FAILURE}),
    tags=(TagFilter("team", frozenset({"team 40"})),),
)
"""One run in two hundred, by two conditions that are each met by many more."""

LAST_CHANGED = RunOrder(RunOrderField.UPDATED_AT)

NEVER = replace(FAILED, tags=(TagFilter("team", frozenset({"team 41"})),))
"""No run, by two conditions that are each met by many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something that is asked of a storage.

    Attributes:
        name: what is asked.
        ask: asks it.
        at_most_ms: the milliseconds that are aimed at, if there is such an aim.
        at_most_times: how many times as long it may take as with few runs; None where it is only told.
    """

    name: str
    ask: Callable[[], object]
    at_most_ms: float | None = None
    at_most_times: float | None = 1.3


class Took(NamedTuple):
    """Milliseconds of processors: of this thread, and of the database's server."""

    own_ms: float
    server_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An empty storage.

    Attributes:
        storage: it.
        copy_logs: gives the runs of a span of storage ids, both inclusive, the log of another run.
        settle: does what the database does by itself some time after many rows were added.
        server_ms: the milliseconds of processors that the database's server has taken for it so far.
    """

    storage: InstanceStorage
    copy_logs: Callable[[RunRecord, int, int], None]
    settle: Callable[[], None] = lambda: None
    server_ms: Callable[[], float] = lambda: 0.0

    def took(self, ask: Callable[[], object]) -> Took:
        """What it takes to answer."""
        own_ms, server_ms = _own_ms(), self.server_ms()
        ask()
        return Took(_own_ms() - own_ms, self.server_ms() - server_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of storage: its name, how many runs it is measured with, and what makes one."""

    name: str
    sizes: tuple[int, ...]
    make: Callable[[], Place]


def run() -> list[Row]:
    """Measures each storage."""
    rows = []
    for kinds in (_sqlite("sharded", MANY_FILES), _sqlite("consolidated", MANY), _postgres()):
        with kinds as kind:
            rows += _measure(kind)
    return rows


# --------------------------------------------------------------------------------- the storages


@contextmanager
def _sqlite(layout: Layout, sizes: tuple[int, ...]) -> Iterator[Kind]:
    with ExitStack() as at_end:

        def make() -> Place:
            folder = at_end.enter_context(tempfile.TemporaryDirectory(prefix="runwire-bench-"))
            storage = SqliteStorage(folder, layout=layout)
            at_end.callback(storage.dispose)
            copy = _copy_rows if layout == "consolidated" else partial(_copy_files, Path(folder))
            return Place(storage=storage, copy_logs=partial(copy, storage.run_storage))

        yield Kind(name=f"SQLite, {layout}", sizes=sizes, make=make)


@contextmanager
def _postgres() -> Iterator[Kind]:
    server = PostgresServer()
    with ExitStack() as at_end:
        at_end.callback(server.close)
        server.start("fsync=on", "shared_buffers=1GB", "max_wal_size=8GB")

        def make() -> Place:
            database = server.make_database()
            storage = PostgresStorage(server.url(database), Limits(prepared_statements=True))
            at_end.callback(storage.dispose)
            with storage.run_storage.reading() as connection:
                # The pool gives the connection that was given back last.
                backend = connection.execute(select(func.pg_backend_pid())).scalar_one()
            return Place(
                storage=storage,
                copy_logs=partial(_copy_rows, storage.run_storage),
                # What autovacuum does a minute later.
                settle=partial(server.execute, "VACUUM ANALYZE", database),
                server_ms=partial(_ms_of, backend),
            )

        yield Kind(name="PostgreSQL", sizes=MANY, make=make)


def _own_ms() -> float:
    return time.thread_time_ns() / 1e6


def _ms_of(process: int) -> float:
    """The milliseconds of processors that another process has taken."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e6


# ------------------------------------------------------------------------------------ measuring


def _measure(kind: Kind) -> list[Row]:
    few, many = Seeded(kind.make()), Seeded(kind.make())
    one_by_one = Row(
        name=f"{kind.name}: runs added one by one", measured=many.add_one_by_one(), unit="runs/s"
    )
    few.grow(FEW)
    rows = []
    for size in kind.sizes:
        in_bulk = many.grow(size)
        print(f"  {kind.name}, {size:,} runs", flush=True)
        rows += _compare(f"{kind.name}, {size:,} runs", few, many)
        rows.append(
            Row(
                name=f"{kind.name}, {size:,} runs: runs and their logs added in bulk",
                measured=in_bulk,
                unit="runs/s",
                aim=f"100,000 in {MINUTES} minutes",
                met=in_bulk >= 100_000 / (60 * MINUTES),
            )
        )
    return [*rows, one_by_one]


def _compare(name: str, few: Seeded, many: Seeded) -> list[Row]:
    pairs = list(zip(many.questions(), few.questions(), strict=True))
    took: list[list[tuple[Took, Took]]] = [[] for _ in pairs]
    for turn in range(ROUNDS):
        for (question, floor), each in zip(pairs, took, strict=True):
            question.ask()
            floor.ask()
            # Whoever is second has it easier.
            if turn % 2:
                of_many, of_few = many.place.took(question.ask), few.place.took(floor.ask)
            else:
                of_few, of_many = few.place.took(floor.ask), many.place.took(question.ask)
            each.append((of_many, of_few))
    return [
        _row(f"{name}: {question.name}", question, each)
        for (question, _), each in zip(pairs, took, strict=True)
    ]


def _row(name: str, question: Question, took: list[tuple[Took, Took]]) -> Row:
    own_ms = _first_quartile(with_many.own_ms for with_many, _ in took)
    server_ms = _first_quartile(with_many.server_ms for with_many, _ in took)
    print(
        f"    {question.name}: {own_ms:.3f} ms here, {server_ms:.3f} ms in the server", flush=True
    )
    measured = _first_quartile(sum(with_many) for with_many, _ in took)
    ratio = statistics.median(sum(with_many) / sum(with_few) for with_many, with_few in took)
    aims = []
    if question.at_most_ms is not None:
        aims.append((f"{question.at_most_ms:g} ms", measured <= question.at_most_ms))
    if question.at_most_times is not None:
        aims.append((f"{question.at_most_times:g} times", ratio <= question.at_most_times))
    return Row(
        name=name,
        measured=measured,
        unit="ms",
        floor=_first_quartile(sum(with_few) for _, with_few in took),
        ratio=ratio,
        aim="at most " + " and ".join(aim for aim, _ in aims) if aims else "",
        met=all(met for _, met in aims) if aims else None,
    )


def _first_quartile(numbers: Iterable[float]) -> float:
    return statistics.quantiles(numbers, n=4)[0]


# -------------------------------------------------------------------------------------- seeding


class Seeded:
    """A storage with runs, each with a few events but one, which has many.

    Args:
        place: an empty storage.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        # Before rows with storage ids of their own are inserted, of which PostgreSQL's counter knows nothing.
        self._like = _add_with_log(place.storage, 1)
        self._watched = _add_with_log(place.storage, STEPS)
        self._size = 2

    def add_one_by_one(self) -> float:
        """Adds runs as the instance does, one durable commit each; returns runs a second."""
        began = time.perf_counter()
        for number in range(self._size + 1, self._size + ADDED + 1):
            self.place.storage.run_storage.add_run(_run(number), created_at=1000.0 + number)
        self._size += ADDED
        return ADDED / (time.perf_counter() - began)

    def grow(self, size: int) -> float:
        """Adds runs with their logs, until there are so many; returns runs a second."""
        kept = self.place.storage.run_storage
        assert isinstance(kept, SqlRunStorage)
        began = time.perf_counter()
        for low in range(self._size + 1, size + 1, BULK):
            high = min(size, low + BULK - 1)
            _seed_runs(kept, low, high)
            self.place.copy_logs(self._like, low, high)
        self.place.settle()
        added, self._size = size - self._size, size
        return added / (time.perf_counter() - began)

    def questions(self) -> list[Question]:
        """What is asked of it as it is now."""
        kept, logs = self.place.storage.run_storage, self.place.storage.event_log_storage
        run = self._watched
        span = TimeRange(after=1000.0 + 0.3 * self._size, before=1000.0 + 0.9 * self._size)
        wanted, never = replace(FAILED, created_at=span), replace(NEVER, created_at=span)
        assert len(kept.get_run_records(wanted, limit=25).records) == 25
        assert kept.get_run_records(never, limit=25).records == []
        assert len(logs.get_records(run, limit=1000).records) == EVENTS_PER_STEP * STEPS
        succeeded = RunsFilter(statuses=frozenset({RunStatus.SUCCESS}))
        some = kept.get_run_records(succeeded, limit=100).records
        named = replace(succeeded, run_ids=frozenset(each.run_id for each in some))
        return [
            Question(
                name="a page of 25", ask=lambda: kept.get_run_records(limit=25), at_most_ms=0.5
            ),
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
            Question(
                name="a page of 25 by status, last changed first",
                ask=lambda: kept.get_run_records(succeeded, order=LAST_CHANGED, limit=25),
            ),
            Question(
                name="25 of 100 runs by their ids and status",
                ask=lambda: kept.get_run_records(named, limit=25),
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
                name="the group of a run",
                ask=lambda: kept.get_run_group(run.run_id, limit=25),
            ),
            Question(
                name=f"step counts of a run of {EVENTS_PER_STEP * STEPS:,} events",
                ask=lambda: logs.get_run_stats(run),
            ),
            Question(
                name="1,000 events of a run",
                ask=lambda: logs.get_records(run, limit=1000),
                at_most_ms=2.5,
            ),
        ]


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
