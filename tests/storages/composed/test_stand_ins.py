"""Stand-ins: one for each log, gone with it, and never mistaken for a run, nor a run for one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.errors import StorageDamagedError, StorageUnavailableError
from runwire.events.types import EventType
from runwire.runs.run import Run, RunRecord
from runwire.runs.status import RunStatus
from runwire.storage import Append, InstanceStorage
from runwire.storages.composed import ComposedStorage
from runwire.storages.composed.stand_ins import LOG_TAG
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.samples import (
    add_run,
    event,
    in_threads,
    launch,
    lines,
    positions,
    read_log,
    report,
)
from tests.storages.sqlite.places import log_path


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[SqliteStorage]:
    storage = SqliteStorage(tmp_path / "logs", layout="consolidated")
    yield storage
    storage.dispose()


@pytest.fixture
def storage(tmp_path: Path, logs: SqliteStorage) -> Iterator[ComposedStorage]:
    runs = SqliteStorage(tmp_path / "runs")
    storage = ComposedStorage(runs, logs, runs)
    yield storage
    storage.dispose()


def add_again(storage: InstanceStorage, record: RunRecord) -> RunRecord:
    made, _ = storage.run_storage.add_run(
        Run(run_id=record.run_id, job_name="other"), created_at=1.0
    )
    return made


def sweep(storage: InstanceStorage) -> int:
    return sum(storage.event_log_storage.sweep_orphans(0.0))


def test_a_run_has_a_stand_in_once_it_has_a_log(
    storage: ComposedStorage, logs: SqliteStorage
) -> None:
    run = add_run(storage)
    assert read_log(storage, run) == []
    assert logs.run_storage.find_run_record(run.run_id) is None
    report(storage, run.run_id, None)
    stand_in = logs.get_run_record(run.run_id)
    assert (stand_in.status, stand_in.run.tags) == (RunStatus.MANAGED, {LOG_TAG: run.log_id})
    storage.delete_run(run.run_id)
    assert logs.run_storage.find_run_record(run.run_id) is None


def test_many_that_write_first_make_one_stand_in(tmp_path: Path) -> None:
    opened = []
    for _ in range(4):
        runs = SqliteStorage(tmp_path / "runs")
        opened.append(ComposedStorage(runs, SqliteStorage(tmp_path / "logs"), runs))
    run = add_run(opened[0])

    def write(index: int) -> None:
        report(opened[index % 4], run.run_id, None)

    in_threads(8, write)
    assert positions(read_log(opened[0], run)) == list(range(1, 9))
    for storage in opened:
        storage.dispose()


def test_what_a_deleted_run_has_left_is_not_taken_for_the_log_of_the_next(
    storage: ComposedStorage, logs: SqliteStorage
) -> None:
    """As when a process dies between the two steps of a deletion."""
    old = launch(storage)
    with storage.run_storage.hold_run(old.run_id) as held:
        held.delete()
    new = add_again(storage, old)
    assert read_log(storage, new) == []
    report(storage, new.run_id, None)
    assert positions(read_log(storage, new)) == [1]
    assert logs.get_run_record(new.run_id).run.tags == {LOG_TAG: new.log_id}


def test_sweeping_deletes_the_logs_of_runs_that_are_gone_and_nothing_else(
    storage: ComposedStorage, logs: SqliteStorage
) -> None:
    kept, gone = launch(storage), launch(storage)
    of_its_own = launch(logs)
    with storage.run_storage.hold_run(gone.run_id) as held:
        held.delete()
    assert sweep(storage) == 1
    assert logs.run_storage.find_run_record(gone.run_id) is None
    assert positions(read_log(storage, kept)) == positions(read_log(logs, of_its_own))
    assert sweep(storage) == 0


def test_wiping_leaves_the_runs_of_the_other_storage(
    storage: ComposedStorage, logs: SqliteStorage
) -> None:
    run, of_its_own = launch(storage), launch(logs)
    storage.wipe()
    assert storage.run_storage.find_run_record(run.run_id) is None
    assert logs.run_storage.find_run_record(run.run_id) is None
    assert logs.run_storage.find_run_record(of_its_own.run_id) == of_its_own


def test_a_run_of_the_other_storage_is_no_stand_in(
    storage: ComposedStorage, logs: SqliteStorage
) -> None:
    run = launch(logs)
    same = add_again(storage, run)
    with pytest.raises(StorageUnavailableError, match=r"a run .* of its own"):
        report(storage, same.run_id, None)
    assert logs.run_storage.find_run_record(run.run_id) == run


def test_a_log_that_is_lost_is_told_and_not_begun_anew(
    storage: ComposedStorage, logs: SqliteStorage, tmp_path: Path
) -> None:
    run = launch(storage)
    with logs.run_storage.hold_run(run.run_id) as held:
        held.delete()
    runs = SqliteStorage(tmp_path / "runs")
    reopened = ComposedStorage(runs, logs, runs)
    run = storage.get_run_record(run.run_id)
    with pytest.raises(StorageDamagedError, match=f"run {run.run_id} is missing"):
        read_log(reopened, run)
    for event_type in (None, EventType.RUN_START):
        with pytest.raises(StorageDamagedError, match=f"run {run.run_id} is missing"):
            report(reopened, run.run_id, event_type)
    reopened.delete_run(run.run_id)
    runs.dispose()


def test_a_file_that_is_lost_is_told_and_not_begun_anew(tmp_path: Path) -> None:
    """The row of the stand-in is there, and knows nothing of what was applied to its run."""
    logs = SqliteStorage(tmp_path / "logs")
    runs = SqliteStorage(tmp_path / "runs")
    storage = ComposedStorage(runs, logs, runs)
    run = launch(storage)
    path = log_path(tmp_path / "logs", logs.get_run_record(run.run_id))
    logs.dispose()
    path.unlink()
    says = rf"{re.escape(str(path))} is missing.* position 1; restore it from a backup, or delete"
    for known in (None, run):
        with pytest.raises(StorageDamagedError, match=says):
            storage.store_events(run.run_id, lines(run.run_id, 1), known=known)
    with pytest.raises(StorageDamagedError, match=says):
        report(storage, run.run_id, EventType.RUN_START)
    with pytest.raises(StorageDamagedError, match=says):
        read_log(storage, run)
    assert not path.exists()
    assert storage.get_run_record(run.run_id) == run
    storage.delete_run(run.run_id)
    assert logs.run_storage.find_run_record(run.run_id) is None
    storage.dispose()


def test_an_event_that_only_the_log_has_is_repaired(storage: ComposedStorage) -> None:
    run = launch(storage)
    before = storage.get_run_record(run.run_id)
    started = event(run.run_id, EventType.RUN_START)
    storage.event_log_storage.append(before, Append([started], [True]))
    assert storage.get_run_record(run.run_id) == before
    assert storage.repair() == 1
    assert storage.get_run_record(run.run_id).status is RunStatus.STARTED
    assert storage.repair() == 0
