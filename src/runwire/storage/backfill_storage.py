"""The contract of the storage of backfills: what was asked for, and how far it has come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from runwire.error_info import ErrorInfo
from runwire.errors import BackfillNotFoundError
from runwire.partitions import PartitionSelection
from runwire.storage.run_storage import RequestKey


class BackfillStatus(Enum):
    """How far a backfill has come."""

    REQUESTED = "REQUESTED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELING = "CANCELING"
    CANCELED = "CANCELED"

    @property
    def is_terminal(self) -> bool:
        """Whether it ends there, unless it is resumed."""
        return self in ENDED_BACKFILL


ENDED_BACKFILL = frozenset(
    {BackfillStatus.COMPLETED, BackfillStatus.FAILED, BackfillStatus.CANCELED}
)
"""The statuses in which nothing more happens to a backfill by itself."""

ACTIVE_BACKFILL = frozenset(BackfillStatus) - ENDED_BACKFILL
"""The statuses in which a daemon works on a backfill."""


class BackfillScope(Enum):
    """Which partitions of those chosen get a run."""

    MISSING = "MISSING"
    """Those whose last run did not succeed, and those without any."""
    ALL = "ALL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """Runs of one job for many partitions. Instants are epoch seconds.

    Attributes:
        number: the order of its making, larger for later ones; given by the storage, 0 before.
        backfill_id: its id.
        location_name, repository_name, job_name: its job.
        selection: the partitions that were chosen, in order.
        scope: which of them get a run.
        runs_at_once: how many of its runs there are at most that have not ended.
        tags: the tags of its runs, over those of the job.
        run_config: the run config of its runs; None for that of each partition.
        status: how far it has come.
        attempt: how often it was resumed.
        position: how many of the chosen partitions were seen to in this attempt, from the first on.
        skipped: how many of these needed no run by the scope.
        unmade: how many of these have no run because none could be made.
        terminates_runs: whether canceling it ends its runs that are in progress, not only those that wait.
        waiting: why it does not go on at the moment; None when it does.
        error: why it is FAILED; None otherwise.
        requested_by: the name of the principal that asked for it; None when the system did.
        created_at: when it was made.
        ended_at: when it ended last; None when it has not.
        version: how often this was written.
    """

    number: int = 0
    backfill_id: str
    location_name: str
    repository_name: str
    job_name: str
    selection: PartitionSelection
    scope: BackfillScope = BackfillScope.ALL
    runs_at_once: int = 25
    tags: Mapping[str, str] = field(default_factory=dict)
    run_config: Mapping[str, Any] | None = None
    status: BackfillStatus = BackfillStatus.REQUESTED
    attempt: int = 0
    position: int = 0
    skipped: int = 0
    unmade: int = 0
    terminates_runs: bool = False
    waiting: str | None = None
    error: ErrorInfo | None = None
    requested_by: str | None = None
    created_at: float
    ended_at: float | None = None
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillFailure:
    """A partition of a backfill whose run could not be made.

    Attributes:
        position: its place among the chosen partitions; the first is 0.
        partition_key: its key.
        error: why.
        failed_at: when that was, in epoch seconds.
    """

    position: int
    partition_key: str
    error: ErrorInfo
    failed_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillsFilter:
    """Which backfills. Fields are joined by and, the values of one by or; an empty set matches nothing.

    Attributes:
        statuses: those in one of these statuses.
        job_name: those of this job.
        repository_name: those of a job of this repository.
        location_name: those of a job of this code location.
    """

    statuses: frozenset[BackfillStatus] | None = None
    job_name: str | None = None
    repository_name: str | None = None
    location_name: str | None = None

    def matches(self, backfill: Backfill) -> bool:
        """Whether a backfill is wanted."""
        return (
            (self.statuses is None or backfill.status in self.statuses)
            and self.job_name in {None, backfill.job_name}
            and self.repository_name in {None, backfill.repository_name}
            and self.location_name in {None, backfill.location_name}
        )


@dataclass(frozen=True, slots=True)
class BackfillsPage:
    """Backfills, newest first, and whether more follow."""

    backfills: list[Backfill]
    has_more: bool


@dataclass(frozen=True, slots=True)
class BackfillFailuresPage:
    """Failures of a backfill, by position, and whether more follow."""

    failures: list[BackfillFailure]
    has_more: bool


class BackfillStorage(ABC):
    """Keeps backfills beside the runs.

    What a method wrote is synced to disk, and seen by all others in all processes, when it returns. A method that
    raises has changed nothing. All methods are thread-safe. Texts are kept in their stored form
    (`runwire.events.entry.storable_text`). Every method raises StorageUnavailableError when the storage cannot be
    read or written.
    """

    @abstractmethod
    def add_backfill(
        self, backfill: Backfill, request: RequestKey | None = None
    ) -> tuple[Backfill, bool]:
        """Adds a backfill, whose id nobody has.

        Args:
            backfill: the backfill; its number is given here.
            request: the request's key; at most one backfill has a key.

        Returns:
            What is kept, and whether this call added it. When a backfill with the same request key and digest is
            there, that one and False.

        Raises:
            BackfillAlreadyExistsError: the request key with another digest belongs to a backfill.
        """

    @abstractmethod
    def find_backfill(self, backfill_id: str) -> Backfill | None:
        """The backfill of an id; None when there is none."""

    def get_backfill(self, backfill_id: str) -> Backfill:
        """The backfill of an id.

        Raises:
            BackfillNotFoundError: there is none.
        """
        found = self.find_backfill(backfill_id)
        if found is None:
            raise BackfillNotFoundError(backfill_id)
        return found

    @abstractmethod
    def get_backfills(
        self, filter: BackfillsFilter | None = None, *, before: int | None = None, limit: int
    ) -> BackfillsPage:
        """Backfills that match, newest first.

        Args:
            filter: which.
            before: only those with a smaller number; it need not be that of one that is there.
            limit: how many at most.
        """

    @abstractmethod
    def get_backfills_count(self, filter: BackfillsFilter | None = None, *, limit: int) -> int:
        """How many backfills match, counted no further than a limit."""

    @abstractmethod
    def update_backfill(
        self,
        backfill: Backfill,
        *,
        failed: Sequence[BackfillFailure] = (),
        forget_failures: bool = False,
    ) -> Backfill:
        """Writes how far a backfill has come, in one transaction with its failures.

        A compare-and-set: the stored one must have the version of the given one. So of any number of daemons that
        work on it one goes on, and what somebody has asked for since stays.

        Args:
            backfill: the backfill as it was read, with what is new about it.
            failed: failures to keep; one at the same position is replaced.
            forget_failures: whether those that are kept are deleted before that.

        Returns:
            The backfill as it is stored, with a version that is larger by one.

        Raises:
            BackfillNotFoundError: there is none.
            BackfillConflictError: it has changed since it was read.
        """

    @abstractmethod
    def get_backfill_failures(
        self, backfill_id: str, *, after: int = -1, limit: int
    ) -> BackfillFailuresPage:
        """Failures of a backfill, by position; none for one that is not there.

        Args:
            backfill_id: the backfill.
            after: only those at a larger position.
            limit: how many at most.
        """

    @abstractmethod
    def get_backfill_counts(self) -> Mapping[BackfillStatus, int]:
        """How many backfills there are that have not ended, by status; no key for a status without any."""

    @abstractmethod
    def wipe(self) -> None:
        """Deletes all backfills with their failures."""
