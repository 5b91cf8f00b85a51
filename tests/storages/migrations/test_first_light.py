"""A home that the first version made, with real runs in it, is migrated losing nothing, and works."""

from __future__ import annotations

import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runwire.errors import SchemaRevisionError
from runwire.events.types import EventType
from runwire.instance import Instance
from runwire.instance.home import migrate_home
from runwire.runs.filters import RunsFilter, TagFilter
from runwire.runs.status import RunStatus
from runwire.snapshots import PlanSnapshot
from runwire.storage import InstanceStorage
from runwire.storages.migrations import HEAD_REVISION, LOG_REVISION, MIGRATE_COMMAND
from runwire.storages.migrations.upgrading import upgrade
from runwire.storages.sqlite import migrate as sqlite_migrate
from runwire.testing.samples import add_run, positions, read_log, report
from tests.storages.sqlite.places import change, runs_path

ARCHIVE = Path(__file__).with_name("first_light.tar.xz")
"""`history` of that home: one run that succeeded, one that failed, one of an external system in progress."""

GOOD = "a44413a9-7cee-47c7-b5ea-ccd9d63789f2"
BAD = "042ed9bd-e2c2-4fa3-b9b6-1416dbbfb355"
EXTERNAL = "f5d0ac7f-cf39-457e-9a42-414265ac3b8d"

ADDED_COLUMNS = {"run_tags": 1, "assets": 1}
"""How many columns tables got at their end since then."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def rows_of(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version'"
        ).fetchall()
        return {
            name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()
            for (name,) in tables
        }


def logs_of(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (home / "history" / "events").rglob("*.db")}


def migrate(home: Path) -> list[tuple[str, str | None, str]]:
    migration = migrate_home(home, lambda done, total: None)
    assert migration.problems == []
    return [(Path(each.place).name, each.found, each.head) for each in migration.migrated]


def test_it_is_not_opened_before_it_is_migrated(home: Path) -> None:
    before = runs_path(home).read_bytes()
    with pytest.raises(SchemaRevisionError, match=f"run `{MIGRATE_COMMAND}`") as refused:
        Instance.from_home(home)
    assert (refused.value.found, refused.value.head) == ("0001", HEAD_REVISION)
    assert runs_path(home).read_bytes() == before


def test_no_row_is_lost(home: Path) -> None:
    before, logs_before = rows_of(runs_path(home)), logs_of(home)
    assert len(logs_before) == 3

    migrated = migrate(home)

    assert migrated[-1] == ("runs.db", "0001", HEAD_REVISION)
    assert len(migrated) == (1 if LOG_REVISION == "0001" else 4)
    after = rows_of(runs_path(home))
    assert after["instance_head"] == [(1, len(before["instance_log"]), 0)]
    assert before.pop("daemon_heartbeats") == []
    for table, rows in before.items():
        end = -ADDED_COLUMNS[table] if table in ADDED_COLUMNS else None
        assert [row[:end] for row in after[table]] == rows
    if LOG_REVISION == "0001":
        assert logs_of(home) == logs_before
    assert migrate(home) == []


def test_its_runs_are_found_read_and_go_on(home: Path) -> None:
    migrate(home)
    with Instance.from_home(home) as instance:
        storage = instance.storage
        assert storage.repair() == 0
        good, bad = storage.get_run_record(GOOD), storage.get_run_record(BAD)
        assert (good.status, good.counts.succeeded) == (RunStatus.SUCCESS, 2)
        assert bad.failure is not None
        assert bad.failure.failed_step_keys == ("broken",)
        log = read_log(storage, good)
        assert positions(log) == list(range(1, 19))
        assert [record.message for record in log if record.event_type is None] == [
            "three rows, ä ü 日本語 ✓",
            "summing 3",
        ]
        failure = next(
            record
            for record in read_log(storage, bad)
            if record.event_type is EventType.STEP_FAILURE
        )
        assert failure.error is not None
        assert failure.error.message == "no such table"
        assert good.run.plan_snapshot_id is not None
        plan = storage.run_storage.get_snapshot(good.run.plan_snapshot_id)
        assert isinstance(plan, PlanSnapshot)
        assert [step.step_key for step in plan.steps] == ["extract", "total"]
        _check_lists(storage)
        _go_on(storage)


def _check_lists(storage: InstanceStorage) -> None:
    for wanted, ids in (
        (RunsFilter(), [EXTERNAL, BAD, GOOD]),
        (RunsFilter(statuses=frozenset({RunStatus.FAILURE})), [BAD]),
        (RunsFilter(job_names=frozenset({"good"})), [GOOD]),
        (RunsFilter(tags=(TagFilter("team", frozenset({"sales"})),)), [EXTERNAL, GOOD]),
    ):
        page = storage.run_storage.get_run_records(wanted, limit=10)
        assert [record.run_id for record in page.records] == ids
    assets = storage.event_log_storage.asset_index
    (asset,) = assets.get_asset_records().records
    assert asset.asset_key == ("sales", "daily")
    assert asset.last_materialization is not None
    assert asset.last_materialization.run_id == EXTERNAL
    assert assets.get_materialization_count_by_partition([("sales", "daily")]) == {
        ("sales", "daily"): {None: 1}
    }
    events = storage.event_log_storage.get_event_records().records
    assert {record.run_id for record in events} == {GOOD, BAD, EXTERNAL}


def _go_on(storage: InstanceStorage) -> None:
    external = storage.get_run_record(EXTERNAL)
    assert external.status is RunStatus.MANAGED
    assert positions(report(storage, EXTERNAL, None, EventType.RUN_SUCCESS)) == [4, 5]
    assert storage.get_run_record(EXTERNAL).status is RunStatus.SUCCESS
    assert add_run(storage).storage_id == external.storage_id + 1
    storage.delete_run(GOOD)
    assert storage.run_storage.find_run_record(GOOD) is None


def test_heartbeats_of_the_first_revision_are_kept(home: Path) -> None:
    beat = ("A", "1", "box", 2.5, 1.5, '[{"message":"late"}]')
    change(runs_path(home), "INSERT INTO daemon_heartbeats VALUES (?, ?, ?, ?, ?, ?)", *beat)
    migrate(home)
    with Instance.from_home(home) as instance:
        (kept,) = instance.storage.run_storage.list_daemon_heartbeats()
    assert (kept.daemon_type, kept.daemon_id, kept.timestamp, kept.stopped) == (
        "A",
        "1",
        2.5,
        False,
    )
    assert [error.message for error in kept.errors] == ["late"]


def test_a_migration_that_dies_leaves_the_database_as_it_was(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows_of(runs_path(home))
    whole = upgrade

    def die(*arguments: Any) -> None:
        whole(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(sqlite_migrate, "upgrade", die)
    with pytest.raises(KeyboardInterrupt):
        migrate(home)
    monkeypatch.undo()
    assert rows_of(runs_path(home)) == before
    assert migrate(home)[-1] == ("runs.db", "0001", HEAD_REVISION)
