"""What is loaded for many rows at once, and only once in an operation."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from dataclasses import replace
from typing import NamedTuple

from strawberry.dataloader import DataLoader

from runwire.api.context import ApiContext
from runwire.errors import StorageUnavailableError
from runwire.runs.filters import RunsFilter
from runwire.runs.run import RunRecord, StepCounts
from runwire.snapshots import JobSnapshot, RepositorySnapshot
from runwire.storage import MAX_PAGE, AssetKey, AssetRecord
from runwire.workspace import CodeLocationState

logger = logging.getLogger(__name__)


class RunRecords:
    """Runs by id."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._loader: DataLoader[str, RunRecord | None] = DataLoader(load_fn=self._load_all)

    def find(self, run_id: str) -> Awaitable[RunRecord | None]:
        """The run of an id; None when there is none."""
        return self._loader.load(run_id)

    async def _load_all(self, run_ids: list[str]) -> list[RunRecord | None]:
        return await self._context.lanes.read(self._read_all, run_ids)

    def _read_all(self, run_ids: list[str]) -> list[RunRecord | None]:
        storage = self._context.run_storage
        if len(run_ids) == 1:
            return [storage.find_run_record(run_ids[0])]
        page = storage.get_run_records(RunsFilter(run_ids=frozenset(run_ids)), limit=len(run_ids))
        found = {record.run_id: record for record in page.records}
        return [found.get(run_id) for run_id in run_ids]


class AssetRecords:
    """Assets by key."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._loader: DataLoader[AssetKey, AssetRecord | None] = DataLoader(
            load_fn=self._load_all, max_batch_size=MAX_PAGE
        )

    def find(self, key: AssetKey) -> Awaitable[AssetRecord | None]:
        """The asset of a key; None when there is none."""
        return self._loader.load(key)

    async def _load_all(self, keys: list[AssetKey]) -> list[AssetRecord | None]:
        index = self._context.event_log_storage.asset_index
        page = await self._context.lanes.read(index.get_asset_records, keys)
        found = {record.asset_key: record for record in page.records}
        return [found.get(key) for key in keys]


class StatsRow(NamedTuple):
    """A run and the counts over its event log."""

    run: RunRecord
    counts: StepCounts


class RunCounts:
    """Counts over the event logs of runs."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._records: dict[str, RunRecord] = {}
        self._loader: DataLoader[str, StatsRow] = DataLoader(load_fn=self._load_all)

    def load(self, record: RunRecord) -> Awaitable[StatsRow]:
        """The counts of a run that has not ended; those of one that has are on its record."""
        self._records[record.run_id] = record
        return self._loader.load(record.run_id)

    def prime(self, record: RunRecord, counts: StepCounts) -> None:
        """Takes note of counts that are known already."""
        self._loader.prime(record.run_id, StatsRow(record, counts))

    async def _load_all(self, run_ids: list[str]) -> list[StatsRow]:
        records = [self._records[run_id] for run_id in run_ids]
        return await self._context.lanes.read(
            lambda: [StatsRow(record, self._read(record)) for record in records]
        )

    def _read(self, record: RunRecord) -> StepCounts:
        try:
            return self._context.event_log_storage.get_run_stats(record)
        except StorageUnavailableError:
            # One unreadable log must not take a page of runs with it; the record keeps older counts.
            logger.warning("the log of run %s cannot be counted", record.run_id, exc_info=True)
            planned = max(record.counts.planned, record.run.steps_planned)
            return replace(record.counts, planned=planned)


class RepositoryRow(NamedTuple):
    """A repository and the code location that it is in."""

    location: CodeLocationState
    repository: RepositorySnapshot


class JobRow(NamedTuple):
    """A job that is loaded now, and where it is."""

    location: CodeLocationState
    repository: RepositorySnapshot
    job: JobSnapshot


class JobKey(NamedTuple):
    """Names one job in one place."""

    location_name: str
    repository_name: str
    job_name: str


class LoadedJobs:
    """The code locations as they are now, and the jobs that they have loaded."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._locations: DataLoader[None, list[CodeLocationState]] = DataLoader(
            load_fn=self._load_all
        )

    async def locations(self) -> list[CodeLocationState]:
        """The code locations, by name."""
        return await self._locations.load(None)

    async def find_location(self, name: str) -> CodeLocationState | None:
        """A code location; None when the workspace has none of the name."""
        return next((state for state in await self.locations() if state.name == name), None)

    async def find_repository(self, location_name: str, name: str) -> RepositoryRow | None:
        """A repository; None when it is not loaded."""
        location = await self.find_location(location_name)
        if location is None:
            return None
        return next((row for row in repositories_of(location) if row.repository.name == name), None)

    async def find_job(self, key: JobKey) -> JobRow | None:
        """A job; None when it is not loaded."""
        row = await self.find_repository(key.location_name, key.repository_name)
        if row is None:
            return None
        return next((job for job in jobs_of(row) if job.job.name == key.job_name), None)

    async def _load_all(self, keys: list[None]) -> list[list[CodeLocationState]]:
        workspace = self._context.workspace
        states = await self._context.lanes.call(
            lambda: [location.state for location in workspace.list_locations()]
        )
        return [states for _ in keys]


def repositories_of(location: CodeLocationState) -> list[RepositoryRow]:
    """The repositories of a code location."""
    return [RepositoryRow(location, repository) for repository in location.repositories]


def jobs_of(row: RepositoryRow) -> list[JobRow]:
    """The jobs of a repository, by name."""
    jobs = sorted(row.repository.jobs, key=lambda job: job.name)
    return [JobRow(row.location, row.repository, job) for job in jobs]
