"""A process that writes to runs until it has written its share or is killed, and notes what was acknowledged.

Arguments: the storage as JSON, the run ids, the writer's number, the first and the number of its batches, the
file for its notes, and whether it adds to the table `plain` too.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import psycopg

from runwire.config import ConfigurableClassData
from runwire.errors import StorageUnavailableError
from runwire.events.entry import EventLogEntry
from runwire.events.types import EventType
from runwire.storage import InstanceStorage
from runwire.testing.samples import event

T = TypeVar("T")

RETRY_SECONDS = 0.1
PATIENCE_SECONDS = 120.0
PAST_IT_SECONDS = 2.0

WAYS: tuple[tuple[EventType | None, ...], ...] = (
    (None,),
    (None, None, None, None, None),
    (EventType.STEP_START,),
    (EventType.STEP_FAILURE,),
    (None, EventType.ASSET_MATERIALIZATION, None),
)


class RolledBackError(Exception):
    """Ends a transaction that is to leave nothing."""


def entries(run_id: str, key: str, chance: random.Random) -> list[EventLogEntry]:
    """A batch whose messages are found nowhere else."""
    types = chance.choice(WAYS)
    return [
        event(run_id, each, message=f"{key}.{number}", step_key="step")
        for number, each in enumerate(types)
    ]


def roll_back(storage: InstanceStorage, run_id: str) -> None:
    """Stores something and takes it back."""
    run = storage.get_run_record(run_id)
    try:
        with storage.run_storage.hold_run(run_id) as held:
            held.add_tags({"rolled": "back"})
            raise RolledBackError
    except RolledBackError:
        assert storage.get_run_record(run_id).log_id == run.log_id


def add_plainly(url: str, key: str, *, slowly: bool) -> None:
    """Adds a row to a table that is read by its auto-increment id; slowly, commits when the reader is past it."""
    with psycopg.connect(url) as connection, psycopg.connect(url, autocommit=True) as look:
        row = connection.execute(
            "INSERT INTO plain (message) VALUES (%s) RETURNING id", (key,)
        ).fetchone()
        deadline = time.monotonic() + PAST_IT_SECONDS
        while slowly and row is not None and time.monotonic() < deadline:
            if look.execute("SELECT 1 FROM plain_cursor WHERE id > %s", row).fetchone():
                break
            time.sleep(0.01)


def insist(do: Callable[[], T]) -> T:
    """Does it again until the storage is there."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return do()
        except StorageUnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS)


def main() -> None:
    data, run_ids, writer, first, count, notes, with_control = map(json.loads, sys.argv[1:])
    chance = random.Random(os.getpid())
    storage = insist(partial(ConfigurableClassData.from_dict(data).rehydrate, InstanceStorage))
    with Path(notes).open("a", buffering=1, encoding="utf-8") as file:
        for number in range(first, count):
            # The choice is of the number, so that a batch that is sent again is the same.
            dice = random.Random(1000 * writer + number)
            run_id, key = dice.choice(run_ids), f"{writer}-{number}"
            batch = entries(run_id, key, dice)
            if with_control and chance.random() < 0.5:
                add_plainly(data["config"]["postgres_url"], key, slowly=chance.random() < 0.1)
            if chance.random() < 0.1:
                insist(partial(roll_back, storage, run_id))
            records = insist(partial(storage.store_events, run_id, batch, idempotency_key=key))
            told = [[record.position, record.message] for record in records]
            file.write(json.dumps([number, run_id, told]) + "\n")
            time.sleep(chance.uniform(0.0, 0.005))
    storage.dispose()


if __name__ == "__main__":
    main()
