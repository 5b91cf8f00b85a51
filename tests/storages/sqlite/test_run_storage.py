"""The file of the runs: what is damaged, of another version, or in the way."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from runwire.errors import SchemaRevisionError, StorageDamagedError, StorageUnavailableError
from runwire.events.payloads import RunFailureReason
from runwire.events.types import EventType
from runwire.runs.run import RunFailure
from runwire.storages.migrations import HEAD_REVISION
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.samples import add_run, event, in_threads, launch
from tests.storages.sqlite.places import change, files_below, opened, runs_path


@pytest.mark.parametrize(
    ("revision", "mend"), [("9999", "newer"), ("0000", "runwire instance migrate")]
)
def test_runs_of_another_version_are_refused_and_stay_as_they_are(
    tmp_path: Path, revision: str, mend: str
) -> None:
    SqliteStorage(tmp_path).dispose()
    path = runs_path(tmp_path)
    change(path, "UPDATE alembic_version SET version_num = ?", revision)
    before = path.read_bytes()
    with pytest.raises(SchemaRevisionError, match=mend) as refused:
        SqliteStorage(tmp_path)
    assert (refused.value.database, refused.value.found) == (str(path), revision)
    assert refused.value.head == HEAD_REVISION
    assert path.read_bytes() == before


def test_a_database_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = runs_path(tmp_path)
    path.parent.mkdir()
    sqlite3.connect(path).close()
    path.touch()
    with pytest.raises(SchemaRevisionError, match="no database of runwire"):
        SqliteStorage(tmp_path)
    assert path.read_bytes() == b""


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = runs_path(tmp_path)
    path.parent.mkdir()
    path.write_text("not a database, though long enough to look like one" * 100)
    with pytest.raises(StorageDamagedError) as refused:
        SqliteStorage(tmp_path)
    assert str(path) in str(refused.value)


def test_a_file_where_the_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "history").touch()
    with pytest.raises(StorageUnavailableError, match="history"):
        SqliteStorage(tmp_path)
    assert files_below(tmp_path) == ["history"]


def test_many_may_make_the_file_at_once(tmp_path: Path) -> None:
    storages: list[SqliteStorage] = []
    in_threads(8, lambda _: storages.append(SqliteStorage(tmp_path)))
    assert len({s.event_log_storage.get_instance_log_id() for s in storages}) == 1
    run = add_run(storages[0])
    assert [s.get_run_record(run.run_id) for s in storages] == [run] * 8
    for storage in storages:
        storage.dispose()
    assert files_below(tmp_path) == ["history/runs.db"]


def test_what_holds_a_run_does_not_keep_readers_waiting(sqlite_storage: SqliteStorage) -> None:
    run = launch(sqlite_storage)
    with sqlite_storage.run_storage.hold_run(run.run_id) as held:
        held.add_tags({"a": "b"})
        assert sqlite_storage.get_run_record(run.run_id) == run
        assert sqlite_storage.run_storage.get_run_tag_keys() == []


def test_a_reason_of_another_version_is_read_as_an_exception(
    tmp_path: Path, sqlite_storage: SqliteStorage
) -> None:
    run = launch(sqlite_storage)
    failed = event(run.run_id, EventType.RUN_FAILURE, message="out of luck")
    sqlite_storage.store_events(run.run_id, [failed])
    path = runs_path(tmp_path)
    change(path, "UPDATE runs SET failure = replace(failure, 'RUN_EXCEPTION', 'BAD_LUCK')")
    assert sqlite_storage.get_run_record(run.run_id).failure == RunFailure(
        reason=RunFailureReason.RUN_EXCEPTION, message="out of luck"
    )


def test_listing_runs_walks_along_an_index(tmp_path: Path, sqlite_storage: SqliteStorage) -> None:
    """The plans of the statements that a page of runs is made of neither scan nor sort."""
    with opened(runs_path(tmp_path)) as connection:
        for column in ("updated_at", "started_at", "ended_at"):
            plan = connection.execute(
                f"EXPLAIN QUERY PLAN SELECT * FROM runs WHERE {column} IS NOT NULL"
                f" AND ({column}, storage_id) < (5.0, 3) ORDER BY {column} DESC, storage_id DESC"
            ).fetchall()
            assert [f"runs_{column}" in row[3] and "SEARCH" in row[3] for row in plan] == [True]


def test_the_asset_index_points_at_the_latest_events_that_apply(
    tmp_path: Path, sqlite_storage: SqliteStorage
) -> None:
    run = launch(sqlite_storage)  # entries 1 and 2 of the instance-wide log
    for event_type in (
        EventType.ASSET_MATERIALIZATION_PLANNED,
        EventType.ASSET_MATERIALIZATION,
        EventType.ASSET_OBSERVATION,
        EventType.ASSET_MATERIALIZATION,
    ):
        sqlite_storage.store_events(run.run_id, [event(run.run_id, event_type)])
    with opened(runs_path(tmp_path)) as connection:
        rows = connection.execute(
            "SELECT asset_key, last_materialization, last_observation, last_planned FROM assets"
        ).fetchall()
    assert rows == [('["sales","daily"]', 6, 5, 3)]
