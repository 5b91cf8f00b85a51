"""What stands in the way of both layouts: the sentence that is told, and that nothing is changed by it."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest

from runwire import clock
from runwire.errors import (
    RunNotFoundError,
    SchemaRevisionError,
    StorageDamagedError,
    StorageUnavailableError,
)
from runwire.events.types import EventType
from runwire.runs.run import RunRecord
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.samples import launch, positions, read_log, report
from tests.storages.sqlite.places import change, files_below, log_path, opened

Layout = Literal["sharded", "consolidated"]

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""

OPENER = """
import sys
from runwire.errors import StorageUnavailableError
from runwire.storages.sqlite import SqliteStorage
try:
    SqliteStorage(sys.argv[1], layout=sys.argv[2])
except StorageUnavailableError as error:
    print(error)
"""

OBEY_MODES = """
import ctypes, os, sys
PR_CAPBSET_DROP, OF_FILES = 24, (1, 2, 3)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
for capability in OF_FILES if sys.platform == "linux" else ():
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Has the program that this process becomes heed the modes of files, even as root."""


@pytest.fixture(params=["sharded", "consolidated"])
def layout(request: pytest.FixtureRequest) -> Layout:
    layout: Layout = request.param
    return layout


@pytest.fixture
def made(tmp_path: Path, layout: Layout) -> RunRecord:
    """A run with one event, and nobody who has the files open."""
    storage = SqliteStorage(tmp_path, layout=layout)
    run = launch(storage)
    storage.dispose()
    return run


def database(base_dir: Path, layout: Layout) -> Path:
    name = "runs.db" if layout == "sharded" else "runwire.db"
    return base_dir / "history" / name


def of_log(base_dir: Path, layout: Layout, run: RunRecord) -> Path:
    """The file that has the log of a run."""
    if layout == "sharded":
        return log_path(base_dir, run)
    return database(base_dir, layout)


def work_on_log(base_dir: Path, layout: Layout, run: RunRecord) -> None:
    """Opens the storage, and reads and writes the log, so that whatever stands in the way is met."""
    storage = SqliteStorage(base_dir, layout=layout)
    try:
        with pytest.raises(StorageUnavailableError):
            report(storage, run.run_id, None)
        with pytest.raises(StorageUnavailableError):
            report(storage, run.run_id, EventType.RUN_START)
        read_log(storage, run)
    finally:
        storage.dispose()


def test_a_truncated_file_is_damage_with_its_name_and_the_mend(
    tmp_path: Path, layout: Layout, made: RunRecord
) -> None:
    path = of_log(tmp_path, layout, made)
    os.truncate(path, 5000)
    says = rf"{re.escape(str(path))} is damaged .*restore it from a backup, or move it away"
    with pytest.raises(StorageDamagedError, match=says):
        work_on_log(tmp_path, layout, made)
    assert path.stat().st_size == 5000


def test_a_database_of_somebody_else_in_the_place_of_a_log_is_refused_and_stays(
    tmp_path: Path, layout: Layout, made: RunRecord
) -> None:
    path = of_log(tmp_path, layout, made)
    path.unlink()
    with closing(sqlite3.connect(path)) as foreign:
        foreign.execute("CREATE TABLE songs (name TEXT)")
    before = path.read_bytes()
    says = rf"{re.escape(str(path))}.*no database of runwire"
    with pytest.raises(SchemaRevisionError, match=says):
        work_on_log(tmp_path, layout, made)
    assert path.read_bytes() == before


def test_what_a_newer_version_wrote_is_refused_and_stays(
    tmp_path: Path, layout: Layout, made: RunRecord
) -> None:
    path = of_log(tmp_path, layout, made)
    if layout == "sharded":
        change(path, "UPDATE log SET revision = '9999'")
    else:
        change(path, "UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    says = rf"{re.escape(str(path))}.*9999.*newer"
    with pytest.raises(SchemaRevisionError, match=says):
        work_on_log(tmp_path, layout, made)
    assert path.read_bytes() == before


@pytest.fixture
def locked(tmp_path: Path, layout: Layout, made: RunRecord) -> Iterator[Path]:
    """The file of a log, whose lock another process holds."""
    path = of_log(tmp_path, layout, made)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    yield path
    holder.communicate(timeout=60)


def test_a_lock_of_another_process_is_waited_for_in_vain_for_so_long_and_told(
    tmp_path: Path, layout: Layout, made: RunRecord, locked: Path
) -> None:
    storage = SqliteStorage(tmp_path, layout=layout, busy_timeout_seconds=0.05)
    says = rf"{re.escape(str(locked))}: another process holds its lock for too long; find out which"
    for event_type in (None, EventType.RUN_START):
        with pytest.raises(StorageUnavailableError, match=says):
            report(storage, made.run_id, event_type)
    assert positions(read_log(storage, made)) == [1]  # reading goes on
    storage.dispose()


def test_a_log_whose_run_is_lost_is_told_so_and_swept(
    tmp_path: Path, layout: Layout, made: RunRecord
) -> None:
    change(database(tmp_path, layout), "DELETE FROM runs")
    storage = SqliteStorage(tmp_path, layout=layout)
    for work in (
        lambda: storage.get_run_record(made.run_id),
        lambda: report(storage, made.run_id, None),
        lambda: report(storage, made.run_id, EventType.RUN_START),
        lambda: storage.delete_run(made.run_id),
    ):
        with pytest.raises(RunNotFoundError, match=made.run_id):
            work()
    assert storage.repair() == 0
    assert sum(storage.event_log_storage.sweep_orphans(clock.timestamp() + 1000.0)) == 1
    assert read_log(storage, made) == []
    storage.dispose()
    assert files_below(tmp_path) == [str(database(tmp_path, layout).relative_to(tmp_path))]


def test_a_deleted_run_leaves_its_tombstone_only(
    tmp_path: Path, layout: Layout, made: RunRecord
) -> None:
    storage = SqliteStorage(tmp_path, layout=layout)
    with storage.run_storage.hold_run(made.run_id) as held:
        held.add_tags({"a": "b"})
    storage.delete_run(made.run_id)
    storage.dispose()
    assert files_below(tmp_path) == [str(database(tmp_path, layout).relative_to(tmp_path))]
    with opened(database(tmp_path, layout)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        kept = {
            name
            for (name,) in tables.fetchall()
            if made.run_id in repr(connection.execute(f"SELECT * FROM {name}").fetchall())
        }
    assert kept == {"instance_log"}


# ---------------------------------------------------------------- folders that cannot be written


@pytest.mark.parametrize("has_files", [True, False])
def test_a_folder_that_is_read_only_is_told_with_the_file_and_the_mend(
    tmp_path: Path, layout: Layout, has_files: bool
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    if has_files:
        SqliteStorage(home, layout=layout).dispose()
    before = files_below(home)
    set_modes(home, of_folders=0o500, of_files=0o400)
    told = subprocess.run(
        [sys.executable, "-c", OBEY_MODES, sys.executable, "-c", OPENER, str(home), layout],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    set_modes(home, of_folders=0o700, of_files=0o600)
    assert told.startswith(f"{database(home, layout)}: ")
    assert ("mend the permissions" if has_files else "check that its folder can be written") in told
    assert files_below(home) == before


def set_modes(folder: Path, *, of_folders: int, of_files: int) -> None:
    for path in [*folder.rglob("*"), folder]:
        path.chmod(of_folders if path.is_dir() else of_files)
