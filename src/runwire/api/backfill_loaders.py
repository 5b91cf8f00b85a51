"""Backfills and runs of partitions, loaded for many rows at once."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import NamedTuple

from strawberry.dataloader import DataLoader

from runwire.api.context import ApiContext
from runwire.control import BackfillProgress
from runwire.runs.run import RunRecord
from runwire.storage import Backfill, BackfillStorage, JobPlace


def backfill_storage_of(context: ApiContext) -> BackfillStorage:
    """Keeps backfills."""
    return context.instance.storage.backfill_storage


class PartitionKey(NamedTuple):
    """Names a partition of a job."""

    job: JobPlace
    key: str


class PartitionRuns:
    """The newest runs of partitions."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._loader: DataLoader[PartitionKey, RunRecord | None] = DataLoader(
            load_fn=self._load_all, max_batch_size=500
        )

    def find(self, key: PartitionKey) -> Awaitable[RunRecord | None]:
        """The newest run of a partition; None when it has none."""
        return self._loader.load(key)

    async def _load_all(self, wanted: list[PartitionKey]) -> list[RunRecord | None]:
        return await self._context.lanes.read(self._read_all, wanted)

    def _read_all(self, wanted: list[PartitionKey]) -> list[RunRecord | None]:
        keys: dict[JobPlace, list[str]] = {}
        for job, key in wanted:
            keys.setdefault(job, []).append(key)
        runs = self._context.run_storage
        found = {job: runs.get_partition_runs(of_job, job=job) for job, of_job in keys.items()}
        return [found[job].get(key) for job, key in wanted]


class BackfillsById:
    """Backfills by id."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._loader: DataLoader[str, Backfill | None] = DataLoader(load_fn=self._load_all)

    def find(self, backfill_id: str) -> Awaitable[Backfill | None]:
        """The backfill of an id; None when there is none."""
        return self._loader.load(backfill_id)

    async def _load_all(self, ids: list[str]) -> list[Backfill | None]:
        find = backfill_storage_of(self._context).find_backfill
        return await self._context.lanes.read(lambda: [find(each) for each in ids])


class ProgressRow(NamedTuple):
    """A backfill and how far its partitions are."""

    backfill_id: str
    progress: BackfillProgress


class BackfillProgresses:
    """How far the partitions of backfills are."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._backfills: dict[str, Backfill] = {}
        self._loader: DataLoader[str, ProgressRow] = DataLoader(load_fn=self._load_all)

    def load(self, backfill: Backfill) -> Awaitable[ProgressRow]:
        """That of a backfill."""
        self._backfills[backfill.backfill_id] = backfill
        return self._loader.load(backfill.backfill_id)

    async def _load_all(self, ids: list[str]) -> list[ProgressRow]:
        return await self._context.lanes.read(lambda: list(map(self._read, ids)))

    def _read(self, backfill_id: str) -> ProgressRow:
        counts = self._context.run_storage.get_backfill_run_counts(backfill_id)
        return ProgressRow(backfill_id, BackfillProgress.of(self._backfills[backfill_id], counts))
