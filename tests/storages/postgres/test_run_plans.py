"""The hot statements read what they need and little more, whatever PostgreSQL has learned of the tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, text

from runwire.runs.filters import (
    RunOrder,
    RunOrderField,
    RunPlace,
    RunsFilter,
    TagFilter,
    TimeRange,
)
from runwire.runs.run import Run
from runwire.runs.status import RunStatus
from runwire.runs.tags import ROOT_RUN_TAG
from runwire.storages.postgres import PostgresStorage
from runwire.storages.sql.rows import run_values
from runwire.storages.sql.run_storage import SqlRunStorage
from runwire.storages.sql.tables import run_tags, runs
from runwire.storages.stored_form import new_record
from runwire.testing.samples import add_run
from tests.postgres import PostgresServer
from tests.storages.sql.test_query_plans import FILTERS, PLACES

MANY = 20_000
LITTLE = 5_001
"""As many rows as one statement may not touch: five walks are measured, as far as a thousand steps each."""

STATUSES = (RunStatus.FAILURE, RunStatus.STARTING, RunStatus.STARTED, RunStatus.SUCCESS)


class Plans:
    """How many rows of tables each statement touches that is executed."""

    def __init__(self) -> None:
        self.touched: list[tuple[float, str]] = []

    def watch(
        self, connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any
    ) -> None:
        if not statement.startswith(("SELECT", "WITH")):
            return
        driver: Any = connection.connection.driver_connection
        explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
        ((answer,),) = driver.execute(explain, parameters).fetchall()
        (told,) = answer if isinstance(answer, list) else json.loads(answer)
        self.touched.append((_rows_touched(told["Plan"]), statement))


def _rows_touched(node: dict[str, Any]) -> float:
    below: float = sum(map(_rows_touched, node.get("Plans", ())))
    if "Relation Name" not in node:
        return below
    removed = sum(number for key, number in node.items() if key.startswith("Rows Removed"))
    return below + float((node["Actual Rows"] + removed) * node["Actual Loops"])


@pytest.fixture(scope="module")
def storage(postgres_server: PostgresServer) -> Iterator[PostgresStorage]:
    database = postgres_server.make_database()
    made = PostgresStorage(postgres_server.url(database))
    add_run(made, run_id="some")
    seed(made.run_storage)
    postgres_server.execute("VACUUM ANALYZE", database)
    yield made
    made.dispose()
    postgres_server.drop_database(database)


def seed(kept: SqlRunStorage) -> None:
    """Adds runs over the span of the filters, of which each matches many; the newest are of the group of the first."""
    run_rows, tag_rows = [], []
    for number in range(2, MANY):
        tags = {"team": ("sales", "ops")[number // 4 % 2], "tier": str(number % 3)}
        tags["order"] = f"order {number}"
        if number > MANY - 10:
            tags[ROOT_RUN_TAG] = "some"
        run = Run(job_name=("daily", "weekly", "hourly")[number % 3], tags=tags)
        made = replace(new_record(number, run, number / MANY * 1000.0), status=STATUSES[number % 4])
        run_rows.append(run_values(made, None) | {"storage_id": number})
        row = {"storage_id": number, "created_at": made.created_at}
        tag_rows += [row | {"key": key, "value": value} for key, value in tags.items()]
    with kept.writing(durable=False) as connection:
        connection.execute(insert(runs), run_rows)
        connection.execute(insert(run_tags), tag_rows)


@pytest.fixture
def plans(storage: PostgresStorage) -> Iterator[Plans]:
    with storage.run_storage.reading() as connection:
        engine = connection.engine
    made = Plans()
    event.listen(engine, "before_cursor_execute", made.watch)
    yield made
    event.remove(engine, "before_cursor_execute", made.watch)


def check(plans: Plans) -> None:
    assert plans.touched
    for touched, statement in plans.touched:
        assert touched < LITTLE, (touched, statement)


def test_pages_of_runs_end_when_they_are_full(storage: PostgresStorage, plans: Plans) -> None:
    for wanted, place, descending, backward in product(
        FILTERS, PLACES, (True, False), (True, False)
    ):
        order = RunOrder(descending=descending)
        storage.run_storage.get_run_records(
            wanted, order=order, after=place, limit=25, backward=backward
        )
    for field, after in product(RunOrderField, (None, RunPlace(500.0, 5))):
        storage.run_storage.get_run_records(order=RunOrder(field), after=after, limit=25)
    check(plans)


def test_pages_in_other_orders_end_when_they_are_full(
    storage: PostgresStorage, plans: Plans
) -> None:
    some_tier = RunsFilter(tags=(TagFilter("tier"),))
    with_status = [wanted for wanted in FILTERS if wanted is not None and wanted.statuses]
    for wanted, field in product([some_tier, *with_status], RunOrderField):
        storage.run_storage.get_run_records(wanted, order=RunOrder(field), limit=25)
    check(plans)


def test_counts_end_at_their_limit(storage: PostgresStorage, plans: Plans) -> None:
    for wanted in FILTERS:
        storage.run_storage.get_runs_count(wanted, limit=100)
    check(plans)


def test_tags_are_hopped_along(storage: PostgresStorage, plans: Plans) -> None:
    kept = storage.run_storage
    assert kept.get_run_tag_keys() == ["order", ROOT_RUN_TAG, "team", "tier"]
    assert kept.get_run_tag_keys("te") == ["team"]
    assert kept.get_run_tag_values("team") == ["ops", "sales"]
    assert len(kept.get_run_tag_values("order", "order 12", 20)) == 20
    for touched, statement in plans.touched:
        assert touched < 100, (touched, statement)


def test_a_group_of_runs_is_found_by_its_root(storage: PostgresStorage, plans: Plans) -> None:
    kept = storage.run_storage
    assert kept.get_run_group("some", limit=25).count == 10
    assert kept.get_run_group_counts(["some", "other"]) == {"some": 10}
    for field in RunOrderField:
        wanted = RunsFilter(root_run_id="some")
        assert len(kept.get_run_records(wanted, order=RunOrder(field), limit=25).records) == 10
    for touched, statement in plans.touched:
        assert touched < 100, (touched, statement)


def test_runs_that_are_named_are_looked_up(storage: PostgresStorage, plans: Plans) -> None:
    kept = storage.run_storage
    some = kept.get_run_records(limit=101).records[1:]
    named = (
        RunsFilter(run_ids=frozenset(run.run_id for run in some)),
        RunsFilter(run_id_prefix=some[0].run_id[:8]),
    )
    others = RunsFilter(
        statuses=frozenset({some[0].status}),
        job_names=frozenset({some[0].run.job_name}),
        tags=(TagFilter("tier", frozenset({some[0].run.tags["tier"]})),),
        created_at=TimeRange(after=1.0),
        updated_at=TimeRange(after=1.0),
    )
    plans.touched.clear()
    for wanted, field in product(named, RunOrderField):
        kept.get_run_records(wanted, order=RunOrder(field), limit=25)
        both = replace(others, run_ids=wanted.run_ids, run_id_prefix=wanted.run_id_prefix)
        assert some[0] in kept.get_run_records(both, order=RunOrder(field), limit=100).records
        assert kept.get_runs_count(both) > 0
    for touched, statement in plans.touched:
        # The ways to the others are measured before few are found to have such an id.
        limit = LITTLE if "anon_" in statement else 500
        assert touched < limit, (touched, statement)


def test_the_check_finds_a_statement_that_reads_everything(
    storage: PostgresStorage, plans: Plans
) -> None:
    """The control."""
    with storage.run_storage.reading() as connection:
        connection.execute(text("SELECT run_id FROM runs WHERE run_config = 'x'"))
    with pytest.raises(AssertionError):
        check(plans)
