"""The contract of the storage of runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from runwire import clock
from runwire.error_info import ErrorInfo
from runwire.errors import RunNotFoundError
from runwire.events.entry import EventLogRecord
from runwire.runs.filters import (
    NEWEST_FIRST,
    OLDEST_FIRST,
    RunOrder,
    RunPlace,
    RunsFilter,
    TagFilter,
)
from runwire.runs.run import Run, RunRecord, StepCounts
from runwire.runs.status import RunStatus
from runwire.snapshots import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonHeartbeat:
    """A sign of life of a daemon. Instants are epoch seconds.

    Attributes:
        daemon_type: which daemon it is.
        daemon_id: the id of its process.
        hostname: the host that the process runs on.
        timestamp: when it beat.
        progress_at: when its loop last made progress; for a stand-by, when it last looked at the lease.
        errors: its latest errors, newest first, at most five.
        stopped: whether it was its last, because it was shut down in order.
    """

    daemon_type: str
    daemon_id: str
    hostname: str
    timestamp: float
    progress_at: float
    errors: tuple[ErrorInfo, ...] = ()
    stopped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonLease:
    """Who may do the work of a daemon type, and until when, in epoch seconds, unless it is renewed."""

    daemon_type: str
    daemon_id: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class RunsPage:
    """Some runs in order, and whether more follow in the direction of reading."""

    records: list[RunRecord]
    has_more: bool


@dataclass(frozen=True, slots=True)
class RunGroup:
    """The runs that descend from one root by re-execution.

    Attributes:
        root_run_id: the id of its root, which may be deleted.
        records: its runs, oldest first, the root included; as many as were asked for.
        count: how many runs it has.
    """

    root_run_id: str
    records: list[RunRecord]
    count: int


@dataclass(frozen=True, slots=True)
class ListedRunGroup:
    """A group in a list of groups.

    Attributes:
        newest: the newest of its runs that match, whose place is that of the group.
        count: how many runs it has, whether they match or not.
    """

    newest: RunRecord
    count: int

    @property
    def root_run_id(self) -> str:
        """The id of its root, which may be deleted."""
        return self.newest.root_run_id


@dataclass(frozen=True, slots=True)
class RunGroupsPage:
    """Some groups in order, and whether more follow."""

    groups: list[ListedRunGroup]
    has_more: bool


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A text that makes the request for a run safe to repeat, and the digest of the request's input."""

    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class JobPlace:
    """Names a job by where it is."""

    location_name: str
    repository_name: str
    job_name: str

    def is_that_of(self, run: Run) -> bool:
        """Whether it is the job of a run."""
        place = (run.location_name, run.repository_name, run.job_name)
        return place == (self.location_name, self.repository_name, self.job_name)


class HeldRun(ABC):
    """A run whose row is locked by one transaction: nobody else can write it until the hold ends.

    What is done through it becomes visible, and durable (synced), together when the hold ends normally, and
    not at all when it ends by an exception.
    """

    @property
    @abstractmethod
    def record(self) -> RunRecord:
        """The run as it is, with what was done through this hold."""

    @abstractmethod
    def apply(self, events: Sequence[EventLogRecord], counts: StepCounts | None = None) -> None:
        """Makes the run reflect events of its log.

        For each event after `record.applied_position`, in order: projects it
        (`runwire.runs.projection.project`), appends it to the instance-wide log if it is mirrored, and
        updates the asset index if it is an asset event that is applied. Events at or before the applied
        position change nothing, so that repair may give them again.

        Args:
            events: records of this run's log, by position. Only mirrored ones need to be among them;
                `applied_position` moves to the last one.
            counts: the counts of the log, kept on the run.
        """

    @abstractmethod
    def add_tags(self, tags: Mapping[str, str]) -> None:
        """Merges tags into the run's, moves `updated_at`, and notes the change in the instance-wide log.

        Tags of lineage (`runwire.runs.tags.LINEAGE_TAGS`) are passed over.
        """

    @abstractmethod
    def delete(self) -> None:
        """Deletes the row and its tags, and leaves a tombstone in the instance-wide log."""

    @abstractmethod
    def count_in_progress(self, tags: Sequence[TagFilter] = ()) -> list[int]:
        """How many runs are in progress now: all of them, then, for each tag, those of them that have it.

        Costs as much as there are runs in progress, whatever others there are.
        """


class RunStorage(ABC):
    """Keeps runs, their tags, the snapshots that they were made from, and daemon heartbeats and leases.

    It also keeps what must commit together with a run's row: the instance-wide log with its dense,
    commit-ordered positions, and the asset index. All methods are thread-safe and may be called from any
    process that opens the same storage. Readers never write: no method that reads repairs, creates or
    migrates anything.

    Every method raises StorageUnavailableError when the storage cannot be read or written.
    """

    @abstractmethod
    def add_run(
        self, run: Run, *, created_at: float, request: RequestKey | None = None
    ) -> tuple[RunRecord, bool]:
        """Adds a run in NOT_STARTED (MANAGED if `run.managed`), with a fresh `log_id`.

        Notes the making in the instance-wide log, in the same transaction. The snapshots that the run
        names must have been added. The run's parent and root, and nothing else, become its tags of lineage
        (`runwire.runs.tags.LINEAGE_TAGS`).

        Args:
            run: the run.
            created_at: when it is made, in epoch seconds.
            request: the request's key; at most one run has a key.

        Returns:
            The stored run, and whether this call made it. When a run with the same request key and digest
            exists, that run and False, whatever `run.run_id` says.

        Raises:
            RunAlreadyExistsError: the run id, or the request key with another digest, belongs to a run.
            SnapshotNotFoundError: a snapshot that the run names was not added.
        """

    @abstractmethod
    def find_run_record(self, run_id: str) -> RunRecord | None:
        """The run of an id; None when there is none."""

    @abstractmethod
    def get_run_records(
        self,
        filter: RunsFilter | None = None,
        *,
        order: RunOrder = NEWEST_FIRST,
        after: RunPlace | None = None,
        limit: int,
        backward: bool = False,
    ) -> RunsPage:
        """Runs that match, in order, from a place on (exclusive); from the start when `after` is None.

        With `backward`, reading goes from the place (or the end) towards the start; records are in reading
        direction. The place need not belong to a run that still exists. At most `limit` records.
        """

    @abstractmethod
    def get_runs_count(self, filter: RunsFilter | None = None, *, limit: int | None = None) -> int:
        """How many runs match, counted no further than `limit`."""

    def get_run_group(self, run_id: str, *, limit: int) -> RunGroup:
        """The group of a run, with its first `limit` runs. A run that was never re-executed is a group of one.

        Raises:
            RunNotFoundError: there is no such run.
        """
        record = self.find_run_record(run_id)
        if record is None:
            raise RunNotFoundError(run_id)
        wanted = RunsFilter(root_run_id=record.root_run_id)
        page = self.get_run_records(wanted, order=OLDEST_FIRST, limit=limit)
        count = self.get_runs_count(wanted) if page.has_more else len(page.records)
        return RunGroup(record.root_run_id, page.records, count)

    def get_run_groups(
        self, filter: RunsFilter | None = None, *, after: RunPlace | None = None, limit: int
    ) -> RunGroupsPage:
        """The groups that have runs that match, from a place of `NEWEST_FIRST` on (exclusive).

        Each group is listed once, at the place of the newest of its runs that match; so the place to go on
        from is that of the last group's `newest`. At most `limit` groups.
        """
        found: dict[str, ListedRunGroup] = {}
        place, has_more = after, True
        while has_more and len(found) <= limit:
            page = self.get_run_records(filter, after=place, limit=limit + 1)
            for group in self._groups_of(page.records, filter, is_first_page=after is None):
                found.setdefault(group.root_run_id, group)
            has_more = page.has_more
            place = RunPlace.of(page.records[-1], NEWEST_FIRST) if page.records else place
        groups = list(found.values())
        return RunGroupsPage(groups[:limit], len(groups) > limit)

    def _groups_of(
        self, records: Sequence[RunRecord], filter: RunsFilter | None, *, is_first_page: bool
    ) -> Iterator[ListedRunGroup]:
        """The groups of runs that match, in their order, without those that earlier pages have."""
        newest: dict[str, RunRecord] = {}
        for record in records:
            newest.setdefault(record.root_run_id, record)
        counts = self.get_run_group_counts(newest)
        for root_run_id, record in newest.items():
            count = max(1, counts.get(root_run_id, 0))  # deleted meanwhile
            if count > 1 and not is_first_page:
                wanted = replace(filter or RunsFilter(), root_run_id=root_run_id)
                matching = self.get_run_records(wanted, limit=1).records
                if matching and matching[0].storage_id != record.storage_id:
                    continue
            yield ListedRunGroup(record, count)

    @abstractmethod
    def get_run_group_counts(self, root_run_ids: Collection[str]) -> dict[str, int]:
        """How many runs each of these groups has, by the id of its root; without those that have none."""

    @abstractmethod
    def find_requested_run(self, request: RequestKey) -> RunRecord | None:
        """The run that was made under a request key; None when there is none.

        Raises:
            RunAlreadyExistsError: the key belongs to a run of another digest.
        """

    @abstractmethod
    def get_requested_runs(self, keys: Collection[str]) -> dict[str, RunRecord]:
        """The runs that were made under request keys (`RequestKey.key`), by key, whatever their digests are.

        Args:
            keys: the keys, at most a thousand; those that no run has are not in the answer.
        """

    @abstractmethod
    def get_partition_runs(
        self,
        keys: Collection[str],
        *,
        job: JobPlace | None = None,
        backfill_id: str | None = None,
    ) -> dict[str, RunRecord]:
        """The newest run of each of these partitions (`runwire.runs.tags.PARTITION_TAG`), by its key.

        Args:
            keys: the keys, at most a thousand; those that no run has are not in the answer.
            job: only runs of this job.
            backfill_id: only runs of this backfill.
        """

    @abstractmethod
    def get_backfill_run_counts(self, backfill_id: str) -> dict[RunStatus, int]:
        """How many partitions of a backfill have a newest run in each status; no key for a status without any.

        Costs as much as the backfill has runs, whatever others there are.
        """

    @abstractmethod
    def hold_run(self, run_id: str, *, claiming: bool = False) -> AbstractContextManager[HeldRun]:
        """Locks a run for writing; waits for other holders.

        Args:
            run_id: the run.
            claiming: whether it is held in order to be taken from the queue. Of these holds there is one at a
                time, in all processes, so that what it counts in progress does not grow by another one.

        Raises:
            RunNotFoundError: there is no such run.
        """

    @abstractmethod
    def get_unfinished_run_ids(self) -> list[str]:
        """The ids of the runs that have not ended, oldest first."""

    @abstractmethod
    def get_run_tag_keys(self, prefix: str = "", limit: int = 100) -> list[str]:
        """Keys of tags in use that begin with a prefix, by name."""

    @abstractmethod
    def get_run_tag_values(self, key: str, prefix: str = "", limit: int = 100) -> list[str]:
        """Values in use of a tag that begin with a prefix, by name."""

    @abstractmethod
    def add_snapshot(self, snapshot: Snapshot) -> str:
        """Keeps a snapshot and returns its id; adding the same again changes nothing."""

    @abstractmethod
    def get_snapshot(self, snapshot_id: str) -> Snapshot:
        """A snapshot.

        Raises:
            SnapshotNotFoundError: it was never added.
        """

    def now(self) -> float:
        """The instant, in epoch seconds, by which all that open the storage compare leases and heartbeats.

        That of this host, unless the storage has a clock which hosts share.
        """
        return clock.timestamp()

    @abstractmethod
    def add_daemon_heartbeat(self, heartbeat: DaemonHeartbeat) -> None:
        """Keeps the latest heartbeat of each process of a daemon type, atomically.

        Forgets those of other processes of the type that are older by more than an hour.
        """

    @abstractmethod
    def get_daemon_heartbeats(self) -> dict[str, DaemonHeartbeat]:
        """The heartbeat that counts, by daemon type.

        That of the process that holds the lease or held it last; without a lease, the latest one.
        """

    @abstractmethod
    def list_daemon_heartbeats(self) -> list[DaemonHeartbeat]:
        """The latest heartbeat of every process, by daemon type, the newest first."""

    @abstractmethod
    def claim_daemon_lease(
        self, daemon_type: str, daemon_id: str, *, now: float, lease_seconds: float
    ) -> DaemonLease:
        """Takes or renews a lease until ``now + lease_seconds``, if it is free, expired, or one's own.

        In one transaction: of any number of processes that claim it at once, one gets it.

        Returns:
            The lease as it is then; it is the caller's if `daemon_id` says so.
        """

    @abstractmethod
    def release_daemon_lease(self, daemon_type: str, daemon_id: str) -> None:
        """Ends a lease at once, if it is one's own: it is kept, expired, with whoever held it last."""

    @abstractmethod
    def get_daemon_leases(self) -> dict[str, DaemonLease]:
        """The leases by daemon type, expired ones as well."""

    @abstractmethod
    def purge_daemons(self, before: float) -> int:
        """Forgets heartbeats before an instant, and leases that had expired then.

        A lease stays as long as there is a heartbeat of its daemon type, for it tells which one counts.

        Args:
            before: the instant in epoch seconds, exclusive.

        Returns:
            How many heartbeats it deleted.
        """

    @abstractmethod
    def find_consumer_position(self, consumer: str) -> int | None:
        """Up to where of the instance-wide log a consumer has done its work; None when it never said.

        Args:
            consumer: its name, of 1 to 200 characters.
        """

    @abstractmethod
    def move_consumer(self, consumer: str, position: int) -> int:
        """Notes, synced, that a consumer has done its work up to a position of the instance-wide log.

        It never goes back: of several processes that do the work of a consumer, the one that is ahead counts.

        Returns:
            The position then, which is the greatest that was noted.
        """

    @abstractmethod
    def wipe(self) -> None:
        """Deletes everything that this storage keeps; logs of a later run never reuse a `log_id`."""

    @abstractmethod
    def dispose(self) -> None:
        """Frees files and connections. Harmless when called twice."""
