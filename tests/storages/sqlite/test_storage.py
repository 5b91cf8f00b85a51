"""The SQLite storage as a whole: its configuration, its files, and other processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runwire.config import ConfigurableClassData
from runwire.errors import InvalidConfigurationError, StorageUnavailableError
from runwire.events.types import EventType
from runwire.runs.status import RunStatus
from runwire.storage import InstanceEventKind, InstanceStorage
from runwire.storages.migrations import HEAD_REVISION
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.samples import add_run, launch, lines, messages, positions, read_log, report
from tests.storages.sqlite.places import files_below, log_path, opened, runs_path

WRITER = Path(__file__).with_name("writer.py")
PROCESSES = 8
ROUNDS = 12


def test_it_is_built_from_configuration(tmp_path: Path) -> None:
    config = {"base_dir": str(tmp_path), "busy_timeout_seconds": 5, "max_open_logs": 7}
    data = ConfigurableClassData("runwire.storages.sqlite", "SqliteStorage", config)
    storage = data.rehydrate(InstanceStorage)
    assert isinstance(storage, SqliteStorage)
    assert storage.inst_data == data
    assert storage.schema_revision() == storage.head_revision() == HEAD_REVISION
    assert runs_path(tmp_path).exists()
    storage.dispose()


@pytest.mark.parametrize(
    "wrong",
    [{}, {"base_dir": "x", "max_open_logs": 0}, {"base_dir": "x", "busy_timeout_seconds": 0}],
)
def test_a_wrong_configuration_is_refused(wrong: dict[str, object]) -> None:
    data = ConfigurableClassData("runwire.storages.sqlite", "SqliteStorage", wrong)
    with pytest.raises(InvalidConfigurationError):
        data.rehydrate(InstanceStorage)


def test_a_run_has_a_file_of_its_own_from_its_first_event_on(
    tmp_path: Path, sqlite_storage: SqliteStorage
) -> None:
    run = add_run(sqlite_storage)
    assert files_below(tmp_path) == ["history/runs.db"]
    report(sqlite_storage, run.run_id, None)
    log = str(log_path(tmp_path, run).relative_to(tmp_path))
    assert files_below(tmp_path) == [log, "history/runs.db"]
    sqlite_storage.delete_run(run.run_id)
    assert files_below(tmp_path) == ["history/runs.db"]


def test_readers_create_no_file(tmp_path: Path, sqlite_storage: SqliteStorage) -> None:
    run, logs = add_run(sqlite_storage), sqlite_storage.event_log_storage
    logs.get_records(run)
    logs.get_records_count(run)
    logs.get_head(run)
    logs.get_run_stats(run)
    logs.get_mirrored_records(run, 0)
    logs.find_batch(run, "key")
    heads = logs.open_heads()
    heads.watch(run.run_id)
    assert heads.poll() == {}
    heads.close()
    assert sqlite_storage.repair() == 0
    assert files_below(tmp_path) == ["history/runs.db"]


def test_after_disposal_no_file_is_left_beside_the_databases(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path)
    run = launch(storage)
    read_log(storage, run)
    heads = storage.event_log_storage.open_heads()
    heads.watch(run.run_id)
    heads.poll()
    heads.close()
    storage.dispose()
    left = sorted(p.name for p in (tmp_path / "history").rglob("*") if p.is_file())
    assert left == sorted([log_path(tmp_path, run).name, "runs.db"])


def test_two_instances_on_one_folder_see_the_same(
    tmp_path: Path, sqlite_storage: SqliteStorage
) -> None:
    other = SqliteStorage(tmp_path)
    run = add_run(sqlite_storage)
    for n in range(1, 11):
        storage = (sqlite_storage, other)[n % 2]
        assert report(storage, run.run_id, None)[0].position == n
    report(other, run.run_id, EventType.RUN_STARTING)
    assert sqlite_storage.get_run_record(run.run_id).status is RunStatus.STARTING
    assert read_log(other, run) == read_log(sqlite_storage, run)
    other.delete_run(run.run_id)
    assert read_log(sqlite_storage, run) == []
    other.dispose()


def test_positions_are_dense_under_eight_processes(
    tmp_path: Path, sqlite_storage: SqliteStorage
) -> None:
    run = add_run(sqlite_storage, managed=True)
    command = [sys.executable, str(WRITER), str(tmp_path), run.run_id, str(ROUNDS)]
    writers = [
        subprocess.Popen([*command, str(n)], stdout=subprocess.PIPE, text=True)
        for n in range(PROCESSES)
    ]
    outputs = [writer.communicate(timeout=110)[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * PROCESSES

    log = read_log(sqlite_storage, run)
    told = [int(text) for output in outputs for text in output.split()]
    assert positions(log) == sorted(told) == list(range(1, 3 * ROUNDS * PROCESSES + 1))
    for number in range(PROCESSES):  # each one's events are in the order in which it wrote them
        mine = [m for m in messages(log) if m.startswith(f"{number}:")]
        assert mine == [f"{number}:{index}" for index in range(3 * ROUNDS)]

    page = sqlite_storage.event_log_storage.get_event_records(kinds=tuple(InstanceEventKind))
    mirrored = [record.event for record in page.records if record.event is not None]
    assert [e.position for e in page.records] == list(range(1, ROUNDS * PROCESSES + 2))
    assert mirrored == [r for r in log if r.event_type is EventType.ASSET_OBSERVATION]


def test_a_writer_that_is_kept_waiting_too_long_says_which_file_is_locked(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path, busy_timeout_seconds=0.05)
    run = launch(storage)
    before = read_log(storage, run)
    for path, event_type in (
        (log_path(tmp_path, run), None),
        (runs_path(tmp_path), EventType.RUN_START),
    ):
        with opened(path) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageUnavailableError, match="holds its lock") as refused:
                report(storage, run.run_id, event_type)
            assert str(path) in str(refused.value)
            assert read_log(storage, run) == before  # reading goes on
            other.execute("ROLLBACK")
    assert storage.get_run_record(run.run_id) == run
    assert storage.store_events(run.run_id, lines(run.run_id, 1))[0].position == 2
    storage.dispose()
