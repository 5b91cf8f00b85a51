"""Schedules, sensors and ticks in memory."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import count

from runwire.errors import TickNotFoundError
from runwire.events.entry import storable_text
from runwire.storage.schedule_storage import CursorMove, ScheduleStorage, TicksPage
from runwire.storages.stored_ticks import (
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


class MemoryScheduleStorage(ScheduleStorage):
    """Keeps schedules, sensors and ticks behind one lock."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._sources: dict[str, TickSourceState] = {}
        self._ticks: dict[int, Tick] = {}
        self._keys: dict[tuple[str, str], int] = {}
        self._tick_ids = count(1)

    def add_tick_source(
        self,
        origin: TickSourceOrigin,
        status: TickSourceStatus,
        *,
        at: float,
        by_default: bool = False,
    ) -> tuple[TickSourceState, bool]:
        with self._lock:
            found = self._sources.get(origin.source_id)
            if found is not None:
                return found, False
            return self._keep(new_source(origin, status, at, by_default=by_default)), True

    def find_tick_source(self, source_id: str) -> TickSourceState | None:
        with self._lock:
            return self._sources.get(source_id)

    def get_tick_sources(
        self,
        *,
        source_ids: Collection[str] | None = None,
        source_type: TickSourceType | None = None,
        location_name: str | None = None,
        repository_name: str | None = None,
        status: TickSourceStatus | None = None,
    ) -> list[TickSourceState]:
        with self._lock:
            states = list(self._sources.values())
        found = (
            state
            for state in states
            if (source_ids is None or state.source_id in source_ids)
            and source_type in (None, state.origin.source_type)
            and _is_asked(location_name, state.origin.location_name)
            and _is_asked(repository_name, state.origin.repository_name)
            and status in (None, state.status)
        )
        return sorted(found, key=source_order)

    def set_tick_source_status(
        self, origin: TickSourceOrigin, status: TickSourceStatus, *, at: float
    ) -> TickSourceState:
        with self._lock:
            state, is_new = self.add_tick_source(origin, status, at=at)
            return state if is_new else self._keep(with_status(state, status, at))

    def set_tick_source_cursor(
        self, source_id: str, cursor: str | None, *, at: float, version: int | None = None
    ) -> TickSourceState:
        with self._lock:
            return self._keep(with_cursor(self.get_tick_source(source_id), cursor, at, version))

    def delete_tick_source(self, source_id: str) -> None:
        with self._lock:
            self.get_tick_source(source_id)
            self._drop(self._ticks_of(source_id))
            del self._sources[source_id]

    def create_tick(
        self, source_id: str, key: str, *, due_at: float, started_at: float
    ) -> tuple[Tick, bool]:
        key = stored_key(key)
        with self._lock:
            state = self.get_tick_source(source_id)
            known = self._keys.get((source_id, key))
            if known is not None:
                return self._ticks[known], False
            self._keep(with_tick_due(state, due_at))
            made = new_tick(source_id, key, due_at=due_at, started_at=started_at)
            tick = replace(made, tick_id=next(self._tick_ids))
            self._keys[source_id, key] = tick.tick_id
            return self._keep_tick(tick), True

    def update_tick(self, tick: Tick, *, move: CursorMove | None = None) -> Tick:
        with self._lock:
            stored = self._ticks.get(tick.tick_id)
            if stored is None:
                raise TickNotFoundError(tick.tick_id)
            changed = updated(stored, tick, move)
            if move is not None:
                state = self.get_tick_source(stored.source_id)
                self._keep(with_cursor(state, move.cursor, move.at, move.version))
            return self._keep_tick(changed)

    def find_tick(self, tick_id: int) -> Tick | None:
        with self._lock:
            return self._ticks.get(tick_id)

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
        found = [
            tick
            for tick in self._newest_first(source_id)
            if (before is None or tick.due_at < before)
            and (after is None or tick.due_at > after)
            and (statuses is None or tick.status in statuses)
            and (beyond is None or TickPlace.of(tick) < beyond)
        ]
        return TicksPage(found[:limit], len(found) > limit)

    def get_batch_ticks(
        self,
        source_ids: Sequence[str],
        *,
        statuses: Collection[TickStatus] | None = None,
        limit: int,
    ) -> dict[str, list[Tick]]:
        with self._lock:
            pages = {
                each: self.get_ticks(each, statuses=statuses, limit=limit) for each in source_ids
            }
        return {source_id: page.ticks for source_id, page in pages.items() if page.ticks}

    def purge_ticks(
        self,
        before: float,
        *,
        statuses: Collection[TickStatus] | None = None,
        source_id: str | None = None,
        limit: int,
    ) -> int:
        with self._lock:
            old = [
                tick
                for tick in self._ticks.values()
                if tick.due_at < before
                and (statuses is None or tick.status in statuses)
                and source_id in (None, tick.source_id)
            ]
            purged = sorted(old, key=TickPlace.of)[:limit]
            self._drop(purged)
            return len(purged)

    def wipe(self) -> None:
        with self._lock:
            self._sources.clear()
            self._ticks.clear()
            self._keys.clear()

    def dispose(self) -> None:
        pass

    def _keep(self, state: TickSourceState) -> TickSourceState:
        self._sources[state.source_id] = state
        return state

    def _keep_tick(self, tick: Tick) -> Tick:
        self._ticks[tick.tick_id] = tick
        return tick

    def _drop(self, ticks: Iterable[Tick]) -> None:
        for tick in ticks:
            del self._ticks[tick.tick_id]
            del self._keys[tick.source_id, tick.key]

    def _ticks_of(self, source_id: str) -> list[Tick]:
        return [tick for tick in self._ticks.values() if tick.source_id == source_id]

    def _newest_first(self, source_id: str) -> list[Tick]:
        with self._lock:
            return sorted(self._ticks_of(source_id), key=TickPlace.of, reverse=True)


def _is_asked(asked: str | None, name: str) -> bool:
    return asked is None or storable_text(asked) == name
