"""Schedules, sensors and ticks in the database of the runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    delete,
    insert,
    select,
    tuple_,
    union_all,
    update,
)

from runwire.errors import TickNotFoundError, TickSourceNotFoundError
from runwire.events.entry import storable_text
from runwire.storage.schedule_storage import CursorMove, ScheduleStorage, TicksPage
from runwire.storages.sql.dialect import serialize
from runwire.storages.sql.run_storage import SqlRunStorage
from runwire.storages.sql.schedule_rows import (
    source_state,
    source_values,
    tick_record,
    tick_values,
)
from runwire.storages.sql.tables import SCHEDULES, tick_sources, ticks
from runwire.storages.stored_ticks import (
    asked_statuses,
    new_source,
    new_tick,
    source_order,
    stored_key,
    updated,
    with_cursor,
    with_status,
    with_tick_due,
)
from runwire.ticks.source import (
    TickSourceOrigin,
    TickSourceState,
    TickSourceStatus,
    TickSourceType,
)
from runwire.ticks.tick import Tick, TickPlace, TickStatus

DELETE_BATCH = 1000
"""How many ticks of a schedule or sensor that is deleted go in one transaction."""

_SOURCES_AT_ONCE = 50
"""For how many schedules and sensors one statement looks for ticks; SQLite joins at most 500 parts."""

_IDS_AT_ONCE = 500
_LARGEST_ID = 2**63 - 1

T = TypeVar("T")

_SOURCE = select(tick_sources).where(tick_sources.c.source_id == bindparam("source"))
_SET_SOURCE = update(tick_sources).where(tick_sources.c.source_id == bindparam("source"))
_TICK = select(ticks).where(ticks.c.tick_id == bindparam("tick"))
_TICK_BY_KEY = select(ticks).where(
    ticks.c.source_id == bindparam("source"), ticks.c.key == bindparam("wanted_key")
)
_SET_TICK = update(ticks).where(ticks.c.tick_id == bindparam("tick"))
_NEWEST_FIRST = (ticks.c.due_at.desc(), ticks.c.tick_id.desc())
_OLDEST_FIRST = (ticks.c.due_at.asc(), ticks.c.tick_id.asc())


class SqlScheduleStorage(ScheduleStorage):
    """Keeps schedules, sensors and ticks beside the runs.

    Who makes a tick or moves a cursor has locked the row of its source before, so those who do so at once follow
    one another.

    Args:
        runs: the runs, which bring connections and transactions, and are disposed of by others.
    """

    def __init__(self, runs: SqlRunStorage) -> None:
        self._runs = runs

    def add_tick_source(
        self,
        origin: TickSourceOrigin,
        status: TickSourceStatus,
        *,
        at: float,
        by_default: bool = False,
    ) -> tuple[TickSourceState, bool]:
        with self._runs.writing() as connection:
            _serialize_source(connection, origin.source_id)
            found = _find_source(connection, origin.source_id)
            if found is not None:
                return found, False
            return _add_source(
                connection, new_source(origin, status, at, by_default=by_default)
            ), True

    def find_tick_source(self, source_id: str) -> TickSourceState | None:
        with self._runs.reading() as connection:
            return _find_source(connection, source_id)

    def get_tick_sources(
        self,
        *,
        source_ids: Collection[str] | None = None,
        source_type: TickSourceType | None = None,
        location_name: str | None = None,
        repository_name: str | None = None,
        status: TickSourceStatus | None = None,
    ) -> list[TickSourceState]:
        column, conditions = tick_sources.c, list[ColumnElement[bool]]()
        if source_type is not None:
            conditions.append(column.source_type == source_type.value)
        if location_name is not None:
            conditions.append(column.location_name == storable_text(location_name))
        if repository_name is not None:
            conditions.append(column.repository_name == storable_text(repository_name))
        if status is not None:
            conditions.append(column.status == status.value)
        wanted = select(tick_sources).where(*conditions)
        states: list[TickSourceState] = []
        with self._runs.reading() as connection:
            if source_ids is None:
                states += map(source_state, connection.execute(wanted))
            else:
                for some in _chunks(sorted(set(map(storable_text, source_ids))), _IDS_AT_ONCE):
                    rows = connection.execute(wanted.where(column.source_id.in_(some)))
                    states += map(source_state, rows)
        return sorted(states, key=source_order)

    def set_tick_source_status(
        self, origin: TickSourceOrigin, status: TickSourceStatus, *, at: float
    ) -> TickSourceState:
        with self._runs.writing() as connection:
            _serialize_source(connection, origin.source_id)
            found = _find_source(connection, origin.source_id, lock=True)
            if found is None:
                return _add_source(connection, new_source(origin, status, at, by_default=False))
            return _set_source(connection, found, with_status(found, status, at))

    def set_tick_source_cursor(
        self, source_id: str, cursor: str | None, *, at: float, version: int | None = None
    ) -> TickSourceState:
        with self._runs.writing() as connection:
            state = _lock_source(connection, source_id)
            return _set_source(connection, state, with_cursor(state, cursor, at, version))

    def delete_tick_source(self, source_id: str) -> None:
        self.get_tick_source(source_id)
        while self.purge_ticks(float("inf"), source_id=source_id, limit=DELETE_BATCH) > 0:
            pass
        with self._runs.writing() as connection:
            _serialize_source(connection, source_id)
            _serialize_deletions(connection)
            state = _lock_source(connection, source_id)  # nobody makes a tick any more
            connection.execute(delete(ticks).where(ticks.c.source_id == state.source_id))
            this = tick_sources.c.source_id == state.source_id
            connection.execute(delete(tick_sources).where(this))

    def create_tick(
        self, source_id: str, key: str, *, due_at: float, started_at: float
    ) -> tuple[Tick, bool]:
        key = stored_key(key)
        with self._runs.writing(durable=False) as connection:
            state = _lock_source(connection, source_id)
            by_key = {"source": state.source_id, "wanted_key": key}
            row = connection.execute(_TICK_BY_KEY, by_key).first()
            if row is not None:
                return tick_record(row), False
            _set_source(connection, state, with_tick_due(state, due_at))
            tick = new_tick(state.source_id, key, due_at=due_at, started_at=started_at)
            adding = insert(ticks).returning(ticks.c.tick_id)
            tick_id = connection.execute(adding, tick_values(tick)).scalar_one()
            return replace(tick, tick_id=tick_id), True

    def update_tick(self, tick: Tick, *, move: CursorMove | None = None) -> Tick:
        with self._runs.writing() as connection:
            state = None if move is None else _find_source(connection, tick.source_id, lock=True)
            stored = _find_tick(connection, tick.tick_id, lock=True)
            if stored is None:
                raise TickNotFoundError(tick.tick_id)
            changed = updated(stored, tick, move)
            if move is not None and state is not None:
                moved = with_cursor(state, move.cursor, move.at, move.version)
                _set_source(connection, state, moved)
            connection.execute(_SET_TICK, {"tick": stored.tick_id, **tick_values(changed)})
            return changed

    def find_tick(self, tick_id: int) -> Tick | None:
        with self._runs.reading() as connection:
            return _find_tick(connection, tick_id)

    def get_ticks(
        self,
        source_id: str,
        *,
        before: float | None = None,
        after: float | None = None,
        statuses: Collection[TickStatus] | None = None,
        beyond: TickPlace | None = None,
        limit: int,
    ) -> TicksPage:
        conditions: list[ColumnElement[bool]] = []
        if before is not None:
            conditions.append(ticks.c.due_at < before)
        if after is not None:
            conditions.append(ticks.c.due_at > after)
        if beyond is not None:
            place = tuple_(ticks.c.due_at, ticks.c.tick_id)
            conditions.append(place < (beyond.due_at, beyond.tick_id))
        walks = _walks([source_id], statuses, conditions, limit + 1)
        with self._runs.reading() as connection:
            found = _newest(connection, walks)[: limit + 1]
        return TicksPage(found[:limit], len(found) > limit)

    def get_batch_ticks(
        self,
        source_ids: Sequence[str],
        *,
        statuses: Collection[TickStatus] | None = None,
        limit: int,
    ) -> dict[str, list[Tick]]:
        found: dict[str, list[Tick]] = {}
        with self._runs.reading() as connection:
            for some in _chunks(dict.fromkeys(source_ids), _SOURCES_AT_ONCE):
                for tick in _newest(connection, _walks(some, statuses, (), limit)):
                    found.setdefault(tick.source_id, []).append(tick)
        return {source_id: newest[:limit] for source_id, newest in found.items()}

    def purge_ticks(
        self,
        before: float,
        *,
        statuses: Collection[TickStatus] | None = None,
        source_id: str | None = None,
        limit: int,
    ) -> int:
        old = [ticks.c.due_at < before]
        if source_id is not None:
            old.append(ticks.c.source_id == storable_text(source_id))
        purged = 0
        with self._runs.writing() as connection:
            _serialize_deletions(connection)
            for status in TickStatus if statuses is None else set(statuses):
                this = (ticks.c.status == status.value, *old)
                purged += _delete_oldest(connection, this, limit - purged)
        return purged

    def wipe(self) -> None:
        with self._runs.writing() as connection:
            for table in SCHEDULES:
                connection.execute(delete(table))

    def dispose(self) -> None:
        """Nothing: what it uses is the runs'."""


def _serialize_source(connection: Connection, source_id: str) -> None:
    serialize(connection, f"tick source {source_id}")


def _serialize_deletions(connection: Connection) -> None:
    """Two that delete many ticks would else wait for each other."""
    serialize(connection, "delete ticks")


def _find_source(
    connection: Connection, source_id: str, *, lock: bool = False
) -> TickSourceState | None:
    statement = _SOURCE.with_for_update() if lock else _SOURCE
    row = connection.execute(statement, {"source": storable_text(source_id)}).first()
    return None if row is None else source_state(row)


def _lock_source(connection: Connection, source_id: str) -> TickSourceState:
    state = _find_source(connection, source_id, lock=True)
    if state is None:
        raise TickSourceNotFoundError(source_id)
    return state


def _add_source(connection: Connection, state: TickSourceState) -> TickSourceState:
    connection.execute(insert(tick_sources), source_values(state))
    return state


def _set_source(
    connection: Connection, stored: TickSourceState, state: TickSourceState
) -> TickSourceState:
    """Writes what has changed; a cursor may be large."""
    before = source_values(stored)
    values = {key: value for key, value in source_values(state).items() if value != before[key]}
    if values:
        connection.execute(_SET_SOURCE, {"source": state.source_id, **values})
    return state


def _find_tick(connection: Connection, tick_id: int, *, lock: bool = False) -> Tick | None:
    if not 0 < tick_id <= _LARGEST_ID:
        return None
    statement = _TICK.with_for_update() if lock else _TICK
    row = connection.execute(statement, {"tick": tick_id}).first()
    return None if row is None else tick_record(row)


def _walks(
    source_ids: Iterable[str],
    statuses: Collection[TickStatus] | None,
    conditions: Iterable[ColumnElement[bool]],
    limit: int,
) -> list[Select[Any]]:
    """For each source and status, the statement that reads its newest ticks: one walk along an index."""
    wanted = select(ticks).where(*conditions).order_by(*_NEWEST_FIRST).limit(limit)
    asked = asked_statuses(statuses)
    walks = []
    for source_id in source_ids:
        walk = wanted.where(ticks.c.source_id == storable_text(source_id))
        if asked is None:
            walks.append(walk)
        else:
            walks += [walk.where(ticks.c.status == status.value) for status in asked]
    return walks


def _newest(connection: Connection, walks: Sequence[Select[Any]]) -> list[Tick]:
    """What all walks find, newest first."""
    if not walks:
        return []
    statement = union_all(*(select(walk.subquery()) for walk in walks))
    found = map(tick_record, connection.execute(statement))
    return sorted(found, key=TickPlace.of, reverse=True)


def _delete_oldest(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], limit: int
) -> int:
    oldest = select(ticks.c.tick_id).where(*conditions).order_by(*_OLDEST_FIRST).limit(limit)
    deleted = 0
    for some in _chunks(list(connection.execute(oldest).scalars()), _IDS_AT_ONCE):
        # The conditions again: a tick may have been written since it was found.
        these = delete(ticks).where(ticks.c.tick_id.in_(some), *conditions)
        deleted += connection.execute(these).rowcount
    return deleted


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
