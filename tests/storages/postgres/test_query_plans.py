"""The hot statements go along indexes on PostgreSQL, with fresh statistics of the tables and without any."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from runwire.events.filters import EventFilter, EventRecordsFilter
from runwire.events.types import EventType
from runwire.runs.run import RunRecord
from runwire.storages.postgres import PostgresStorage
from runwire.storages.postgres.connections import _Cursor
from runwire.testing.samples import event, lines
from tests.postgres import PostgresServer

RUNS = 4000
LONG_LOG = 20_000

SEED = (
    f"""INSERT INTO runs (
        run_id, log_id, status, job_name, managed, created_at, updated_at, started_at, ended_at, worker_epoch,
        resume_attempts, applied_position, tags, run_config, steps_planned, counts
    ) SELECT 'run ' || n, 'log ' || n, (ARRAY['SUCCESS', 'FAILURE', 'STARTED', 'STARTING'])[1 + n % 4],
        (ARRAY['daily', 'weekly', 'monthly'])[1 + n % 3], false, n / 4.0, n / 4.0, n / 4.0, n / 4.0, 1,
        0, 0, '{{}}', '{{}}', 0, '{{}}' FROM generate_series(1, {RUNS}) AS n""",
    """INSERT INTO run_tags SELECT storage_id, 'team', (ARRAY['sales', 'ops', 'it'])[1 + storage_id % 3],
        created_at FROM runs""",
    "INSERT INTO run_tags SELECT storage_id, 'tier', (storage_id % 7)::text, created_at FROM runs",
    "INSERT INTO run_heads SELECT storage_id, 5, 1, NULL, 0 FROM runs WHERE storage_id > 1",
    f"INSERT INTO run_heads VALUES (1, {LONG_LOG}, 1, NULL, 1)",
    """INSERT INTO run_events SELECT storage_id, n, n, 20, CASE WHEN n % 2 = 0 THEN 'STEP_START' END, 'a',
        'message', true, 1, NULL FROM run_heads, generate_series(1, head) AS n""",
    f"""INSERT INTO instance_log (
        position, kind, run_id, job_name, timestamp, run_position, level, event_type, message, applied
    ) SELECT n, 'EVENT', 'run ' || n, 'daily', n, 1, 20, (ARRAY['RUN_START', 'RUN_SUCCESS'])[1 + n % 2], '', true
        FROM generate_series(1, {RUNS}) AS n""",
    f"UPDATE instance_head SET head = {RUNS}",
)

BIG_TABLES = frozenset({"runs", "run_tags", "run_heads", "run_events", "instance_log"})


class Plans:
    """What PostgreSQL plans to do for each statement, under the settings that are sent along with it."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.steps: list[tuple[str, str | None, str]] = []
        """The type of a step, the table it is about, and the statement."""

    def note(self, statement: str, plan: dict[str, Any]) -> None:
        self.steps.append((plan["Node Type"], plan.get("Relation Name"), statement))
        for part in plan.get("Plans", ()):
            self.note(statement, part)

    def check(self, *, sorts: bool = False) -> None:
        """No step reads a whole table; unless one `sorts`, all find their rows in order."""
        assert self.steps
        for step, table, statement in self.steps:
            assert step != "Seq Scan" or table not in BIG_TABLES, (table, statement)
            assert sorts or step not in {"Sort", "Incremental Sort"}, statement


@pytest.fixture(scope="module", params=["analyzed", "never analyzed"])
def storage(
    request: pytest.FixtureRequest, postgres_server: PostgresServer
) -> Iterator[PostgresStorage]:
    name = postgres_server.make_database()
    made = PostgresStorage(postgres_server.url(name))
    for statement in SEED:
        postgres_server.execute(statement, name)
    if request.param == "analyzed":
        postgres_server.execute("ANALYZE", name)
    yield made
    made.dispose()
    postgres_server.drop_database(name)


@pytest.fixture
def plans(storage: PostgresStorage, monkeypatch: pytest.MonkeyPatch) -> Plans:
    made = Plans()
    execute = _Cursor.execute

    def planned(cursor: _Cursor, query: str, *arguments: Any, **how: Any) -> _Cursor:
        if query.startswith(("SELECT", "WITH", "\nWITH", "INSERT", "UPDATE", "DELETE")):
            connection: psycopg.Connection[Any] = cursor.connection
            explaining = execute(
                _Cursor(connection), f"EXPLAIN (FORMAT JSON) {query}", *arguments, **how
            )
            row: Any = explaining.fetchone()
            found = row[0] if isinstance(row[0], list) else json.loads(row[0])
            made.statements.append(query)
            made.note(query, found[0]["Plan"])
        return execute(cursor, query, *arguments, **how)

    monkeypatch.setattr(_Cursor, "execute", planned)
    return made


@pytest.fixture
def long_run(storage: PostgresStorage) -> RunRecord:
    """A run with a long log."""
    return storage.get_run_record("run 1")


def test_one_run(storage: PostgresStorage, plans: Plans) -> None:
    storage.run_storage.find_run_record("run 7")
    with storage.run_storage.hold_run("run 7"):
        pass
    plans.check()


@pytest.mark.parametrize(
    "wanted",
    [
        None,
        EventFilter(event_types=frozenset({EventType.STEP_START})),
        EventFilter(typed=False),
        EventFilter(step_keys=frozenset({"a"})),
        EventFilter(text="message"),
    ],
)
def test_pages_of_events(
    storage: PostgresStorage, long_run: RunRecord, plans: Plans, wanted: EventFilter | None
) -> None:
    logs = storage.event_log_storage
    for after, descending in product((0, LONG_LOG // 2), (True, False)):
        page = logs.get_records(
            long_run, after=after, limit=1000, descending=descending, filter=wanted
        )
        assert len(page.records) == 1000
    logs.get_records_count(long_run, wanted, limit=1000)
    plans.check()


def test_step_statistics(storage: PostgresStorage, long_run: RunRecord, plans: Plans) -> None:
    assert storage.event_log_storage.get_run_stats(long_run).in_progress == 1
    storage.event_log_storage.get_mirrored_records(long_run, 0)
    plans.check(sorts=True)


def test_polls_of_heads(storage: PostgresStorage, plans: Plans) -> None:
    heads = storage.event_log_storage.open_heads()
    for n in range(1, 1001):
        heads.watch(f"run {n}")
    assert len(heads.poll()) == 1000
    storage.store_events("run 7", lines("run 7", 1))
    assert set(heads.poll()) == {"run 7"}
    heads.poll_instance_log()
    heads.close()
    plans.check()


def test_the_instance_wide_log(storage: PostgresStorage, plans: Plans) -> None:
    with (
        storage.run_storage.writing() as connection
    ):  # by types or by position is the planner's choice
        connection.execute(text("ANALYZE instance_log"))
    types = frozenset({EventType.RUN_START})
    for wanted, after, descending in product(
        (None, EventRecordsFilter(event_types=types)), (0, RUNS // 2), (True, False)
    ):
        storage.event_log_storage.get_event_records(
            wanted, after=after, limit=25, descending=descending
        )
    plans.check(sorts=True)


def test_writing(storage: PostgresStorage, plans: Plans) -> None:
    for entries in (
        lines("run 9", 1),
        lines("run 9", 100),
        [event("run 9", EventType.STEP_FAILURE, step_key="a")],
    ):
        storage.store_events("run 9", entries)
    assert any("run_heads SET" in statement for statement in plans.statements)
    plans.check()


def test_the_check_finds_a_statement_that_reads_everything(
    storage: PostgresStorage, plans: Plans
) -> None:
    """The control."""
    with storage.run_storage.reading() as connection:
        connection.execute(text("SELECT run_id FROM runs WHERE run_config = 'x'"))
    with pytest.raises(AssertionError, match="run_config"):
        plans.check()
    plans.steps.clear()
    with storage.run_storage.reading() as connection:
        connection.execute(text("SELECT run_id FROM runs WHERE storage_id < 9 ORDER BY run_config"))
    with pytest.raises(AssertionError, match="run_config"):
        plans.check()
