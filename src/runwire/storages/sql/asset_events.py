"""Keeping the asset index true to the instance-wide log, in the transactions that change the log."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, exists, func, select, update

from runwire.events.entry import storable_text
from runwire.events.payloads import AssetEventData
from runwire.events.types import EventType
from runwire.storage.instance_log import InstanceLogRecord
from runwire.storages.sql.dialect import insert_or_change
from runwire.storages.sql.rows import as_json
from runwire.storages.sql.tables import asset_partitions, assets, instance_log

POINTERS = {
    EventType.ASSET_MATERIALIZATION: assets.c.last_materialization,
    EventType.ASSET_OBSERVATION: assets.c.last_observation,
    EventType.ASSET_MATERIALIZATION_PLANNED: assets.c.last_planned,
}
"""The columns that have the newest events of an asset, by type."""

_log, _partitions = instance_log.c, asset_partitions.c

IS_NEWEST: ColumnElement[bool] = (
    exists()
    .where(assets.c.asset_key == _log.asset_key, _log.position.in_(POINTERS.values()))
    .correlate(instance_log)
)
"""Whether an entry of the instance-wide log is the newest of its type of an asset."""

IS_COUNTED = (
    _log.event_type == EventType.ASSET_MATERIALIZATION.value,
    _log.applied,
    _log.position > assets.c.wiped_position,
)
"""The conditions under which an entry, joined with its asset, counts as a materialization."""

COUNTS = (
    select(_log.asset_key, _log.partition, func.count())
    .join_from(instance_log, assets, assets.c.asset_key == _log.asset_key)
    .where(_log.position > bindparam("after"), *IS_COUNTED)
    .group_by(_log.asset_key, _log.partition)
)
"""How many entries after a position count, by asset and partition."""

_PURGED_COUNTS = COUNTS.where(_log.position <= bindparam("up_to"))
_NOTE_PURGED = (
    update(asset_partitions)
    .where(
        _partitions.asset_key == bindparam("of_asset"),
        _partitions.partition == bindparam("of_partition"),
    )
    .values(purged_materializations=_partitions.purged_materializations + bindparam("purged"))
)


class AssetChanges:
    """What events change of the asset index, to be written at once."""

    def __init__(self) -> None:
        self._newest: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._counts: Counter[tuple[str, str]] = Counter()

    def point(self, asset_key: str, event_type: EventType, position: int) -> None:
        """Makes an entry the newest of its type."""
        self._newest[asset_key][POINTERS[event_type].name] = position

    def count(self, asset_key: str, partition: str | None, number: int = 1) -> None:
        """Counts materializations."""
        self._counts[asset_key, as_json(partition)] += number

    def write(self, connection: Connection) -> None:
        """Writes the changes: a statement for the assets, and one for their partitions."""
        dialect = connection.dialect.name
        unchanged = dict.fromkeys(column.name for column in POINTERS.values())
        newest: list[dict[str, Any]] = [
            {"asset_key": asset_key, "wiped_position": 0, **unchanged, **pointers}
            for asset_key, pointers in self._newest.items()
        ]
        if newest:
            connection.execute(_point(dialect), newest)
        counts: list[dict[str, Any]] = [
            {
                "asset_key": asset_key,
                "partition": partition,
                "materializations": number,
                "purged_materializations": 0,
            }
            for (asset_key, partition), number in self._counts.items()
        ]
        if counts:
            connection.execute(_count(dialect), counts)


def index_entries(connection: Connection, entries: Iterable[InstanceLogRecord]) -> None:
    """Makes the asset index reflect new entries of the instance-wide log, whose writers wait."""
    changes = AssetChanges()
    for entry in entries:
        event = entry.event
        if event is None or not event.applied or event.event_type not in POINTERS:
            continue
        data = event.data
        if isinstance(data, AssetEventData):
            asset_key = as_json(data.asset_key)
            changes.point(asset_key, event.event_type, entry.position)
            if event.event_type is EventType.ASSET_MATERIALIZATION:
                partition = data.partition
                changes.count(asset_key, None if partition is None else storable_text(partition))
    changes.write(connection)


def note_purge(connection: Connection, after: int, up_to: int) -> None:
    """Notes what is counted and will not be in the log any more, before it is deleted; writers wait."""
    counted = connection.execute(_PURGED_COUNTS, {"after": after, "up_to": up_to}).all()
    noted = [
        {"of_asset": asset_key, "of_partition": as_json(partition), "purged": number}
        for asset_key, partition, number in counted
    ]
    if noted:
        connection.execute(_NOTE_PURGED, noted)


@cache
def _point(dialect: str) -> Any:
    return insert_or_change(
        dialect,
        assets,
        lambda new: {
            column.name: func.coalesce(new[column.name], column) for column in POINTERS.values()
        },
    )


@cache
def _count(dialect: str) -> Any:
    return insert_or_change(
        dialect,
        asset_partitions,
        lambda new: {"materializations": _partitions.materializations + new.materializations},
    )
