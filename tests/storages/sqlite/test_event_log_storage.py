"""Event logs in files: what is damaged, missing, or of another version."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from runwire.errors import SchemaRevisionError, StorageDamagedError
from runwire.events.payloads import StepSuccessData, UnreadableEventData
from runwire.events.types import EventType, LogLevel
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.storage.event_log_storage import Append, LogHead
from runwire.storages.migrations import LOG_REVISION
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.samples import (
    add_run,
    event,
    launch,
    lines,
    positions,
    read_log,
    report,
)
from tests.storages.sqlite.places import change, files_below, log_path


def damage(base_dir: Path, run: RunRecord) -> Path:
    """Overwrites what a log's file holds, as a broken disk may."""
    path = log_path(base_dir, run)
    path.write_bytes(b"\xff" * path.stat().st_size)
    return path


# ---------------------------------------------------------------- rows of other versions


def test_an_event_of_an_unknown_type_is_read_as_it_is_stored(
    tmp_path: Path, sqlite_storage: SqliteStorage
) -> None:
    run = add_run(sqlite_storage)
    report(sqlite_storage, run.run_id, None, EventType.STEP_START)
    body = b'{"data":{"kind":"moon","phase":3}}'
    path = log_path(tmp_path, run)
    change(path, "UPDATE events SET event_type = 'MOON', body = ? WHERE position = 2", body)
    record = read_log(sqlite_storage, run)[1]
    assert (record.stored_type, record.event_type, record.body) == ("MOON", None, body)
    assert isinstance(record.data, UnreadableEventData)
    assert (record.data.stored_type, record.data.body) == ("MOON", body.decode())


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"data":{"kind":"step_success"}}', b""])
def test_a_damaged_body_is_told_in_the_data(
    tmp_path: Path, sqlite_storage: SqliteStorage, body: bytes
) -> None:
    run = add_run(sqlite_storage)
    entry = event(run.run_id, EventType.STEP_SUCCESS, data=StepSuccessData(1.0))
    sqlite_storage.store_events(run.run_id, [entry])
    change(log_path(tmp_path, run), "UPDATE events SET body = ?", body)
    (record,) = read_log(sqlite_storage, run)
    assert record.event_type is EventType.STEP_SUCCESS
    assert isinstance(record.data, UnreadableEventData)
    assert record.error is None


def test_an_unknown_level_is_read_as_the_one_below(
    tmp_path: Path, sqlite_storage: SqliteStorage
) -> None:
    run = add_run(sqlite_storage)
    report(sqlite_storage, run.run_id, None, None)
    change(log_path(tmp_path, run), "UPDATE events SET level = 35 WHERE position = 1")
    change(log_path(tmp_path, run), "UPDATE events SET level = 1 WHERE position = 2")
    levels = [record.level for record in read_log(sqlite_storage, run)]
    assert levels == [LogLevel.WARNING, LogLevel.DEBUG]


@pytest.mark.parametrize(("revision", "mend"), [("9999", "newer"), ("0000", "instance migrate")])
def test_a_log_of_another_version_is_refused_and_stays_as_it_is(
    tmp_path: Path, revision: str, mend: str
) -> None:
    storage = SqliteStorage(tmp_path)
    run, other = launch(storage), launch(storage)
    storage.dispose()
    path = log_path(tmp_path, run)
    change(path, "UPDATE log SET revision = ?", revision)
    before = path.read_bytes()

    with pytest.raises(SchemaRevisionError, match=mend) as refused:
        storage.event_log_storage.get_records(run)
    assert (refused.value.found, refused.value.head) == (revision, LOG_REVISION)
    with pytest.raises(SchemaRevisionError):
        report(storage, run.run_id, None)
    assert len(read_log(storage, other)) == 1
    storage.dispose()
    assert path.read_bytes() == before


def test_a_database_that_is_no_log_is_refused(
    tmp_path: Path, sqlite_storage: SqliteStorage
) -> None:
    run = add_run(sqlite_storage)
    path = log_path(tmp_path, run)
    path.parent.mkdir(parents=True)
    path.touch()
    with pytest.raises(SchemaRevisionError, match="no database of runwire"):
        read_log(sqlite_storage, run)


# ---------------------------------------------------------------- damage


def test_a_damaged_log_concerns_its_run_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = SqliteStorage(tmp_path)
    run, other = launch(storage), launch(storage)
    storage.dispose()
    path = damage(tmp_path, run)

    for work in (
        lambda: storage.event_log_storage.get_records(run),
        lambda: storage.event_log_storage.get_head(run),
        lambda: report(storage, run.run_id, None),
        lambda: report(storage, run.run_id, EventType.RUN_START),
    ):
        with pytest.raises(StorageDamagedError, match="damaged") as refused:
            work()
        assert str(path) in str(refused.value)

    assert storage.get_run_record(run.run_id) == run
    page = storage.run_storage.get_run_records(limit=10)
    assert page.records == [other, run]
    assert report(storage, other.run_id, EventType.RUN_START)[0].applied

    heads = storage.event_log_storage.open_heads()
    for each in (run, other):
        heads.watch(each.run_id)
    assert heads.poll() == {other.run_id: LogHead(2, None)}
    heads.close()

    with caplog.at_level(logging.WARNING):
        assert storage.repair() == 0
    assert [run.run_id in message and str(path) in message for message in caplog.messages] == [True]
    storage.dispose()


def test_a_run_whose_log_is_damaged_can_be_deleted(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path)
    run = launch(storage)
    storage.dispose()
    damage(tmp_path, run)
    storage.delete_run(run.run_id, require={RunStatus.STARTING})
    assert storage.run_storage.find_run_record(run.run_id) is None
    assert files_below(tmp_path) == ["history/runs.db"]
    storage.dispose()


def test_a_log_that_was_lost_is_not_begun_anew(tmp_path: Path) -> None:
    """Else positions that were given already would be given again."""
    storage = SqliteStorage(tmp_path)
    run = launch(storage)
    storage.dispose()
    log_path(tmp_path, run).unlink()
    for event_type in (None, EventType.RUN_START):
        with pytest.raises(StorageDamagedError, match="is missing"):
            report(storage, run.run_id, event_type)
    assert files_below(tmp_path) == ["history/runs.db"]
    storage.delete_run(run.run_id)
    storage.dispose()


def test_a_log_that_another_has_just_made_is_not_taken_for_lost(
    sqlite_storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between one writer's look for the file and its look at the run, another may make both move."""
    run = add_run(sqlite_storage)
    runs = sqlite_storage.run_storage
    find = runs.find_run_record

    def find_late(run_id: str) -> RunRecord | None:
        monkeypatch.undo()
        report(sqlite_storage, run_id, EventType.RUN_STARTING)
        return find(run_id)

    monkeypatch.setattr(runs, "find_run_record", find_late)
    sqlite_storage.event_log_storage.append(run, Append(lines(run.run_id, 1), [True]))
    assert positions(read_log(sqlite_storage, run)) == [1, 2]


# ---------------------------------------------------------------- two stores


def test_a_crash_between_the_two_leaves_the_log_ahead_of_the_row(
    sqlite_storage: SqliteStorage,
) -> None:
    run = launch(sqlite_storage)
    append = Append([event(run.run_id, EventType.RUN_START)], [True])

    def append_and_crash() -> None:
        with sqlite_storage.run_storage.hold_run(run.run_id) as held:
            sqlite_storage.event_log_storage.append(held.record, append, held)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        append_and_crash()
    assert sqlite_storage.get_run_record(run.run_id) == run
    assert positions(read_log(sqlite_storage, run)) == [1, 2]
    assert sqlite_storage.repair() == 1
    record = sqlite_storage.get_run_record(run.run_id)
    assert (record.status, record.applied_position) == (RunStatus.STARTED, 2)


def test_log_lines_do_not_wait_for_the_file_of_the_runs(
    sqlite_storage: SqliteStorage,
) -> None:
    run, other = launch(sqlite_storage), launch(sqlite_storage)
    with sqlite_storage.run_storage.hold_run(other.run_id):
        stored = sqlite_storage.store_events(run.run_id, lines(run.run_id, 2), epoch=1)
        step = [event(run.run_id, EventType.STEP_START, step_key="a")]
        stored += sqlite_storage.store_events(run.run_id, step, epoch=1)
    assert positions(stored) == [2, 3, 4]
