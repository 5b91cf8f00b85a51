"""A run that is asked to stop while its op uses a storage: no interrupt lands inside of the database's code."""

from __future__ import annotations

import os
import random
import signal
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.errors import RunInterrupted
from runwire.events.entry import EventLogEntry
from runwire.events.types import EventType
from runwire.interrupts import Interrupts, using_interrupts
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.samples import launch

ROUNDS = 200


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[SqliteStorage]:
    storage = SqliteStorage(tmp_path)
    yield storage
    storage.dispose()


def use_until_interrupted(storage: SqliteStorage, run_id: str) -> RunInterrupted:
    """Uses a storage as an op would, until a signal that comes at some moment stops it."""
    interrupts = Interrupts()
    kill = threading.Timer(random.random() * 0.01, os.kill, (os.getpid(), signal.SIGTERM))
    stored = EventLogEntry(run_id=run_id, event_type=EventType.ENGINE_EVENT, message="")
    mirrored = EventLogEntry(run_id=run_id, event_type=EventType.RUN_SUCCESS, message="late")
    with interrupts.captured(), using_interrupts(interrupts):
        kill.start()
        try:
            with interrupts.user_code():
                while True:
                    storage.store_events(run_id, [stored])
                    storage.store_events(run_id, [mirrored])
                    storage.get_run_record(run_id)
        except RunInterrupted as interrupt:
            return interrupt
        finally:
            kill.join()


def test_every_interrupt_is_raised_outside_of_the_storage_and_nothing_is_lost(
    storage: SqliteStorage,
) -> None:
    run = launch(storage)
    before = storage.event_log_storage.get_head(run).position
    for _ in range(ROUNDS):
        interrupt = use_until_interrupted(storage, run.run_id)
        frames = traceback.extract_tb(interrupt.__traceback__)
        assert [f.filename for f in frames if "sqlalchemy" in f.filename] == []
    after = storage.event_log_storage.get_head(run).position
    assert after >= before + ROUNDS
    assert storage.get_run_record(run.run_id).applied_position <= after
    records = storage.event_log_storage.get_records(run, after=after - 1).records
    assert [record.position for record in records] == [after]
