"""What the feed reads of the instance-wide log: its span, its entries, and the runs that they tell of."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runwire.errors import StorageUnavailableError
from runwire.feed.batch import is_contiguous
from runwire.feed.instance_batch import ALL_KINDS, Wanted
from runwire.feed.patient_reads import PatientReads
from runwire.lanes import Lanes
from runwire.runs.filters import RunsFilter
from runwire.runs.run import RunRecord
from runwire.storage import InstanceLogRecord, InstanceStorage

_RUNS_AT_ONCE = 500

_SCANNED = 20_000
"""How many positions one read goes over at most, so that a rare entry is not sought while others wait."""


@dataclass(frozen=True, slots=True)
class InstanceLogPlace:
    """Which log it is, and which positions it has: those after `purged_position` up to `head`."""

    log_id: str
    purged_position: int
    head: int


@dataclass(frozen=True, slots=True)
class InstancePage:
    """Entries up to a position, and the runs that they tell of, never older than that."""

    entries: Sequence[InstanceLogRecord]
    runs: Mapping[str, RunRecord]
    to_position: int


def read_place(storage: InstanceStorage) -> InstanceLogPlace:
    """The place of the instance-wide log. Synchronous: runs in a lane."""
    logs = storage.event_log_storage
    span = logs.get_instance_log_span()
    return InstanceLogPlace(logs.get_instance_log_id(), span.purged_position, span.head)


class InstanceLogReads:
    """Reads the log in the lane for it. Asks again, for a while, where a storage does not answer.

    A hole counts as no answer.
    """

    def __init__(self, storage: InstanceStorage, lanes: Lanes, give_up_seconds: float) -> None:
        self._storage = storage
        self._reads = PatientReads(lanes, give_up_seconds)

    async def place(self) -> InstanceLogPlace:
        """Which log it is, and what it spans.

        Raises:
            StorageUnavailableError: there was no good answer for too long.
        """
        return await self._reads.read(functools.partial(read_place, self._storage))

    async def all(self, after: int, limit: int) -> InstancePage:
        """Every entry that follows a position, where some were seen to; at least one, at most `limit`.

        Raises:
            CursorExpiredError: what follows was purged.
            StorageUnavailableError: there was no good answer for too long.
        """
        return await self._reads.read(functools.partial(_read_all, self._storage, after, limit))

    async def wanted(self, wanted: Wanted, after: int, to: int, limit: int) -> InstancePage:
        """The wanted entries after a position, at most `limit`, up to another one or as far as was read.

        Raises:
            CursorExpiredError: what follows was purged.
            StorageUnavailableError: there was no good answer for too long.
        """
        return await self._reads.read(
            functools.partial(_read_wanted, self._storage, wanted, after, to, limit)
        )


def _read_all(storage: InstanceStorage, after: int, limit: int) -> InstancePage:
    logs = storage.event_log_storage
    entries = logs.get_event_records(after=after, limit=limit, kinds=ALL_KINDS).records
    if not entries or not is_contiguous(entries, after):
        raise StorageUnavailableError(
            f"the instance-wide log has a hole after position {after}; its storage is damaged, or was put"
            " back to an earlier state"
        )
    return InstancePage(entries, _read_runs(storage, entries), entries[-1].position)


def _read_wanted(
    storage: InstanceStorage, wanted: Wanted, after: int, to: int, limit: int
) -> InstancePage:
    if wanted == Wanted():
        return _read_all(storage, after, min(limit, to - after))
    end = min(to, after + _SCANNED)
    page = storage.event_log_storage.get_event_records(
        wanted.filter, after=after, before=end + 1, limit=limit, kinds=wanted.kinds
    )
    reached = page.records[-1].position if page.has_more else end
    return InstancePage(page.records, _read_runs(storage, page.records), reached)


def _read_runs(
    storage: InstanceStorage, entries: Sequence[InstanceLogRecord]
) -> dict[str, RunRecord]:
    """The runs of entries. They are read after these, so that they are never older."""
    runs: dict[str, RunRecord] = {}
    run_ids = sorted({entry.run_id for entry in entries})
    for first in range(0, len(run_ids), _RUNS_AT_ONCE):
        some = frozenset(run_ids[first : first + _RUNS_AT_ONCE])
        page = storage.run_storage.get_run_records(RunsFilter(run_ids=some), limit=len(some))
        runs.update((record.run_id, record) for record in page.records)
    return runs
