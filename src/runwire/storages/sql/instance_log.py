"""Writing the instance-wide log and the asset index that is made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from runwire.events.entry import EventLogRecord
from runwire.events.payloads import AssetEventData
from runwire.events.types import EventType
from runwire.runs.run import RunRecord
from runwire.storage.event_log_storage import InstanceEventKind, InstanceLogRecord
from runwire.storages.sql.rows import as_json, entry_values
from runwire.storages.sql.tables import assets, instance_head, instance_log

_RAISE_HEAD = (
    update(instance_head)
    .values(head=instance_head.c.head + bindparam("count"))
    .returning(instance_head.c.head)
)
_ADD = insert(instance_log)
_PURGE = delete(instance_log).where(instance_log.c.position <= bindparam("up_to"))
_LOCK_HEAD = select(instance_head.c.purged_position).with_for_update()
_MARK_PURGED = update(instance_head).values(purged_position=bindparam("up_to"))

_POINTERS = {
    EventType.ASSET_MATERIALIZATION: assets.c.last_materialization,
    EventType.ASSET_OBSERVATION: assets.c.last_observation,
    EventType.ASSET_MATERIALIZATION_PLANNED: assets.c.last_planned,
}


def add_entries(connection: Connection, entries: Sequence[InstanceLogRecord]) -> None:
    """Appends entries, with positions that follow the head, and points assets at them.

    Other writers of the log wait until the transaction ends, so that its positions commit in order.
    """
    if not entries:
        return
    head = connection.execute(_RAISE_HEAD, {"count": len(entries)}).scalar_one()
    first = head - len(entries) + 1
    placed = [replace(entry, position=position) for position, entry in enumerate(entries, first)]
    for entry in placed:
        connection.execute(_ADD, entry_values(entry))
        if entry.event is not None and entry.event.applied:
            _index_asset(connection, entry.position, entry.event)


def purge_entries(connection: Connection, up_to: int) -> int:
    """Deletes the entries up to a position, which is not beyond the head; returns how many positions that were.

    Writers of the log wait until the transaction ends.
    """
    purged_position: int = connection.execute(_LOCK_HEAD).scalar_one()
    if up_to <= purged_position:  # somebody was faster
        return 0
    connection.execute(_PURGE, {"up_to": up_to})
    connection.execute(_MARK_PURGED, {"up_to": up_to})
    return up_to - purged_position


def event_entry(record: RunRecord, event: EventLogRecord) -> InstanceLogRecord:
    """An event of a run as an entry that has no position yet."""
    return InstanceLogRecord(
        position=0,
        kind=InstanceEventKind.EVENT,
        run_id=record.run_id,
        job_name=record.run.job_name,
        timestamp=event.timestamp,
        event=event,
    )


def change_entry(record: RunRecord, kind: InstanceEventKind, timestamp: float) -> InstanceLogRecord:
    """A change of a run that is no event, as an entry that has no position yet."""
    return InstanceLogRecord(
        position=0,
        kind=kind,
        run_id=record.run_id,
        job_name=record.run.job_name,
        timestamp=timestamp,
    )


def _index_asset(connection: Connection, position: int, event: EventLogRecord) -> None:
    pointer = None if event.event_type is None else _POINTERS.get(event.event_type)
    if pointer is None or not isinstance(event.data, AssetEventData):
        return
    key = as_json(event.data.asset_key)
    values: dict[str, Any] = {pointer.name: position}
    moved = connection.execute(update(assets).where(assets.c.asset_key == key).values(values))
    if moved.rowcount == 0:
        connection.execute(insert(assets).values(asset_key=key, **values))
