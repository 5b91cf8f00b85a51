"""One step of a backfill: some of its runs are made and submitted, or what is asked for is ended.

Each run is made under a key that follows from the backfill, the attempt and the partition; so whoever does a step
again, after a crash or beside another daemon, finds the run that is there. Where the backfill stands is stored after
the runs of a step, by a compare-and-set. A run that was made and not submitted is found by its tag, and submitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from runwire import clock
from runwire.control.create_run import create_run
from runwire.control.new_run import NewRun
from runwire.error_info import ErrorInfo
from runwire.errors import (
    BackfillConflictError,
    CodeLocationNotFoundError,
    CodeLocationUnavailableError,
    InputInvalidError,
    JobAmbiguousError,
    JobNotFoundError,
    JobNotPartitionedError,
    LaunchFailedError,
    PartitionConfigError,
    PartitionNotFoundError,
    RunAlreadyExistsError,
    RunConfigInvalidError,
    RunNotFoundError,
    RunStateConflictError,
    RunwireError,
    TerminateFailedError,
)
from runwire.fault_points import fault_point
from runwire.runs.filters import OLDEST_FIRST, RunPlace, RunsFilter, TagFilter
from runwire.runs.run import RunRecord
from runwire.runs.status import IN_PROGRESS_STATUSES, UNFINISHED_STATUSES, RunStatus
from runwire.runs.tags import BACKFILL_TAG, SYSTEM_PREFIX
from runwire.storage.backfill_storage import (
    Backfill,
    BackfillFailure,
    BackfillScope,
    BackfillStatus,
)
from runwire.storage.instance_storage import InstanceStorage
from runwire.storage.run_storage import JobPlace
from runwire.workspace import CodeLocationStatus, JobSelector, Workspace

STEP_PARTITIONS = 25
"""How many partitions are seen to before it is stored that they are."""

_PAGE = 100

_UNREACHABLE = (CodeLocationNotFoundError, CodeLocationUnavailableError)
"""What keeps a backfill waiting."""

_ENDING = (JobNotFoundError, JobAmbiguousError, JobNotPartitionedError)
"""What concerns all partitions, and no waiting mends."""

_REFUSED = (
    InputInvalidError,
    PartitionConfigError,
    PartitionNotFoundError,
    RunConfigInvalidError,
)
"""What concerns one partition; the others go on."""

_WAITING = frozenset({RunStatus.NOT_STARTED, RunStatus.QUEUED})


@dataclass
class _Step:
    """What became of the partitions of a step."""

    seen: int = 0
    skipped: int = 0
    unmade: int = 0
    failed: list[BackfillFailure] = field(default_factory=list)
    waiting: str | None = None
    error: RunwireError | None = None


@dataclass(frozen=True)
class BackfillRunner:
    """Works on backfills.

    Attributes:
        storage: where backfills and runs are.
        workspace: where jobs are.
        submit: hands a run, by its id, to the coordinator.
        terminate: stops a run, by its id.
        now: tells the time, in epoch seconds.
    """

    storage: InstanceStorage
    workspace: Workspace
    submit: Callable[[str], RunRecord]
    terminate: Callable[[str], RunRecord]
    now: Callable[[], float] = clock.timestamp

    def advance(
        self, backfill_id: str, should_stop: Callable[[], bool] = lambda: False
    ) -> Backfill:
        """Does the next step, if there is one to do now; returns the backfill as it is then.

        Args:
            backfill_id: the backfill.
            should_stop: whether to leave the rest of the step to others.

        Raises:
            BackfillNotFoundError: there is none.
            StorageUnavailableError, TerminateFailedError: the step is to be done again.
        """
        backfill = self.storage.backfill_storage.get_backfill(backfill_id)
        if backfill.status.is_terminal:
            return backfill
        if backfill.status is BackfillStatus.CANCELING:
            return self._cancel(backfill, should_stop)
        counts = self.storage.run_storage.get_backfill_run_counts(backfill_id)
        if backfill.position >= backfill.selection.count:
            if any(status in UNFINISHED_STATUSES for status in counts):
                return self._told(backfill, None)
            return self._end(backfill, BackfillStatus.COMPLETED)
        # One that is not submitted is so still after a crash: it takes no place, else nobody might come to it.
        submitted = UNFINISHED_STATUSES - {RunStatus.NOT_STARTED}
        room = backfill.runs_at_once - sum(counts.get(status, 0) for status in submitted)
        if room <= 0:
            return self._told(backfill, None)
        problem = self._why_it_waits(backfill)
        if problem is not None:
            return self._told(backfill, problem)
        return self._store(backfill, self._do(backfill, min(room, STEP_PARTITIONS), should_stop))

    # --------------------------------------------------------------------------------- making runs

    def _do(self, backfill: Backfill, limit: int, should_stop: Callable[[], bool]) -> _Step:
        """Sees to the next partitions, until one has to wait."""
        runs = self.storage.run_storage
        first = backfill.position
        keys = backfill.selection.keys_between(first, first + limit)
        own = runs.get_partition_runs(keys, backfill_id=backfill.backfill_id)
        place = JobPlace(backfill.location_name, backfill.repository_name, backfill.job_name)
        is_partial = backfill.scope is BackfillScope.MISSING
        last = runs.get_partition_runs(keys, job=place) if is_partial else {}
        step = _Step()
        for position, key in enumerate(keys, first):
            if should_stop() or self._has_changed(backfill):
                break
            try:
                self._see_to(backfill, key, own, last, step)
            except _UNREACHABLE as error:
                step.waiting = str(error)
                break
            except _ENDING as error:
                step.error = error
                break
            except _REFUSED as error:
                step.failed.append(self._failure(position, key, error))
                step.unmade += key not in own
            step.seen += 1
        return step

    def _see_to(
        self,
        backfill: Backfill,
        key: str,
        own: Mapping[str, RunRecord],
        last: Mapping[str, RunRecord],
        step: _Step,
    ) -> None:
        """Has a partition have its run, unless it needs none."""
        mine = own.get(key)
        if mine is not None and (not mine.is_finished or mine.status is RunStatus.SUCCESS):
            self._submit(mine)
            return
        if key in last and last[key].status is RunStatus.SUCCESS:
            step.skipped += mine is None
            return
        record = self._made(backfill, key)
        fault_point("backfill.after_run_created")
        self._submit(record)
        fault_point("backfill.after_run_submitted")

    def _made(self, backfill: Backfill, key: str) -> RunRecord:
        new_run = NewRun(
            job=JobSelector(backfill.job_name, backfill.repository_name, backfill.location_name),
            partition_key=key,
            run_config=backfill.run_config,
            tags=tuple(backfill.tags.items()),
            requested_by=backfill.requested_by,
        )
        try:
            record, _ = create_run(
                self.storage,
                self.workspace,
                new_run,
                system_tags={BACKFILL_TAG: backfill.backfill_id},
                system_key=f"{SYSTEM_PREFIX}backfill/{backfill.backfill_id}/{backfill.attempt}/{key}",
            )
        except RunAlreadyExistsError as error:  # made when another version asked in other words
            return self.storage.get_run_record(error.run_id)
        return record

    def _submit(self, record: RunRecord) -> None:
        """Submits a run that nobody has submitted. One that cannot be launched has failed, and tells why itself."""
        if record.status is RunStatus.NOT_STARTED:
            with suppress(LaunchFailedError, RunStateConflictError):
                self.submit(record.run_id)

    def _failure(self, position: int, key: str, error: RunwireError) -> BackfillFailure:
        info = error.info if isinstance(error, PartitionConfigError) else None
        return BackfillFailure(
            position=position,
            partition_key=key,
            error=info or ErrorInfo.from_exception(error),
            failed_at=self.now(),
        )

    def _why_it_waits(self, backfill: Backfill) -> str | None:
        """Why no run can be made now; None when some can."""
        try:
            state = self.workspace.get_location(backfill.location_name).state
        except CodeLocationNotFoundError as error:
            return str(error)
        if state.status is CodeLocationStatus.LOADED:
            return None
        problem = f"it is {state.status.value}"
        if state.load_error is not None:
            problem += f" ({state.load_error.message})"
        return str(CodeLocationUnavailableError(backfill.location_name, problem))

    # -------------------------------------------------------------------------- where it stands

    def _has_changed(self, backfill: Backfill) -> bool:
        """Whether somebody has written the backfill since it was read, as to cancel it."""
        return (
            self.storage.backfill_storage.get_backfill(backfill.backfill_id).version
            != backfill.version
        )

    def _store(self, backfill: Backfill, step: _Step) -> Backfill:
        """Notes what became of a step."""
        fault_point("backfill.before_position_stored")
        changed = replace(
            backfill,
            status=BackfillStatus.IN_PROGRESS,
            position=backfill.position + step.seen,
            skipped=backfill.skipped + step.skipped,
            unmade=backfill.unmade + step.unmade,
            waiting=step.waiting,
        )
        if step.error is not None:
            changed = replace(
                changed,
                status=BackfillStatus.FAILED,
                error=ErrorInfo.from_exception(step.error),
                ended_at=self.now(),
            )
        if changed == backfill:
            return backfill
        stored = self._write(changed, step.failed)
        if step.error is not None or stored.status is BackfillStatus.CANCELED:
            # Nobody comes again to what this step has left waiting.
            left = {RunStatus.NOT_STARTED} if step.error is not None else _WAITING
            self._terminate(backfill.backfill_id, left)
        fault_point("backfill.after_position_stored")
        return stored

    def _told(self, backfill: Backfill, waiting: str | None) -> Backfill:
        """The backfill with the reason for which it waits, or without one."""
        if backfill.waiting == waiting:
            return backfill
        return self._write(replace(backfill, waiting=waiting))

    def _end(self, backfill: Backfill, status: BackfillStatus) -> Backfill:
        return self._write(replace(backfill, status=status, waiting=None, ended_at=self.now()))

    def _write(self, changed: Backfill, failed: Sequence[BackfillFailure] = ()) -> Backfill:
        """Stores the backfill; what somebody else has written meanwhile counts, and this does not."""
        backfills = self.storage.backfill_storage
        try:
            return backfills.update_backfill(changed, failed=failed)
        except BackfillConflictError:
            return backfills.get_backfill(changed.backfill_id)

    # ----------------------------------------------------------------------------------- canceling

    def _cancel(self, backfill: Backfill, should_stop: Callable[[], bool]) -> Backfill:
        """Ends what waits, and what is in progress if that was asked for; CANCELED once nothing of it is left."""
        ends = _WAITING | (IN_PROGRESS_STATUSES if backfill.terminates_runs else frozenset())
        asked = ends - {RunStatus.CANCELING}
        problem = self._terminate(backfill.backfill_id, asked, should_stop)
        counts = self.storage.run_storage.get_backfill_run_counts(backfill.backfill_id)
        if any(status in ends for status in counts):
            return self._told(backfill, problem)
        return self._end(backfill, BackfillStatus.CANCELED)

    def _terminate(
        self,
        backfill_id: str,
        statuses: frozenset[RunStatus] | set[RunStatus],
        should_stop: Callable[[], bool] = lambda: False,
    ) -> str | None:
        """Stops its runs in some statuses; returns why one of them could not be stopped."""
        wanted = RunsFilter(
            tags=(TagFilter(BACKFILL_TAG, frozenset({backfill_id})),), statuses=frozenset(statuses)
        )
        place: RunPlace | None = None
        problem = None
        while not should_stop():
            page = self.storage.run_storage.get_run_records(
                wanted, order=OLDEST_FIRST, after=place, limit=_PAGE
            )
            for record in page.records:
                try:
                    with suppress(RunNotFoundError, RunStateConflictError):  # it ended meanwhile
                        self.terminate(record.run_id)
                except TerminateFailedError as error:
                    problem = problem or str(error)
            if not page.has_more:
                break
            place = RunPlace.of(page.records[-1], OLDEST_FIRST)
        return problem
