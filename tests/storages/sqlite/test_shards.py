"""How many logs a process keeps open."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from runwire.runs.run import RunRecord
from runwire.storages.sqlite import SqliteStorage, shards
from runwire.storages.sqlite.shards import Shard
from runwire.testing.left_behind import eventually
from runwire.testing.samples import add_run, in_threads, positions, read_log, report
from tests.storages.sqlite.places import log_path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc/self/fd")


def open_logs(base_dir: Path) -> set[str]:
    """The names of the logs that this process has open."""
    names = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:
            continue
        if target.startswith(str(base_dir)) and target.endswith(".db") and "/events/" in target:
            names.add(Path(target).name)
    return names


def names_of(base_dir: Path, runs: list[RunRecord]) -> set[str]:
    return {log_path(base_dir, run).name for run in runs}


@pytest.mark.parametrize(
    "use",
    [
        lambda storage, run: report(storage, run.run_id, None),
        lambda storage, run: storage.event_log_storage.get_head(run),
    ],
    ids=["writing", "reading"],
)
def test_those_used_last_stay_open_up_to_a_number(
    tmp_path: Path, use: Callable[[SqliteStorage, RunRecord], object]
) -> None:
    storage = SqliteStorage(tmp_path, max_open_logs=3)
    runs = [add_run(storage) for _ in range(6)]
    for run in runs:
        report(storage, run.run_id, None)
    for run in [*runs, runs[3], runs[1]]:
        use(storage, run)
    left = names_of(tmp_path, [runs[5], runs[3], runs[1]])
    eventually(lambda: open_logs(tmp_path) == left, "the others are closed")
    storage.dispose()
    assert open_logs(tmp_path) == set()
    assert positions(read_log(storage, runs[0]))[:1] == [1]  # opens it again
    storage.dispose()
    assert open_logs(tmp_path) == set()


def test_a_deleted_log_does_not_stay_open(tmp_path: Path, sqlite_storage: SqliteStorage) -> None:
    run = add_run(sqlite_storage)
    report(sqlite_storage, run.run_id, None)
    other = SqliteStorage(tmp_path)
    assert len(read_log(other, run)) == 1
    sqlite_storage.delete_run(run.run_id)
    assert read_log(other, run) == []
    assert open_logs(tmp_path) == set()
    other.dispose()


def test_more_threads_than_open_logs_get_by(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path, max_open_logs=1)
    runs = [add_run(storage) for _ in range(6)]

    def work(index: int) -> None:
        for turn in range(10):
            run = runs[(index + turn) % 6]
            report(storage, run.run_id, None)
            read_log(storage, run)

    in_threads(6, work)
    assert [positions(read_log(storage, run)) for run in runs] == [list(range(1, 11))] * 6
    eventually(lambda: len(open_logs(tmp_path)) == 1, "the others are closed")
    storage.dispose()


def test_many_that_are_to_be_closed_do_not_pile_up_and_are_closed_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    most, slowly, close = [0], threading.Semaphore(0), Shard.close

    def close_slowly(shard: Shard) -> None:
        if threading.current_thread() is not threading.main_thread():
            slowly.acquire(timeout=60)
        close(shard)

    monkeypatch.setattr(Shard, "close", close_slowly)
    monkeypatch.setattr(shards, "MAX_CLOSING", 2)
    storage = SqliteStorage(tmp_path, max_open_logs=1)
    runs = [add_run(storage) for _ in range(12)]
    for run in runs:
        report(storage, run.run_id, None)
        most.append(len(open_logs(tmp_path)))
    assert max(most) <= 1 + 2 + 1
    slowly.release(len(runs))
    storage.dispose()
    assert open_logs(tmp_path) == set()
    assert [positions(read_log(storage, run)) for run in runs] == [[1]] * 12
    storage.dispose()
