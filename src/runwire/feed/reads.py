"""What the feed reads of a storage: a run as its log has it, the head of the log, pages of it."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from runwire.errors import RunNotFoundError, StorageUnavailableError
from runwire.events.entry import EventLogRecord
from runwire.events.types import MIRRORED_EVENTS
from runwire.feed.batch import is_contiguous
from runwire.feed.patient_reads import PatientReads
from runwire.lanes import Lanes
from runwire.runs.projection import project
from runwire.runs.run import RunRecord
from runwire.storage import InstanceStorage, LogHead

_ROW_PAUSES = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064)
"""How long, in seconds, a row that is behind its log is waited for, time after time."""


@dataclass(frozen=True, slots=True)
class LogEnd:
    """The head of a run's log, and the run, never older than that."""

    run: RunRecord
    head: LogHead


@dataclass(frozen=True, slots=True)
class LogPage:
    """Contiguous records of a run's log, and the run, never older than the last of them."""

    run: RunRecord
    records: Sequence[EventLogRecord]


class LogReads:
    """Reads logs in the lane for it. Asks again, for a while, where a storage does not answer.

    What contradicts what was seen before (a hole, a log that became shorter) counts as no answer.
    """

    def __init__(self, storage: InstanceStorage, lanes: Lanes, give_up_seconds: float) -> None:
        self._storage = storage
        self._reads = PatientReads(lanes, give_up_seconds)

    async def end(self, record: RunRecord, seen: int = 0) -> LogEnd:
        """The head of a log that was seen to reach a position.

        Raises:
            RunNotFoundError: the run was deleted, even if made anew under its id.
            StorageUnavailableError: there was no good answer for too long.
        """
        return await self._reads.read(functools.partial(_read_end, self._storage, record, seen))

    async def page(
        self, record: RunRecord, after: int, limit: int, *, is_fresh: bool = False
    ) -> LogPage:
        """The records that follow a position, where some were seen to; at least one, at most `limit`.

        Args:
            record: the run.
            after: the position.
            limit: the most records.
            is_fresh: whether the record is the run as it was at that position, and so need not be read again unless
                a record tells of it.

        Raises:
            RunNotFoundError: the run was deleted, even if made anew under its id.
            StorageUnavailableError: there was no good answer for too long.
        """
        return await self._reads.read(
            functools.partial(_read_page, self._storage, record, after, limit, is_fresh=is_fresh)
        )


def _read_end(storage: InstanceStorage, record: RunRecord, seen: int) -> LogEnd:
    head = storage.event_log_storage.get_head(record)
    run = _read_run(storage, record)
    if head.position < seen:
        raise StorageUnavailableError(
            f"the log of run {record.run_id!r} ends at position {head.position}, but reached {seen}"
            " before; its storage is damaged, or was put back to an earlier state"
        )
    return LogEnd(run, head)


def _read_page(
    storage: InstanceStorage, record: RunRecord, after: int, limit: int, *, is_fresh: bool
) -> LogPage:
    records = storage.event_log_storage.get_records(record, after=after, limit=limit).records
    is_good = bool(records) and is_contiguous(records, after)
    if is_good and is_fresh and not any(map(_tells_of_the_run, records)):
        return LogPage(record, records)
    run = _read_run(storage, record)
    if not is_good:
        raise StorageUnavailableError(
            f"the log of run {record.run_id!r} has a hole after position {after}; its storage is"
            " damaged, or was put back to an earlier state"
        )
    return LogPage(run, records)


def _tells_of_the_run(record: EventLogRecord) -> bool:
    """Whether the run may be another after it. What this version does not know may well be of that kind."""
    if record.stored_type is None:
        return False
    return record.event_type is None or record.event_type in MIRRORED_EVENTS


def _read_run(storage: InstanceStorage, record: RunRecord) -> RunRecord:
    """The run as its log has it now.

    Its row may be a step behind. A writer that is alive brings it up within moments, and who was told of an
    event should find the run so when it asks; so that is waited for. After a crash nobody does.
    """
    row, missing = _read_row(storage, record)
    for pause in _ROW_PAUSES:
        if not missing:
            return row
        time.sleep(pause)
        row, missing = _read_row(storage, record)
    run = functools.reduce(project, missing, row)
    if run.is_finished and not row.is_finished:
        return replace(run, counts=storage.event_log_storage.get_run_stats(row))
    return run


def _read_row(
    storage: InstanceStorage, record: RunRecord
) -> tuple[RunRecord, Sequence[EventLogRecord]]:
    """The run's row, and the events of its log that the row does not reflect."""
    row = storage.run_storage.find_run_record(record.run_id)
    if row is None or row.log_id != record.log_id:
        raise RunNotFoundError(record.run_id)
    return row, storage.event_log_storage.get_mirrored_records(row, row.applied_position)
