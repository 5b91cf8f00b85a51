"""A PostgreSQL database whose disk is full says so, stores nothing by halves, and goes on when there is space."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from runwire.errors import StorageUnavailableError
from runwire.events.entry import EventLogEntry
from runwire.events.types import EventType
from runwire.runs.run import RunRecord
from runwire.storages.postgres import PostgresStorage
from runwire.testing.samples import add_run, event, launch, lines, positions, read_log
from tests.postgres import SYSTEM_USER, PostgresServer

SIZE = "24m"
MUCH = 200_000
"""Characters, at random, that no page which is there has room for."""


@pytest.fixture
def small_disk(postgres_server: PostgresServer) -> Iterator[Path]:
    """A file system of its own, of `SIZE`, that the server may write."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    path = postgres_server.folder / "small disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        path.rmdir()
        pytest.skip("a small disk cannot be mounted here")
    try:
        shutil.chown(path, SYSTEM_USER)
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)
        path.rmdir()


@pytest.fixture
def full_url(postgres_server: PostgresServer, small_disk: Path) -> Iterator[str]:
    """The URL of an empty database on the small disk."""
    postgres_server.execute(f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    postgres_server.execute(
        "CREATE DATABASE on_small_disk TEMPLATE template0 STRATEGY file_copy TABLESPACE small"
    )
    yield postgres_server.url("on_small_disk")
    postgres_server.drop_database("on_small_disk")
    postgres_server.execute("DROP TABLESPACE small")


def fill(url: str) -> None:
    """Fills the disk."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE ballast AS SELECT 'a'::text AS stone LIMIT 0")
        connection.execute("ALTER TABLE ballast ALTER stone SET STORAGE EXTERNAL")
        for size in (1_000_000, 100_000, 8_000, 8_000, 8_000):
            while True:
                try:
                    connection.execute(f"INSERT INTO ballast SELECT repeat('x', {size})".encode())
                except psycopg.errors.DiskFull:
                    break


def much(run: RunRecord, event_type: EventType | None) -> list[EventLogEntry]:
    message = os.urandom(MUCH // 2).hex()
    return [event(run.run_id, event_type, message=message)]


def write_line(storage: PostgresStorage, run: RunRecord) -> object:
    return storage.store_events(run.run_id, much(run, None), epoch=1, known=run)


def write_mirrored(storage: PostgresStorage, run: RunRecord) -> object:
    return storage.store_events(run.run_id, much(run, EventType.RUN_START), epoch=1)


def write_run(storage: PostgresStorage, _run: RunRecord) -> object:
    return add_run(storage, run_id="big", run_config={"much": os.urandom(MUCH // 2).hex()})


@pytest.mark.parametrize("write", [write_line, write_mirrored, write_run])
def test_a_full_disk_is_told_and_leaves_nothing(
    full_url: str, write: Callable[[PostgresStorage, RunRecord], object]
) -> None:
    storage = PostgresStorage(full_url)
    run = launch(storage)
    before = storage.event_log_storage.get_instance_log_span()
    fill(full_url)
    with pytest.raises(StorageUnavailableError, match="its disk is full; free some space"):
        write(storage, run)
    # What is there can be read, and nothing was added to it.
    assert positions(read_log(storage, run)) == [1]
    assert storage.get_run_record(run.run_id) == run
    assert storage.run_storage.find_run_record("big") is None
    assert storage.event_log_storage.get_instance_log_span() == before
    with psycopg.connect(full_url, autocommit=True) as connection:
        connection.execute("DROP TABLE ballast")
    write(storage, run)
    storage.store_events(run.run_id, lines(run.run_id, 1), epoch=1, known=run)
    log = positions(read_log(storage, run))
    assert log == list(range(1, len(log) + 1))
    assert storage.repair() == 0
    storage.dispose()
