"""The contract of the storage of event logs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.filters import EventFilter, EventRecordsFilter
from runwire.runs.run import RunRecord, StepCounts
from runwire.runs.steps import StepHistory
from runwire.storage.asset_index import AssetIndex
from runwire.storage.instance_log import MAX_PAGE, InstanceEventKind, InstanceLogRecord
from runwire.storage.run_storage import HeldRun


@dataclass(frozen=True, slots=True)
class EventLogPage:
    """Records in order of position (descending if so asked), and whether more follow in that direction."""

    records: list[EventLogRecord]
    has_more: bool


@dataclass(frozen=True, slots=True)
class LogHead:
    """The end of a run's log: the last position, and the position of the applied terminal event, if any."""

    position: int
    terminal_position: int | None


@dataclass(frozen=True, slots=True)
class Append:
    """Entries to append to one run's log, and what guards them.

    Attributes:
        entries: the entries, in order; at least one.
        applied: for each entry whether it takes effect.
        epoch: the worker epoch that writes; None for an outsider.
        handover_epoch: with a hand-over to a worker, the epoch that the log demands from now on; recorded
            on the entries as their epoch.
        ends_run: whether one of the entries is an applied terminal event.
        idempotency_key: with this key the entries are stored once in this log.
    """

    entries: Sequence[EventLogEntry]
    applied: Sequence[bool]
    epoch: int | None = None
    handover_epoch: int | None = None
    ends_run: bool = False
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class InstanceLogPage:
    """Entries of the instance-wide log in order, and whether more follow in the direction of reading."""

    records: list[InstanceLogRecord]
    has_more: bool


@dataclass(frozen=True, slots=True)
class InstanceLogSpan:
    """What the instance-wide log has: the entries after `purged_position` up to `head`."""

    purged_position: int
    head: int


class HeadsWatch(ABC):
    """Tells which of the watched logs grew. Cheap while nothing happens. Used from one thread at a time."""

    @abstractmethod
    def watch(self, run_id: str) -> None:
        """Watches a run, whose log need not exist yet. The next poll reports its head, if it has one."""

    @abstractmethod
    def unwatch(self, run_id: str) -> None:
        """Stops watching a run; harmless when it is not watched."""

    @abstractmethod
    def poll(self) -> dict[str, LogHead]:
        """The heads of the watched runs whose log moved since the last poll, or was deleted (position 0).

        Of many that are watched and were idle for seconds, some may be told by one of the next polls only: at
        least a thousand are looked at by each.
        """

    @abstractmethod
    def poll_instance_log(self) -> int | None:
        """The head of the instance-wide log if it moved since the last call; the first call tells it.

        Any entry moves it, a purge does not; a wipe puts it back to 0.
        """

    @abstractmethod
    def close(self) -> None:
        """Frees what the watch holds. Harmless when called twice."""


class EventLogStorage(ABC):
    """Keeps the event log of each run, append-only, with dense positions 1, 2, 3 … n.

    A position is assigned in the transaction that stores the event, so that commit order is position order
    for any number of writers and processes, and a reader that has seen position n will never see a smaller
    one appear. A reader sees a prefix of the log, never a hole. Readers never create a log. All methods are
    thread-safe. Every method raises StorageUnavailableError when the storage cannot be read or written.
    """

    @property
    @abstractmethod
    def asset_index(self) -> AssetIndex:
        """Tells of assets, from the events in the instance-wide log."""

    @abstractmethod
    def append(
        self, record: RunRecord, append: Append, held: HeldRun | None = None
    ) -> list[EventLogRecord]:
        """Appends entries to a run's log in one transaction, all or none; creates the log if need be.

        Synced to disk before it returns if an entry is durable (`EventLogEntry.is_durable`).
        The guards are checked in the same transaction, against the log's own copies:

        * `epoch` is not the log's epoch: refused.
        * the log has an applied terminal event, and `epoch` is given, and an entry is not a run event: refused.

        Args:
            record: the run; its `log_id` names the log. A log of another id, left over from a deleted run
                of the same run id, is never touched.
            append: what to append.
            held: the hold of this run, needed if an entry is mirrored. A storage that keeps runs and logs
                in one database appends in the hold's transaction.

        Returns:
            The stored records, in order.

        Raises:
            StaleWorkerError: the epoch is not the log's.
            RunFinishedError: a worker wrote something other than a run event after the end.
            RunNotFoundError: the log does not exist, and the run does not either, or has another log.
        """

    @abstractmethod
    def find_batch(
        self, record: RunRecord, idempotency_key: str, held: HeldRun | None = None
    ) -> list[EventLogRecord] | None:
        """The records that were stored with an idempotency key; None when none were.

        With `held`, this and the other reads that take it see what was appended through the hold.
        """

    @abstractmethod
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
        """Records with after < position < before that match, in order; at most `limit`.

        Empty when the log does not exist. Without a filter, ascending positions are contiguous.
        """

    @abstractmethod
    def get_records_count(
        self, record: RunRecord, filter: EventFilter | None = None, *, limit: int | None = None
    ) -> int:
        """How many records match, counted no further than `limit`."""

    @abstractmethod
    def get_head(self, record: RunRecord) -> LogHead:
        """The end of the log; position 0 when it does not exist."""

    @abstractmethod
    def get_mirrored_records(
        self, record: RunRecord, after: int, held: HeldRun | None = None
    ) -> list[EventLogRecord]:
        """The mirrored events after a position, in order: what repair replays. Cheap when there are none."""

    @abstractmethod
    def get_run_stats(self, record: RunRecord, held: HeldRun | None = None) -> StepCounts:
        """Counts over the log, as StepCounts says; `planned` is at least `record.run.steps_planned`.

        Lines and other events than those of `STEP_STATS_EVENTS` are passed over by the storage: a hundred
        thousand of them cost some ten milliseconds.

        Args:
            record: the run.
            held: the hold of who ends the run, whose log has an applied terminal event then; None for others.
        """

    @abstractmethod
    def get_step_stats(
        self, record: RunRecord, step_keys: Collection[str] | None = None
    ) -> dict[str, StepHistory]:
        """The histories of steps, with attempts and markers, by key, as `fold_steps` makes them of the log.

        In the order in which events of `STEP_STATS_EVENTS` name them first; a step that none names is not
        there. Lines and other events are passed over by the storage, as by `get_run_stats`.

        Args:
            record: the run.
            step_keys: only these steps; all when None.
        """

    @abstractmethod
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
        """Entries of the instance-wide log with after < position < before that match, in order.

        At most `limit`. Of the filter, run changes heed `job_names` and the timestamps; none of them matches
        a filter by asset. Without a filter, and of all kinds, ascending positions are contiguous.

        Raises:
            CursorExpiredError: entries after the position `after` were purged.
        """

    @abstractmethod
    def get_instance_log_id(self) -> str:
        """The id of the instance-wide log, part of its cursors."""

    @abstractmethod
    def get_instance_log_span(self) -> InstanceLogSpan:
        """Which entries of the instance-wide log are there, all as of one moment."""

    @abstractmethod
    def purge_instance_log(self, up_to: int) -> int:
        """Deletes the entries of the instance-wide log up to a position, in small transactions.

        A reader never sees a part of what one of them deletes; cursors before the last one have expired. The
        asset index keeps what it tells.

        Args:
            up_to: the last position to delete; beyond the head, the head.

        Returns:
            How many positions were purged.
        """

    @abstractmethod
    def open_heads(self) -> HeadsWatch:
        """A new watch of the heads of logs, for one follower."""

    @abstractmethod
    def watch(
        self, record: RunRecord, after: int, callback: Callable[[EventLogRecord], None]
    ) -> None:
        """Calls the callback, from a thread of the storage, with each record after a position, once, in order.

        An exception in a callback is logged and ends that watch only. A callback may end its own watch.
        """

    @abstractmethod
    def end_watch(self, run_id: str, callback: Callable[[EventLogRecord], None]) -> None:
        """Ends a watch; after it returns the callback is not called any more. Harmless when there is none."""

    @abstractmethod
    def delete_log(self, record: RunRecord) -> None:
        """Deletes the log that the record names by `log_id`; harmless when there is none."""

    def sweep_orphans(self, before: float) -> Iterator[int]:
        """Deletes what a crash has left of logs that no run owns, a little before each value; none by default.

        Where a log can outlive its run, and be found, only what nobody has changed since an instant goes. In any
        number of processes at once. No transaction stays open between two values.

        Args:
            before: the instant, in epoch seconds.

        Yields:
            After each little bit of work, how many logs and drafts of logs it deleted.
        """
        return iter(())

    @abstractmethod
    def wipe(self) -> None:
        """Deletes all logs."""

    @abstractmethod
    def dispose(self) -> None:
        """Frees files, connections and threads. Harmless when called twice."""
