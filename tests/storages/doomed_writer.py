"""Processes that write events until they are killed.

This one imports everything once. For each line on standard input, ``[SEED, POINT, STORAGE]``, it forks a
writer, which tells its process id, works, and tells each thing that was acknowledged, one JSON list a line;
when the writer is dead, the line ``["dead"]`` follows. POINT is ``none``, or a place in the code where the
writer kills itself when it comes by for the third time.
"""

from __future__ import annotations

import functools
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from typing import Any

from runwire.config import ConfigurableClassData
from runwire.events.payloads import AssetEventData
from runwire.events.types import EventType
from runwire.runs.run import Run
from runwire.storage import InstanceStorage
from runwire.storages.sql.held_run import SqlHeldRun
from runwire.storages.sqlite.connections import Writer
from runwire.storages.sqlite.shards import Shards
from runwire.testing.samples import event

POINTS: dict[str, tuple[Any, str, bool]] = {
    "before the link of a new log": (os, "link", True),
    "after the making of a log": (Shards, "create", False),
    "before the row is written": (SqlHeldRun, "apply", True),
    "after the row is written": (SqlHeldRun, "apply", False),
    "before a commit": (Writer, "commit", True),
    "after a commit": (Writer, "commit", False),
}
"""Where a writer may kill itself: before or after a call."""


def tell(*things: object) -> None:
    os.write(1, json.dumps(things).encode() + b"\n")


def arm(point: str, visits: int) -> None:
    """Makes this process kill itself at a point."""
    if point == "none":
        return
    owner, name, is_before = POINTS[point]
    original: Callable[..., Any] = getattr(owner, name)
    left = visits

    @functools.wraps(original)
    def deadly(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        left -= 1
        if is_before and not left:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, deadly)


def work(storage: InstanceStorage, chance: random.Random) -> None:
    while True:
        run, _ = storage.run_storage.add_run(Run(job_name="doomed"), created_at=1.0)
        tell("run", run.run_id)
        store = functools.partial(acknowledge, storage, run.run_id)
        store(EventType.RUN_STARTING, handover=True)
        store(EventType.RUN_START, EventType.ASSET_MATERIALIZATION_PLANNED, epoch=1)
        for _ in range(chance.randrange(6)):
            ways: list[tuple[EventType | None, ...]] = [
                (None,) * chance.randrange(1, 30),
                (EventType.STEP_START,),
                (None, EventType.STEP_SUCCESS, None),
                (EventType.STEP_FAILURE,),
                (EventType.ASSET_MATERIALIZATION, EventType.STEP_SUCCESS),
            ]
            store(*chance.choice(ways), epoch=1)
        with storage.run_storage.hold_run(run.run_id) as held:
            held.add_tags({"tier": "1"})
        end = chance.choice([EventType.RUN_SUCCESS, EventType.RUN_FAILURE, EventType.RUN_CANCELED])
        store(end)
        store(EventType.RUN_SUCCESS, None, EventType.RUN_FAILURE, epoch=1)


def acknowledge(
    storage: InstanceStorage, run_id: str, *event_types: EventType | None, **how: Any
) -> None:
    """Stores events, and tells of them when that is done."""
    entries = [
        event(run_id, each, step_key="step", data=_ASSET if each in _ASSETS else None)
        for each in event_types
    ]
    for record in storage.store_events(run_id, entries, **how):
        tell("event", run_id, record.position, record.stored_type, record.applied)


_ASSET = AssetEventData(("sales", "daily"))
_ASSETS = {EventType.ASSET_MATERIALIZATION, EventType.ASSET_MATERIALIZATION_PLANNED}


def main() -> None:
    for line in sys.stdin:
        seed, point, place = json.loads(line)
        child = os.fork()
        if child == 0:
            chance = random.Random(seed)
            tell("writer", os.getpid())
            arm(point, chance.randrange(1, 12))
            work(ConfigurableClassData.from_dict(place).rehydrate(InstanceStorage), chance)
        os.waitpid(child, 0)
        tell("dead")


main()
