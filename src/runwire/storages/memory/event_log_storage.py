"""Event logs in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import islice

from runwire.errors import RunFinishedError, RunNotFoundError, StaleWorkerError
from runwire.events.entry import EventLogRecord, storable_text
from runwire.events.filters import EventFilter, EventRecordsFilter
from runwire.events.types import MIRRORED_EVENTS
from runwire.runs.run import RunRecord, StepCounts
from runwire.runs.steps import StepHistory, StepTally, fold_steps
from runwire.storage.asset_index import AssetIndex
from runwire.storage.event_log_storage import (
    Append,
    EventLogPage,
    EventLogStorage,
    HeadsWatch,
    InstanceLogPage,
    InstanceLogSpan,
    LogHead,
)
from runwire.storage.instance_log import MAX_PAGE, InstanceEventKind
from runwire.storage.instance_log_filter import matches
from runwire.storage.run_storage import HeldRun
from runwire.storages.memory.asset_index import MemoryAssetIndex, note_purge
from runwire.storages.memory.heads import MemoryHeadsWatch
from runwire.storages.memory.held_run import MemoryHeldRun
from runwire.storages.memory.state import Log, State
from runwire.storages.stored_form import (
    check_not_purged,
    end_of_run,
    event_record,
    stored_events,
)
from runwire.storages.watcher import LogWatcher

_NO_LOG = Log()


class MemoryEventLogStorage(EventLogStorage):
    """Keeps event logs in a state that it shares with the runs."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._watcher = LogWatcher(self)
        self._asset_index = MemoryAssetIndex(state)

    @property
    def asset_index(self) -> AssetIndex:
        return self._asset_index

    def append(
        self, record: RunRecord, append: Append, held: HeldRun | None = None
    ) -> list[EventLogRecord]:
        with self._state.lock:
            log = self._find_log(record, held)
            if log is None:
                log = self._new_log(record, held)
            _check(record, append, log)
            # What a hold that was given up left behind the head is cut off.
            del log.records[log.head :]
            columns = stored_events(append, log.head)
            records = [event_record(record.run_id, each) for each in columns]
            log.records.extend(records)
            grown = _grown(log, append, records)
            if isinstance(held, MemoryHeldRun):
                held.stage_log(grown)
            else:
                self._state.logs[record.log_id] = grown
            return records

    def find_batch(
        self, record: RunRecord, idempotency_key: str, held: HeldRun | None = None
    ) -> list[EventLogRecord] | None:
        with self._state.lock:
            log = self._find_log(record, held) or _NO_LOG
            span = log.batches.get(idempotency_key)
            return None if span is None else log.records[span[0] - 1 : span[1]]

    def get_records(
        self,
        record: RunRecord,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = MAX_PAGE,
        descending: bool = False,
        filter: EventFilter | None = None,
    ) -> EventLogPage:
        records = self._read(record, after=after, before=before)
        if descending:
            records.reverse()
        limit = min(limit, MAX_PAGE)
        matching = (each for each in records if filter is None or filter.matches(each))
        page = list(islice(matching, limit + 1))
        return EventLogPage(page[:limit], len(page) > limit)

    def get_records_count(
        self, record: RunRecord, filter: EventFilter | None = None, *, limit: int | None = None
    ) -> int:
        matching = (r for r in self._read(record) if filter is None or filter.matches(r))
        return sum(1 for _ in islice(matching, limit))

    def get_head(self, record: RunRecord) -> LogHead:
        with self._state.lock:
            return (self._state.log_of(record) or _NO_LOG).end

    def get_mirrored_records(
        self, record: RunRecord, after: int, held: HeldRun | None = None
    ) -> list[EventLogRecord]:
        records = self._read(record, held, after=after)
        return [each for each in records if each.event_type in MIRRORED_EVENTS]

    def get_run_stats(self, record: RunRecord, held: HeldRun | None = None) -> StepCounts:
        tally = StepTally()
        with self._state.lock:
            log = self._find_log(record, held) or _NO_LOG
            for event in islice(log.records, log.head):
                tally.count(event.stored_type, event.step_key)
        return tally.counts(record, has_ended=log.terminal_position is not None)

    def get_step_stats(
        self, record: RunRecord, step_keys: Collection[str] | None = None
    ) -> dict[str, StepHistory]:
        wanted = None if step_keys is None else set(map(storable_text, step_keys))
        records = self._read(record)
        return fold_steps({}, (r for r in records if wanted is None or r.step_key in wanted))

    def get_event_records(
        self,
        filter: EventRecordsFilter | None = None,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = MAX_PAGE,
        descending: bool = False,
        kinds: Collection[InstanceEventKind] = (InstanceEventKind.EVENT,),
    ) -> InstanceLogPage:
        state = self._state
        with state.lock:
            purged = state.purged_position
            check_not_purged(after, purged, state.instance_log_id)
            entries = state.instance_log[
                after - purged : None if before is None else max(before - 1 - purged, 0)
            ]
        if descending:
            entries.reverse()
        limit = min(limit, MAX_PAGE)
        matching = (e for e in entries if e.kind in kinds and matches(filter, e))
        page = list(islice(matching, limit + 1))
        return InstanceLogPage(page[:limit], len(page) > limit)

    def get_instance_log_id(self) -> str:
        with self._state.lock:
            return self._state.instance_log_id

    def get_instance_log_span(self) -> InstanceLogSpan:
        with self._state.lock:
            return InstanceLogSpan(self._state.purged_position, self._state.instance_head)

    def purge_instance_log(self, up_to: int) -> int:
        state = self._state
        with state.lock:
            number = max(min(up_to, state.instance_head) - state.purged_position, 0)
            note_purge(state.assets, state.instance_log[:number])
            del state.instance_log[:number]
            state.purged_position += number
            return number

    def open_heads(self) -> HeadsWatch:
        return MemoryHeadsWatch(self._state)

    def watch(
        self, record: RunRecord, after: int, callback: Callable[[EventLogRecord], None]
    ) -> None:
        self._watcher.watch(record, after, callback)

    def end_watch(self, run_id: str, callback: Callable[[EventLogRecord], None]) -> None:
        self._watcher.end_watch(run_id, callback)

    def delete_log(self, record: RunRecord) -> None:
        with self._state.lock:
            self._state.logs.pop(record.log_id, None)

    def wipe(self) -> None:
        with self._state.lock:
            self._state.logs.clear()

    def dispose(self) -> None:
        self._watcher.dispose()

    def _find_log(self, record: RunRecord, held: HeldRun | None) -> Log | None:
        return held.log if isinstance(held, MemoryHeldRun) else self._state.log_of(record)

    def _new_log(self, record: RunRecord, held: HeldRun | None) -> Log:
        run = self._state.runs.get(record.run_id) if held is None else held.record
        if run is None or run.log_id != record.log_id:
            raise RunNotFoundError(record.run_id)
        return Log(epoch=run.worker_epoch)

    def _read(
        self,
        record: RunRecord,
        held: HeldRun | None = None,
        *,
        after: int = 0,
        before: int | None = None,
    ) -> list[EventLogRecord]:
        with self._state.lock:
            log = self._find_log(record, held) or _NO_LOG
            end = log.head if before is None else min(log.head, max(before - 1, 0))
            return log.records[after:end]


def _check(record: RunRecord, append: Append, log: Log) -> None:
    if append.epoch is None:
        return
    if append.epoch != log.epoch:
        raise StaleWorkerError(record.run_id, append.epoch, log.epoch)
    if log.terminal_position is not None and not all(e.is_run_event for e in append.entries):
        raise RunFinishedError(record.run_id)


def _grown(log: Log, append: Append, records: Sequence[EventLogRecord]) -> Log:
    head = records[-1].position
    batches = log.batches
    if append.idempotency_key is not None:
        batches = {**batches, append.idempotency_key: (records[0].position, head)}
    return Log(
        records=log.records,
        head=head,
        epoch=log.epoch if append.handover_epoch is None else append.handover_epoch,
        terminal_position=end_of_run(append, records) or log.terminal_position,
        batches=batches,
    )
