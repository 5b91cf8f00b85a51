"""Lists of runs, and the log of one, as the number of runs grows. RUNWIRE_SCALE_RUNS says up to how many.

The floor of each row is the same question to the same storage with a tenth, or ten thousand, of the runs.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sqlalchemy import insert

from benchmarks.table import Row
from runwire.runs.filters import RunsFilter, TagFilter, TimeRange
from runwire.runs.run import Run
from runwire.runs.status import RunStatus
from runwire.storage import InstanceStorage
from runwire.storages.postgres import PostgresStorage
from runwire.storages.postgres.connections import Limits
from runwire.storages.sql.rows import run_values
from runwire.storages.sql.run_storage import SqlRunStorage
from runwire.storages.sql.tables import run_tags, runs
from runwire.storages.sqlite import SqliteStorage
from runwire.storages.stored_form import new_record
from tests.postgres import PostgresServer

MANY = int(os.environ.get("RUNWIRE_SCALE_RUNS", "100000"))
FEW = min(10_000, MANY // 10)
BULK = 5_000
REPEATS = 60

FAILED = RunsFilter(
    statuses=frozenset({RunStatus.FAILURE}),
    tags=(TagFilter("team", frozenset({"team 40"})),),
)
"""One run in two hundred, by two conditions that are each met by many more."""


def run() -> list[Row]:
    """Measures each storage."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="runwire-bench-") as folder:
        for layout in ("sharded", "consolidated"):
            with _sqlite(Path(folder) / layout, layout) as storage:
                rows += _measure(f"SQLite, {layout}", storage)
    with _postgres() as (storage, analyze):
        rows += _measure("PostgreSQL", storage, analyze)
    return rows


@contextmanager
def _sqlite(base_dir: Path, layout: str) -> Iterator[InstanceStorage]:
    storage = SqliteStorage(
        base_dir, layout="consolidated" if layout == "consolidated" else "sharded"
    )
    yield storage
    storage.dispose()


@contextmanager
def _postgres() -> Iterator[tuple[InstanceStorage, Callable[[], None]]]:
    server = PostgresServer()
    try:
        server.start()
        database = server.make_database()
        storage = PostgresStorage(server.url(database), Limits(prepared_statements=True))
        # What autovacuum does a minute later.
        yield storage, lambda: server.execute("VACUUM ANALYZE", database)
        storage.dispose()
    finally:
        server.close()


def _measure(
    name: str, storage: InstanceStorage, settle: Callable[[], None] = lambda: None
) -> list[Row]:
    assert isinstance(storage.run_storage, SqlRunStorage)
    _seed(storage.run_storage, 0, FEW)
    settle()
    before = _ask(storage, FEW)
    began = time.perf_counter()
    _seed(storage.run_storage, FEW, MANY)
    seconds = time.perf_counter() - began
    settle()
    after = _ask(storage, MANY)
    grown = [
        Row(
            name=f"{name}: {what}, {MANY:,} runs against {FEW:,}",
            measured=after[what],
            unit="ms",
            floor=before[what],
            ratio=after[what] / before[what],
            aim=f"at most {aim:g} times",
            met=after[what] <= aim * before[what],
        )
        for what, aim in (
            ("a page of 25", 1.3),
            ("a filtered page of 25", 1.3),
            ("tag values", 1.3),
        )
    ]
    seeding = Row(
        name=f"{name}: runs added in bulk", measured=(MANY - FEW) / seconds, unit="runs/s"
    )
    return [*grown, seeding]


def _ask(storage: InstanceStorage, number: int) -> dict[str, float]:
    """Milliseconds by question."""
    kept = storage.run_storage
    span = TimeRange(after=1000.0 + 0.3 * number, before=1000.0 + 0.9 * number)
    wanted = replace(FAILED, created_at=span)
    assert len(kept.get_run_records(wanted, limit=25).records) == 25
    questions: dict[str, Callable[[], object]] = {
        "a page of 25": lambda: kept.get_run_records(limit=25),
        "a filtered page of 25": lambda: kept.get_run_records(wanted, limit=25),
        "tag values": lambda: kept.get_run_tag_values("user"),
    }
    return {what: _median(question) for what, question in questions.items()}


def _median(question: Callable[[], object]) -> float:
    took = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        question()
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took[REPEATS // 6 :])


def _seed(kept: SqlRunStorage, first: int, end: int) -> None:
    dice = random.Random(1)
    failures = (RunStatus.FAILURE, RunStatus.CANCELED)
    for low in range(first, end, BULK):
        run_rows, tag_rows = [], []
        for number in range(low, min(end, low + BULK)):
            tags = {"team": f"team {number % 50}", "user": f"user {number % 1000}"}
            made = new_record(
                number + 1, Run(job_name=f"job {number % 40}", tags=tags), 1000.0 + number
            )
            status = dice.choice(failures) if number % 20 == 0 else RunStatus.SUCCESS
            made = replace(
                made, status=status, started_at=made.created_at, ended_at=made.created_at + 1
            )
            run_rows.append(run_values(made, None) | {"storage_id": number + 1})
            tag_rows += [
                {
                    "storage_id": number + 1,
                    "key": key,
                    "value": value,
                    "created_at": made.created_at,
                }
                for key, value in tags.items()
            ]
        with kept.writing(durable=False) as connection:
            connection.execute(insert(runs), run_rows)
            connection.execute(insert(run_tags), tag_rows)
