"""Event logs in one storage, of runs in another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from runwire.events.entry import EventLogRecord
from runwire.events.filters import EventFilter, EventRecordsFilter
from runwire.runs.run import RunRecord, StepCounts
from runwire.runs.steps import StepHistory
from runwire.storage import (
    MAX_PAGE,
    Append,
    AssetIndex,
    EventLogPage,
    EventLogStorage,
    HeadsWatch,
    HeldRun,
    InstanceEventKind,
    InstanceLogPage,
    InstanceLogSpan,
    InstanceStorage,
    LogHead,
)
from runwire.storages.composed.stand_ins import StandIns
from runwire.storages.watcher import LogWatcher

_EMPTY = LogHead(0, None)


class ComposedEventLogStorage(EventLogStorage):
    """Keeps the logs of runs in one storage, and leaves the instance-wide log where the runs are.

    An append and what it changes of its run commit one after the other, the log first, as
    `runwire.storage.instance_storage` says of storages that do not share a database.

    Args:
        runs: the storage of the runs, which has the instance-wide log and the asset index too.
        logs: the storage of the logs, which has a stand-in for each run.
    """

    def __init__(self, runs: InstanceStorage, logs: InstanceStorage) -> None:
        self._index = runs.event_log_storage
        self._logs = logs.event_log_storage
        self._stand_ins = StandIns(runs.run_storage, logs)
        self._watcher = LogWatcher(self)

    # ------------------------------------------------------------ the log of a run

    def append(
        self, record: RunRecord, append: Append, held: HeldRun | None = None
    ) -> list[EventLogRecord]:
        return self._logs.append(self._stand_ins.find_or_make(record), append)

    def find_batch(
        self, record: RunRecord, idempotency_key: str, held: HeldRun | None = None
    ) -> list[EventLogRecord] | None:
        placed = self._stand_ins.find(record)
        return None if placed is None else self._logs.find_batch(placed, idempotency_key)

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
        placed = self._stand_ins.find(record)
        if placed is None:
            return EventLogPage([], has_more=False)
        return self._logs.get_records(
            placed, after=after, before=before, limit=limit, descending=descending, filter=filter
        )

    def get_records_count(
        self, record: RunRecord, filter: EventFilter | None = None, *, limit: int | None = None
    ) -> int:
        placed = self._stand_ins.find(record)
        return 0 if placed is None else self._logs.get_records_count(placed, filter, limit=limit)

    def get_head(self, record: RunRecord) -> LogHead:
        placed = self._stand_ins.find(record)
        return _EMPTY if placed is None else self._logs.get_head(placed)

    def get_mirrored_records(
        self, record: RunRecord, after: int, held: HeldRun | None = None
    ) -> list[EventLogRecord]:
        placed = self._stand_ins.find(record)
        return [] if placed is None else self._logs.get_mirrored_records(placed, after)

    def get_run_stats(self, record: RunRecord, held: HeldRun | None = None) -> StepCounts:
        # A log that is not there yet is empty under any name.
        return self._logs.get_run_stats(self._stand_ins.find(record) or record)

    def get_step_stats(
        self, record: RunRecord, step_keys: Collection[str] | None = None
    ) -> dict[str, StepHistory]:
        placed = self._stand_ins.find(record)
        return {} if placed is None else self._logs.get_step_stats(placed, step_keys)

    def watch(
        self, record: RunRecord, after: int, callback: Callable[[EventLogRecord], None]
    ) -> None:
        self._watcher.watch(record, after, callback)

    def end_watch(self, run_id: str, callback: Callable[[EventLogRecord], None]) -> None:
        self._watcher.end_watch(run_id, callback)

    def delete_log(self, record: RunRecord) -> None:
        self._stand_ins.delete(record)

    # ------------------------------------------------------------ all logs

    @property
    def asset_index(self) -> AssetIndex:
        return self._index.asset_index

    def open_heads(self) -> HeadsWatch:
        return _HeadsWatch(self._logs.open_heads(), self._index.open_heads())

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
        return self._index.get_event_records(
            filter, after=after, before=before, limit=limit, descending=descending, kinds=kinds
        )

    def get_instance_log_id(self) -> str:
        return self._index.get_instance_log_id()

    def get_instance_log_span(self) -> InstanceLogSpan:
        return self._index.get_instance_log_span()

    def purge_instance_log(self, up_to: int) -> int:
        return self._index.purge_instance_log(up_to)

    def sweep_orphans(self, before: float) -> Iterator[int]:
        yield from self._stand_ins.sweep()
        yield from self._logs.sweep_orphans(before)

    def wipe(self) -> None:
        self._stand_ins.wipe()

    def dispose(self) -> None:
        self._watcher.dispose()


class _HeadsWatch(HeadsWatch):
    """Asks each storage for what it keeps."""

    def __init__(self, logs: HeadsWatch, index: HeadsWatch) -> None:
        self._logs = logs
        self._index = index

    def watch(self, run_id: str) -> None:
        self._logs.watch(run_id)

    def unwatch(self, run_id: str) -> None:
        self._logs.unwatch(run_id)

    def poll(self) -> dict[str, LogHead]:
        return self._logs.poll()

    def poll_instance_log(self) -> int | None:
        return self._index.poll_instance_log()

    def close(self) -> None:
        self._logs.close()
        self._index.close()
