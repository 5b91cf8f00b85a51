"""The hot statements go along indexes: none reads a whole table, or sorts what it could find in order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from runwire.events.filters import EventRecordsFilter
from runwire.events.payloads import AssetEventData
from runwire.events.types import ASSET_EVENTS, EventType
from runwire.runs.filters import (
    RunOrder,
    RunOrderField,
    RunPlace,
    RunsFilter,
    TagFilter,
    TimeRange,
)
from runwire.runs.status import RunStatus
from runwire.storages.sql import run_storage
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.samples import add_run, report
from runwire.testing.samples import event as entry

TEAM = TagFilter("team", frozenset({"sales"}))
TEAMS = TagFilter("team", frozenset({"sales", "ops"}))
FAILED = frozenset({RunStatus.FAILURE})
OPEN = frozenset({RunStatus.STARTING, RunStatus.STARTED})
MAY = TimeRange(after=100.0, before=900.0)

FILTERS = [
    None,
    RunsFilter(created_at=MAY),
    RunsFilter(statuses=FAILED),
    RunsFilter(statuses=OPEN, created_at=MAY),
    RunsFilter(job_names=frozenset({"daily", "weekly"})),
    RunsFilter(tags=(TEAM,)),
    RunsFilter(tags=(TEAMS, TagFilter("tier"))),
    RunsFilter(statuses=FAILED, tags=(TEAM,), created_at=MAY),
    RunsFilter(statuses=OPEN, tags=(TEAMS,), job_names=frozenset({"daily"})),
    RunsFilter(root_run_id="some"),
    RunsFilter(root_run_id="some", statuses=FAILED, tags=(TEAM,), created_at=MAY),
]
LONG = [
    RunsFilter(tags=(TagFilter("team"),)),
    RunsFilter(run_id_prefix="a"),
    RunsFilter(statuses=OPEN, tags=(TEAM, TagFilter("tier")), created_at=MAY, updated_at=MAY),
    RunsFilter(job_names=frozenset({"daily"}), run_id_prefix="a"),
]
PLACES = [None, RunPlace(500.0, 5)]


class Plans:
    """What SQLite does for each statement that is executed."""

    def __init__(self, storage: SqliteStorage) -> None:
        self._storage = storage
        self.steps: list[tuple[str, str]] = []

    def watch(
        self, connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any
    ) -> None:
        driver: Any = connection.connection.driver_connection
        rows = driver.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        self.steps += [(row[3], statement) for row in rows]


@pytest.fixture(params=["sharded", "consolidated"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqliteStorage]:
    made = SqliteStorage(tmp_path, layout=request.param)
    add_run(made, tags={"team": "sales", "tier": "1"})
    yield made
    made.dispose()


@pytest.fixture
def plans(storage: SqliteStorage) -> Iterator[Plans]:
    made = Plans(storage)
    engine = storage.run_storage._readers
    event.listen(engine, "before_cursor_execute", made.watch)
    yield made
    event.remove(engine, "before_cursor_execute", made.watch)


TABLES = ("runs", "run_tags", "instance_log", "assets", "asset_partitions")


def check(plans: Plans) -> None:
    assert plans.steps
    for step, statement in plans.steps:
        assert not step.startswith("USE TEMP B-TREE"), (step, statement)
        reads_all = step.startswith("SCAN") and step.split()[1] in TABLES
        assert not reads_all or " USING " in step, (step, statement)


def test_pages_of_runs_are_found_in_their_order(storage: SqliteStorage, plans: Plans) -> None:
    for wanted, place, descending, backward in product(
        FILTERS, PLACES, (True, False), (True, False)
    ):
        order = RunOrder(descending=descending)
        storage.run_storage.get_run_records(
            wanted, order=order, after=place, limit=25, backward=backward
        )
    check(plans)


def test_other_orders_are_found_in_their_order(storage: SqliteStorage, plans: Plans) -> None:
    for field, place in product(RunOrderField, PLACES):
        storage.run_storage.get_run_records(order=RunOrder(field), after=place, limit=25)
    check(plans)


def test_long_lists_are_found_in_any_order(
    storage: SqliteStorage, plans: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_storage, "MAX_COUNTED", 0)
    for wanted, field, place in product(LONG, RunOrderField, PLACES):
        storage.run_storage.get_run_records(wanted, order=RunOrder(field), after=place, limit=25)
        storage.run_storage.get_runs_count(wanted, limit=1000)
    check(plans)


def test_counts_go_along_indexes(storage: SqliteStorage, plans: Plans) -> None:
    for wanted in FILTERS:
        storage.run_storage.get_runs_count(wanted, limit=1000)
    check(plans)


def test_a_group_of_runs_is_found_by_its_root(storage: SqliteStorage, plans: Plans) -> None:
    kept = storage.run_storage
    kept.get_run_group_counts(["some", "other"])
    wanted = RunsFilter(root_run_id="some")
    for field in RunOrderField:
        kept.get_run_records(wanted, order=RunOrder(field), limit=25)
    assert [step for step, _ in plans.steps if step.startswith("SCAN") and "runs" in step] == []


def test_runs_are_looked_up_by_their_ids(storage: SqliteStorage, plans: Plans) -> None:
    ids = frozenset(map(str, range(100)))
    wanted = RunsFilter(
        run_ids=ids,
        statuses=OPEN,
        tags=(TEAM,),
        job_names=frozenset({"daily"}),
        created_at=MAY,
        updated_at=MAY,
    )
    for field in (RunOrderField.CREATED_AT, RunOrderField.UPDATED_AT):
        storage.run_storage.get_run_records(wanted, order=RunOrder(field), limit=25)
    storage.run_storage.get_runs_count(wanted)
    for step, statement in plans.steps:
        is_look_up = step.startswith("SEARCH runs USING INDEX runs_run_id")
        assert is_look_up or " runs " not in step, (step, statement)


def test_one_run_is_looked_up(storage: SqliteStorage, plans: Plans) -> None:
    storage.run_storage.find_run_record("some")
    storage.run_storage.get_unfinished_run_ids()
    assert [step for step, _ in plans.steps if step.startswith("SCAN")] == []


def test_tags_are_hopped_along(storage: SqliteStorage, plans: Plans) -> None:
    storage.run_storage.get_run_tag_keys("te")
    storage.run_storage.get_run_tag_values("team", "s")
    for step, statement in plans.steps:
        assert not step.startswith("SCAN run_tags"), (step, statement)


def test_the_instance_wide_log_is_read_along_its_positions(
    storage: SqliteStorage, plans: Plans
) -> None:
    run = add_run(storage, managed=True)
    report(storage, run.run_id, EventType.RUN_START)
    logs = storage.event_log_storage
    types = frozenset({EventType.RUN_START})
    plans.steps.clear()
    for wanted, descending in product((None, EventRecordsFilter(event_types=types)), (True, False)):
        logs.get_event_records(wanted, after=0, limit=25, descending=descending)
    check(plans)


def test_assets_are_found_by_their_keys(storage: SqliteStorage, plans: Plans) -> None:
    run = add_run(storage, managed=True)
    data = AssetEventData(("sales", "daily"))
    made = entry(run.run_id, EventType.ASSET_MATERIALIZATION, data=data)
    storage.store_events(run.run_id, [made])
    assets, key = storage.event_log_storage.asset_index, ("sales",)
    plans.steps.clear()
    for keys, prefix, after in product((None, [key]), ((), key), (None, key)):
        assets.get_asset_records(keys, prefix=prefix, after=after, limit=25)
    assets.has_asset_key(key)
    assets.get_assets_count(key)
    assets.get_materialization_count_by_partition([key])
    check(plans)


def test_events_of_an_asset_are_found_by_its_key(storage: SqliteStorage, plans: Plans) -> None:
    wanted = EventRecordsFilter(event_types=ASSET_EVENTS, asset_keys=frozenset({("sales",)}))
    for descending in (True, False):
        storage.event_log_storage.get_event_records(
            wanted, after=0, limit=25, descending=descending
        )
    check(plans)
    assert any("instance_log_asset_key" in step for step, _ in plans.steps)


def test_the_check_finds_a_statement_that_reads_everything(
    storage: SqliteStorage, plans: Plans
) -> None:
    """The control."""
    with storage.run_storage.reading() as connection:
        connection.execute(text("SELECT run_id FROM runs ORDER BY run_config"))
    with pytest.raises(AssertionError):
        check(plans)
