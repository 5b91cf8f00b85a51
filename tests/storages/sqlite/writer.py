"""A process that writes events of a run and prints their positions: BASE_DIR RUN_ID ROUNDS NUMBER."""

from __future__ import annotations

import sys

from runwire.events.entry import EventLogEntry
from runwire.events.payloads import AssetEventData
from runwire.events.types import EventType
from runwire.storages.sqlite import SqliteStorage


def main() -> None:
    base_dir, run_id, rounds, number = sys.argv[1:]
    storage = SqliteStorage(base_dir)
    index = 0
    for _ in range(int(rounds)):
        entries = []
        for event_type in (None, EventType.STEP_START, EventType.ASSET_OBSERVATION):
            is_asset = event_type is EventType.ASSET_OBSERVATION
            data = AssetEventData(("sales",)) if is_asset else None
            message = f"{number}:{index}"
            entries.append(
                EventLogEntry(run_id=run_id, message=message, event_type=event_type, data=data)
            )
            index += 1
        # A line and a step event alone, and one that is mirrored: each way through the storage.
        for entry in entries:
            sys.stdout.write(f"{storage.store_events(run_id, [entry])[0].position}\n")
    storage.dispose()


main()
