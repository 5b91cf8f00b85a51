"""Writing the instance-wide log and the asset index that is made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, bindparam, delete, insert, not_, select, update

from runwire.events.entry import EventLogRecord
from runwire.runs.run import RunRecord
from runwire.storage.event_log_storage import InstanceLogSpan
from runwire.storage.instance_log import InstanceEventKind, InstanceLogRecord
from runwire.storages.sql.asset_events import IS_NEWEST, index_entries, note_purge
from runwire.storages.sql.rows import entry_values
from runwire.storages.sql.tables import instance_head, instance_log

_RAISE_HEAD = (
    update(instance_head)
    .values(head=instance_head.c.head + bindparam("count"))
    .returning(instance_head.c.head)
)
_ADD = insert(instance_log)
# What the asset index tells of stays, behind the purged position, where nobody reads the log.
_PURGE = delete(instance_log).where(
    instance_log.c.position > bindparam("after"),
    instance_log.c.position <= bindparam("up_to"),
    not_(IS_NEWEST),
)
_FIND_SUPERSEDED = (
    select(instance_log.c.position)
    .where(instance_log.c.position <= bindparam("up_to"), not_(IS_NEWEST))
    .limit(bindparam("limit"))
)
_DROP = delete(instance_log).where(
    instance_log.c.position.in_(bindparam("positions", expanding=True))
)
_LOCK_HEAD = select(instance_head.c.purged_position, instance_head.c.head).with_for_update()
_MARK_PURGED = update(instance_head).values(purged_position=bindparam("up_to"))


def add_entries(connection: Connection, entries: Sequence[InstanceLogRecord]) -> None:
    """Appends entries, with positions that follow the head, and makes the asset index reflect them.

    Other writers of the log wait until the transaction ends, so that its positions commit in order.
    """
    if not entries:
        return
    head = connection.execute(_RAISE_HEAD, {"count": len(entries)}).scalar_one()
    first = head - len(entries) + 1
    placed = [replace(entry, position=position) for position, entry in enumerate(entries, first)]
    for entry in placed:
        connection.execute(_ADD, entry_values(entry))
    index_entries(connection, placed)


def lock_head(connection: Connection) -> InstanceLogSpan:
    """What the log has; its writers wait until the transaction ends."""
    return InstanceLogSpan(*connection.execute(_LOCK_HEAD).one())


def purge_entries(connection: Connection, up_to: int) -> int:
    """Deletes the entries up to a position, which is not beyond the head; returns how many positions that were.

    Those that are the newest of an asset are kept for the asset index. Writers of the log wait until the
    transaction ends.
    """
    purged_position = lock_head(connection).purged_position
    if up_to <= purged_position:  # somebody was faster
        return 0
    purged = {"after": purged_position, "up_to": up_to}
    note_purge(connection, **purged)
    connection.execute(_PURGE, purged)
    connection.execute(_MARK_PURGED, {"up_to": up_to})
    return up_to - purged_position


def find_superseded(connection: Connection, up_to: int, limit: int) -> list[int]:
    """Positions of entries that were kept for the asset index, and are the newest of no asset any more.

    They never will be again.

    Args:
        connection: to read on.
        up_to: a position up to which the log was purged.
        limit: at most so many.
    """
    found = connection.execute(_FIND_SUPERSEDED, {"up_to": up_to, "limit": limit})
    return list(found.scalars())


def drop_entries(connection: Connection, positions: Sequence[int]) -> None:
    """Deletes entries that were kept for the asset index."""
    connection.execute(_DROP, {"positions": positions})


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
