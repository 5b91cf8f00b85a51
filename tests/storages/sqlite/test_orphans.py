"""What a crash leaves of logs is swept; what belongs to a run, or is fresh, or is none of ours, stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runwire import clock
from runwire.runs.run import RunRecord
from runwire.storages.sqlite import SqliteStorage, orphans
from runwire.testing.samples import add_run, positions, read_log, report
from tests.storages.sqlite.places import log_path

HOUR = 3600.0


def age(path: Path, seconds: float = 2 * HOUR) -> Path:
    """Makes a file look as if nobody had changed it for a while."""
    then = clock.timestamp() - seconds
    os.utime(path, (then, then))
    return path


def sweep(storage: SqliteStorage) -> int:
    return sum(storage.event_log_storage.sweep_orphans(clock.timestamp() - HOUR))


def logged_run(storage: SqliteStorage) -> RunRecord:
    record = add_run(storage)
    report(storage, record.run_id, None)
    return record


def lose_row(storage: SqliteStorage, record: RunRecord) -> None:
    """Deletes a run as if the process had died before it came to the log."""
    with storage.run_storage.hold_run(record.run_id) as held:
        held.delete()


def test_a_log_whose_run_is_gone_is_deleted_with_what_sqlite_keeps_beside_it(
    tmp_path: Path,
) -> None:
    storage = SqliteStorage(tmp_path)
    record, kept = logged_run(storage), logged_run(storage)
    lose_row(storage, record)
    path = log_path(tmp_path, record)
    beside = [path.with_name(path.name + suffix) for suffix in ("-wal", "-shm")]
    assert all(each.exists() for each in beside)
    assert sweep(storage) == 0
    for each in (path, *beside, log_path(tmp_path, kept)):
        age(each)
    assert sweep(storage) == 1
    assert [each.exists() for each in (path, *beside)] == [False] * 3
    assert positions(read_log(storage, kept)) == [1]
    storage.dispose()


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
def test_what_is_left_of_a_log_that_was_half_deleted_is_deleted(
    tmp_path: Path, suffix: str
) -> None:
    storage = SqliteStorage(tmp_path)
    record = logged_run(storage)
    storage.dispose()
    path = log_path(tmp_path, record)
    left = path.with_name(path.name + suffix)
    left.touch()
    path.unlink()
    lose_row(storage, record)
    age(left)
    assert (sweep(storage), left.exists()) == (1, False)
    storage.dispose()


def test_a_log_of_a_run_that_was_made_anew_under_its_id_is_deleted_and_the_new_one_stays(
    tmp_path: Path,
) -> None:
    storage = SqliteStorage(tmp_path)
    old = logged_run(storage)
    lose_row(storage, old)
    new = add_run(storage, run_id=old.run_id)
    report(storage, new.run_id, None)
    for record in (old, new):
        age(log_path(tmp_path, record))
    assert sweep(storage) == 1
    assert [log_path(tmp_path, record).exists() for record in (old, new)] == [False, True]
    storage.dispose()


def test_drafts_are_deleted_when_they_are_old(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path)
    folder = log_path(tmp_path, logged_run(storage)).parent
    draft = f".r1.{'0' * 32}.db.{'1' * 32}"
    old = [
        age(place)
        for place in (
            _touched(folder / draft),
            _touched(folder / f"{draft}-journal"),
            _touched(tmp_path / "history" / f".runs.db.{'2' * 32}"),
        )
    ]
    fresh = _touched(folder / f".r2.{'0' * 32}.db.{'1' * 32}")
    others = [age(_touched(folder / name)) for name in ("notes.txt", ".r1.db", ".hidden", "r1.db")]
    assert sweep(storage) == 3
    assert [each.exists() for each in old] == [False] * 3
    assert [each.exists() for each in (fresh, *others)] == [True] * 5
    assert (tmp_path / "history" / "runs.db").exists()
    storage.dispose()


def test_many_logs_are_compared_a_few_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "CHUNK", 2)
    storage = SqliteStorage(tmp_path)
    folder = log_path(tmp_path, logged_run(storage)).parent
    for number in range(5):
        age(_touched(folder / f"gone{number}.{'0' * 32}.db"))
    steps = storage.event_log_storage.sweep_orphans(clock.timestamp() - HOUR)
    assert [number for number in steps if number] == [2, 2, 1]
    storage.dispose()


def test_before_the_first_log_there_is_nothing_to_sweep(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path)
    assert sweep(storage) == 0
    storage.dispose()


def _touched(path: Path) -> Path:
    path.touch()
    return path
