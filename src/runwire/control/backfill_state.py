"""What somebody may ask of a backfill that is there: to stop, and to try again what did not succeed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from runwire.errors import BackfillConflictError, BackfillStateConflictError
from runwire.runs.status import IN_PROGRESS_STATUSES, RunStatus
from runwire.storage.backfill_storage import (
    ACTIVE_BACKFILL,
    ENDED_BACKFILL,
    Backfill,
    BackfillStatus,
)
from runwire.storage.instance_storage import InstanceStorage


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillProgress:
    """How many partitions of a backfill are how far; all of them together, until runs are deleted.

    Attributes:
        requested: wait for their run to be made.
        queued: have a run that has not begun.
        in_progress: have a run that a worker has.
        succeeded, failed, canceled: have a run that ended so; those whose run could not be made have failed.
        skipped: needed none.
    """

    requested: int
    queued: int
    in_progress: int
    succeeded: int
    failed: int
    canceled: int
    skipped: int

    @classmethod
    def of(cls, backfill: Backfill, counts: Mapping[RunStatus, int]) -> BackfillProgress:
        """That of a backfill, by how many of its partitions have a newest run in each status."""
        total = backfill.selection.count
        without_run = total - sum(counts.values()) - backfill.skipped - backfill.unmade
        waiting = (RunStatus.NOT_STARTED, RunStatus.QUEUED)
        return cls(
            requested=max(0, min(total - backfill.position, without_run)),
            queued=sum(counts.get(status, 0) for status in waiting),
            in_progress=sum(counts.get(status, 0) for status in IN_PROGRESS_STATUSES),
            succeeded=counts.get(RunStatus.SUCCESS, 0),
            failed=counts.get(RunStatus.FAILURE, 0) + backfill.unmade,
            canceled=counts.get(RunStatus.CANCELED, 0),
            skipped=backfill.skipped,
        )


def cancel_backfill(
    storage: InstanceStorage, backfill_id: str, *, terminate_runs: bool = False
) -> Backfill:
    """Has a daemon end a backfill: no run is made any more, and those that wait are canceled.

    Asked again, it changes nothing but that `terminate_runs` may be asked for later.

    Args:
        storage: where it is kept.
        backfill_id: the backfill.
        terminate_runs: whether its runs in progress are terminated as well.

    Raises:
        BackfillNotFoundError: there is none.
        BackfillStateConflictError: it has ended.
    """

    def canceled(backfill: Backfill) -> Backfill:
        return replace(
            backfill,
            status=BackfillStatus.CANCELING,
            terminates_runs=backfill.terminates_runs or terminate_runs,
            waiting=None,
        )

    return _change(storage, backfill_id, ACTIVE_BACKFILL, canceled)


def resume_backfill(storage: InstanceStorage, backfill_id: str) -> Backfill:
    """Has a daemon submit again what did not succeed: the partitions whose last run of this backfill did not, and
    those without any.

    Raises:
        BackfillNotFoundError: there is none.
        BackfillStateConflictError: it has not ended.
    """

    def resumed(backfill: Backfill) -> Backfill:
        return replace(
            backfill,
            status=BackfillStatus.REQUESTED,
            attempt=backfill.attempt + 1,
            position=0,
            skipped=0,
            unmade=0,
            terminates_runs=False,
            waiting=None,
            error=None,
            ended_at=None,
        )

    return _change(storage, backfill_id, ENDED_BACKFILL, resumed, forget_failures=True)


def _change(
    storage: InstanceStorage,
    backfill_id: str,
    allowed: frozenset[BackfillStatus],
    change: Callable[[Backfill], Backfill],
    *,
    forget_failures: bool = False,
) -> Backfill:
    backfills = storage.backfill_storage
    while True:
        backfill = backfills.get_backfill(backfill_id)
        if backfill.status not in allowed:
            expected = [status.value for status in BackfillStatus if status in allowed]
            raise BackfillStateConflictError(backfill_id, backfill.status.value, expected)
        changed = change(backfill)
        if changed == backfill:
            return backfill
        try:
            return backfills.update_backfill(changed, forget_failures=forget_failures)
        except BackfillConflictError:
            continue  # a daemon wrote meanwhile: look again
