"""Schedules, sensors and ticks, loaded for many rows at once."""

from __future__ import annotations

from typing import NamedTuple

import strawberry
from strawberry.dataloader import DataLoader

from runwire.api.context import ApiContext, ApiInfo
from runwire.api.loaders import JobRow
from runwire.control import TickSourceRecord, TickSources, tick_sources_of
from runwire.errors import StorageUnavailableError
from runwire.runs.run import RunRecord
from runwire.runs.tags import TICK_ID_TAG
from runwire.storage import ScheduleStorage
from runwire.ticks import Tick, TickPlace, TickSourceType, TickStatus


def sources_of(context: ApiContext) -> TickSources:
    """What reads schedules and sensors."""
    return TickSources(schedule_storage_of(context), context.workspace)


def schedule_storage_of(context: ApiContext) -> ScheduleStorage:
    """Keeps schedules and ticks."""
    return context.instance.storage.schedule_storage


class TickSourceRecords:
    """Schedules and sensors by their source id."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._loader: DataLoader[str, TickSourceRecord | None] = DataLoader(load_fn=self._load_all)

    async def find(self, source_id: str) -> TickSourceRecord | None:
        """The schedule or sensor of an id; None when it is neither defined nor kept."""
        return await self._loader.load(source_id)

    async def find_all(self, source_ids: list[str]) -> list[TickSourceRecord]:
        """Those that are defined or kept, in the order of their ids."""
        found = await self._loader.load_many(source_ids)
        return [record for record in found if record is not None]

    async def _load_all(self, source_ids: list[str]) -> list[TickSourceRecord | None]:
        sources = sources_of(self._context)
        found = await self._context.lanes.read(sources.by_id, source_ids)
        return [found.get(source_id) for source_id in source_ids]


class TickKey(NamedTuple):
    """Names a page of ticks of a schedule or sensor."""

    source_id: str
    statuses: frozenset[TickStatus] | None
    limit: int
    after: TickPlace | None


class TickPage(NamedTuple):
    """A page of ticks, and the key that it answers."""

    key: TickKey
    ticks: list[Tick]
    has_next: bool


class TickPages:
    """Pages of ticks; the first pages of many sources are read at once."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._loader: DataLoader[TickKey, TickPage] = DataLoader(load_fn=self._load_all)

    async def load(self, key: TickKey) -> TickPage:
        """A page of ticks.

        Raises:
            StorageUnavailableError: they cannot be read.
        """
        return await self._loader.load(key)

    async def _load_all(self, keys: list[TickKey]) -> list[TickPage | BaseException]:
        return await self._context.lanes.read(self._read_all, keys)

    def _read_all(self, keys: list[TickKey]) -> list[TickPage | BaseException]:
        found: dict[TickKey, TickPage | BaseException] = {}
        alike: dict[tuple[frozenset[TickStatus] | None, int], list[TickKey]] = {}
        for key in keys:
            if key.after is None:
                alike.setdefault((key.statuses, key.limit), []).append(key)
            else:
                found[key] = self._read_after(key)
        for of_kind in alike.values():
            found.update(self._read_first(of_kind))
        return [found[key] for key in keys]

    def _read_first(self, keys: list[TickKey]) -> dict[TickKey, TickPage | BaseException]:
        storage, (_, statuses, limit, _) = schedule_storage_of(self._context), keys[0]
        ids = [key.source_id for key in keys]
        try:
            found = storage.get_batch_ticks(ids, statuses=statuses, limit=limit + 1)
        except StorageUnavailableError as error:
            return dict.fromkeys(keys, error)
        ticks = {key: found.get(key.source_id, []) for key in keys}
        return {key: TickPage(key, ticks[key][:limit], len(ticks[key]) > limit) for key in keys}

    def _read_after(self, key: TickKey) -> TickPage | BaseException:
        try:
            page = schedule_storage_of(self._context).get_ticks(
                key.source_id, statuses=key.statuses, beyond=key.after, limit=key.limit
            )
        except StorageUnavailableError as error:
            return error
        return TickPage(key, page.ticks, page.has_more)


class TicksById:
    """Ticks by id."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._loader: DataLoader[int, Tick | None] = DataLoader(load_fn=self._load_all)

    async def find(self, tick_id: int) -> Tick | None:
        """The tick of an id; None when there is none."""
        return await self._loader.load(tick_id)

    async def _load_all(self, tick_ids: list[int]) -> list[Tick | None]:
        find = schedule_storage_of(self._context).find_tick
        return await self._context.lanes.read(lambda: [find(tick_id) for tick_id in tick_ids])


async def read_tick(root: strawberry.Parent[RunRecord], info: ApiInfo) -> Tick | None:
    """The tick that requested a run."""
    tick_id = root.run.tags.get(TICK_ID_TAG)
    return None if tick_id is None else await info.context.loader(TicksById).find(int(tick_id))


async def read_tick_sources(
    root: strawberry.Parent[JobRow], info: ApiInfo
) -> list[TickSourceRecord]:
    """What may request runs of a job, by name."""
    ids = [
        record.origin.source_id
        for source_type in TickSourceType
        for record in tick_sources_of(root.location, source_type)
        if record.repository == root.repository and root.job.name in record.job_names
    ]
    found = await info.context.loader(TickSourceRecords).find_all(ids)
    return sorted(found, key=lambda record: record.origin.name)
