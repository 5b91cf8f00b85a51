"""The asset index in a database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from operator import attrgetter
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    delete,
    func,
    or_,
    select,
    update,
)

from runwire.events.types import EventType
from runwire.storage.asset_index import AssetIndex, AssetKey, AssetRecord, AssetsPage
from runwire.storage.instance_log import MAX_PAGE
from runwire.storages.sql.asset_events import COUNTS, POINTERS, AssetChanges
from runwire.storages.sql.instance_log import lock_head
from runwire.storages.sql.rows import as_json, instance_log_record
from runwire.storages.sql.tables import asset_partitions, assets, instance_log
from runwire.storages.sql.text import begins_with

Connect = Callable[[], AbstractContextManager[Connection]]

_KEY = assets.c.asset_key
_IS_THERE = or_(*(column.is_not(None) for column in POINTERS.values()))
_FORGOTTEN = dict.fromkeys(POINTERS.values())

_FIND = select(_KEY).where(_IS_THERE, bindparam("asset_key") == _KEY)
_WIPE = (
    update(assets)
    .where(_IS_THERE, bindparam("of_asset") == _KEY)
    .values({**_FORGOTTEN, "wiped_position": bindparam("head")})
)
_WIPE_COUNTS = delete(asset_partitions).where(
    asset_partitions.c.asset_key == bindparam("asset_key")
)

_NEWEST = (
    select(instance_log.c.asset_key, instance_log.c.event_type, func.max(instance_log.c.position))
    .join_from(instance_log, assets, instance_log.c.asset_key == _KEY, isouter=True)
    .where(
        instance_log.c.event_type.in_([event_type.value for event_type in POINTERS]),
        instance_log.c.asset_key.is_not(None),
        instance_log.c.applied,
        instance_log.c.position > func.coalesce(assets.c.wiped_position, 0),
    )
    .group_by(instance_log.c.asset_key, instance_log.c.event_type)
)
_FORGET = update(assets).values(_FORGOTTEN)
_FORGET_COUNTS = update(asset_partitions).values(
    materializations=asset_partitions.c.purged_materializations
)
_DROP_EMPTY_COUNTS = delete(asset_partitions).where(asset_partitions.c.materializations == 0)

_OF_ASSET = attrgetter("of_asset")

_decode_key = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_partition = msgspec.json.Decoder(str | None).decode


class SqlAssetIndex(AssetIndex):
    """Keeps the assets beside the instance-wide log.

    Args:
        reading: a connection to read on.
        writing: a connection in a transaction, which is synced when it ends.
    """

    def __init__(self, reading: Connect, writing: Connect) -> None:
        self._reading = reading
        self._writing = writing

    def get_asset_records(
        self,
        keys: Collection[AssetKey] | None = None,
        *,
        prefix: Sequence[str] = (),
        after: AssetKey | None = None,
        limit: int = MAX_PAGE,
    ) -> AssetsPage:
        limit = min(limit, MAX_PAGE)
        conditions = [_IS_THERE, _begins_with(prefix)]
        if keys is not None:
            conditions.append(_KEY.in_(sorted(map(as_json, keys))))
        if after is not None:
            conditions.append(as_json(after) < _KEY)
        found = select(assets).where(*conditions).order_by(_KEY).limit(limit + 1).subquery()
        # In one statement, for between two of them an entry may be purged because another became the newest.
        pointers = [found.c[column.name] for column in POINTERS.values()]
        of_asset = (found.c.asset_key.label("of_asset"), found.c.wiped_position, *pointers)
        statement = select(*of_asset, instance_log).join_from(
            found, instance_log, instance_log.c.position.in_(pointers), isouter=True
        )
        with self._reading() as connection:
            rows = sorted(connection.execute(statement), key=_OF_ASSET)
        records = [_asset_record(of_one) for _, of_one in groupby(rows, _OF_ASSET)]
        return AssetsPage(records[:limit], len(records) > limit)

    def get_assets_count(self, prefix: Sequence[str] = ()) -> int:
        counted = select(func.count()).select_from(assets).where(_IS_THERE, _begins_with(prefix))
        with self._reading() as connection:
            count: int = connection.execute(counted).scalar_one()
        return count

    def has_asset_key(self, key: AssetKey) -> bool:
        with self._reading() as connection:
            return connection.execute(_FIND, {"asset_key": as_json(key)}).first() is not None

    def get_materialization_count_by_partition(
        self, keys: Collection[AssetKey]
    ) -> Mapping[AssetKey, Mapping[str | None, int]]:
        columns = asset_partitions.c
        wanted = columns.asset_key.in_(sorted(map(as_json, keys)))
        statement = select(columns.asset_key, columns.partition, columns.materializations)
        counts: dict[AssetKey, dict[str | None, int]] = {}
        with self._reading() as connection:
            for asset_key, partition, number in connection.execute(statement.where(wanted)):
                of_asset = counts.setdefault(_decode_key(asset_key), {})
                of_asset[_decode_partition(partition)] = number
        return counts

    def wipe_asset(self, key: AssetKey) -> bool:
        asset_key = as_json(key)
        with self._writing() as connection:
            head = lock_head(connection).head
            wiped = connection.execute(_WIPE, {"of_asset": asset_key, "head": head})
            connection.execute(_WIPE_COUNTS, {"asset_key": asset_key})
            return wiped.rowcount > 0

    def reindex(self) -> None:
        with self._writing() as connection:
            purged_position = lock_head(connection).purged_position
            connection.execute(_FORGET)
            connection.execute(_FORGET_COUNTS)
            changes = AssetChanges()
            for asset_key, event_type, position in connection.execute(_NEWEST):
                changes.point(asset_key, EventType(event_type), position)
            changes.write(connection)
            # Joined with the assets, and so after them.
            changes = AssetChanges()
            for counted in connection.execute(COUNTS, {"after": purged_position}):
                changes.count(*counted)
            changes.write(connection)
            connection.execute(_DROP_EMPTY_COUNTS)


def _begins_with(prefix: Sequence[str]) -> ColumnElement[bool]:
    # Without the bracket at its end, the text of a prefix is one of those and only those that begin with it.
    return begins_with(_KEY, as_json(prefix).removesuffix("]"))


def _asset_record(rows: Iterable[Any]) -> AssetRecord:
    rows = list(rows)
    asset = rows[0]
    entries = {row.position: instance_log_record(row) for row in rows if row.position is not None}
    return AssetRecord(
        asset_key=_decode_key(asset.of_asset),
        last_materialization=entries.get(asset.last_materialization),
        last_observation=entries.get(asset.last_observation),
        last_planned=entries.get(asset.last_planned),
        wiped_position=asset.wiped_position,
    )
