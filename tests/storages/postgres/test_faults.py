"""What a storage in PostgreSQL does when transactions are in its way, fail, or lose their connection."""

from __future__ import annotations

import os
import random
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from runwire.errors import RunInterrupted, StorageUnavailableError
from runwire.events.types import EventType
from runwire.interrupts import Interrupts, using_interrupts
from runwire.runs.run import RunRecord
from runwire.storages.postgres import PostgresStorage
from runwire.storages.postgres.connections import Limits
from runwire.storages.sql.held_run import SqlHeldRun
from runwire.testing.samples import event, launch, lines, positions, read_log
from tests.postgres import PostgresServer

INTERRUPTS = 50

Use = Callable[[PostgresStorage, RunRecord], object]

USES: dict[str, Use] = {
    "a log line": lambda storage, run: storage.store_events(
        run.run_id, lines(run.run_id, 1), known=run
    ),
    "a mirrored event": lambda storage, run: storage.store_events(
        run.run_id, [event(run.run_id, EventType.RUN_START)]
    ),
    "a read": lambda storage, run: storage.get_run_record(run.run_id),
}


@pytest.fixture
def storage(postgres_url: str) -> Iterator[PostgresStorage]:
    storage = PostgresStorage(postgres_url, Limits(pool_size=1, max_overflow=0))
    yield storage
    storage.dispose()


def test_a_log_line_that_waits_too_long_for_another_writer_is_told(postgres_url: str) -> None:
    storage = PostgresStorage(postgres_url, Limits(lock_timeout_seconds=0.1))
    run = launch(storage)
    before = read_log(storage, run)
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT * FROM run_heads FOR UPDATE")
        with pytest.raises(StorageUnavailableError, match="another transaction holds a lock"):
            USES["a log line"](storage, run)
    assert read_log(storage, run) == before
    USES["a log line"](storage, run)
    assert positions(read_log(storage, run)) == [1, 2]
    storage.dispose()


def add_tags_and_swallow_a_failure(storage: PostgresStorage, run: RunRecord) -> None:
    with storage.run_storage.hold_run(run.run_id) as held:
        assert isinstance(held, SqlHeldRun)
        held.add_tags({"color": "red"})
        with suppress(DBAPIError):
            held.connection.execute(text("SELECT 1 / 0"))


def test_a_transaction_in_which_a_statement_failed_is_not_taken_for_committed(
    storage: PostgresStorage,
) -> None:
    run = launch(storage)
    with pytest.raises(StorageUnavailableError, match="nothing of it was stored"):
        add_tags_and_swallow_a_failure(storage, run)
    assert storage.get_run_record(run.run_id) == run


@pytest.mark.parametrize("name", USES)
def test_a_connection_that_was_just_used_and_is_lost_is_replaced(
    postgres_server: PostgresServer, postgres_url: str, storage: PostgresStorage, name: str
) -> None:
    run = launch(storage)
    storage.get_run_record(run.run_id)
    database = postgres_url.rpartition("/")[2]
    # Waits for its end, so that the storage's side of the connection has been told.
    postgres_server.execute(
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
        f" WHERE datname = '{database}' AND pid <> pg_backend_pid()"
    )
    USES[name](storage, run)
    stored = [] if name == "a read" else [2]
    assert positions(read_log(storage, run)) == [1, *stored]


def use_until_interrupted(storage: PostgresStorage, run: RunRecord) -> RunInterrupted:
    """Uses a storage as an op would, until a signal that comes at some moment stops it."""
    interrupts = Interrupts()
    kill = threading.Timer(random.random() * 0.01, os.kill, (os.getpid(), signal.SIGTERM))
    with interrupts.captured(), using_interrupts(interrupts):
        kill.start()
        try:
            with interrupts.user_code():
                while True:
                    for use in USES.values():
                        use(storage, run)
        except RunInterrupted as interrupt:
            return interrupt
        finally:
            kill.join()


def test_an_interrupt_is_raised_outside_of_the_storage_and_leaves_its_connection(
    storage: PostgresStorage,
) -> None:
    run = launch(storage)
    for _ in range(INTERRUPTS):
        interrupt = use_until_interrupted(storage, run)
        frames = traceback.extract_tb(interrupt.__traceback__)
        assert [f.filename for f in frames if "sqlalchemy" in f.filename] == []
        assert [f.filename for f in frames if "psycopg" in f.filename] == []
    # The pool has one connection: had an interrupt kept it, this would wait in vain.
    log = read_log(storage, run)
    assert positions(log) == list(range(1, len(log) + 1))
