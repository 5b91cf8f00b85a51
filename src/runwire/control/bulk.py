"""Doing with many runs what can be done with one: which runs it is, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace

from runwire.control.terminate_run import TerminatePolicy
from runwire.errors import (
    InputInvalidError,
    RunNotFoundError,
    RunStateConflictError,
    RunwireError,
    StorageDamagedError,
    TerminateFailedError,
)
from runwire.runs.filters import OLDEST_FIRST, RunPlace, RunsFilter, TimeRange
from runwire.runs.run import RunRecord
from runwire.runs.status import ALLOWED_STATUSES, UNFINISHED_STATUSES, RunAction, RunStatus
from runwire.storage.run_storage import RunStorage

MAX_BULK_RUNS = 10_000
"""The most runs that one call deals with."""

_PAGE = 500
_EVERYTHING = RunsFilter()
_STATUSES = frozenset(RunStatus)


@dataclass(frozen=True, slots=True)
class BulkSelection:
    """The runs to deal with, oldest first, and how many that match are left for another call."""

    records: list[RunRecord]
    remaining_count: int


@dataclass(frozen=True, slots=True)
class BulkFailure:
    """A run that could not be dealt with, and why not."""

    run_id: str
    error: RunwireError


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """The runs that were dealt with, as they are then, or were; and those that could not be."""

    records: list[RunRecord] = field(default_factory=list)
    failures: list[BulkFailure] = field(default_factory=list)


def select_to_terminate(
    runs: RunStorage, filter: RunsFilter, policy: TerminatePolicy, limit: int
) -> BulkSelection:
    """The runs of a filter that there are to stop.

    Those that have ended are passed over; so are those in CANCELING, whose workers were asked already, unless
    they are to be marked as canceled at once. So a repeated call comes to the end of them.

    Raises:
        InputInvalidError: the filter is empty, or the limit out of bounds.
    """
    _check(filter, limit)
    statuses = UNFINISHED_STATUSES
    if policy is TerminatePolicy.SAFE_TERMINATE:
        statuses -= {RunStatus.CANCELING}
    return _select(runs, filter, [statuses], limit)


def select_to_delete(runs: RunStorage, filter: RunsFilter, limit: int) -> BulkSelection:
    """The runs of a filter to delete: first those that can be, then, as failures to come, those that live.

    Raises:
        InputInvalidError: the filter is empty, or the limit out of bounds.
    """
    _check(filter, limit)
    allowed = ALLOWED_STATUSES[RunAction.DELETE]
    return _select(runs, filter, [allowed, _STATUSES - allowed], limit)


def would_delete(records: Iterable[RunRecord]) -> BulkOutcome:
    """What would become of runs that were to be deleted now."""
    allowed = ALLOWED_STATUSES[RunAction.DELETE]
    expected = [status.value for status in RunStatus if status in allowed]
    outcome = BulkOutcome()
    for record in records:
        if record.status in allowed:
            outcome.records.append(record)
        else:
            error = RunStateConflictError(record.run_id, record.status.value, expected)
            outcome.failures.append(BulkFailure(record.run_id, error))
    return outcome


def for_each(
    records: Iterable[RunRecord],
    act: Callable[[RunRecord], RunRecord],
    passed_over: tuple[type[RunwireError], ...] = (RunNotFoundError,),
) -> BulkOutcome:
    """Does something with each run; one that refuses does not keep the others from it.

    Args:
        records: the runs.
        act: what to do with a run; returns the run to tell of.
        passed_over: errors that say that nothing is left to do with a run.

    Raises:
        StorageUnavailableError: the storage as a whole does not answer; what is done stays done.
    """
    outcome = BulkOutcome()
    for record in records:
        try:
            outcome.records.append(act(record))
        except passed_over:
            continue
        except (RunStateConflictError, TerminateFailedError, StorageDamagedError) as error:
            outcome.failures.append(BulkFailure(record.run_id, error))
    return outcome


def narrows(filter: RunsFilter) -> bool:
    """Whether a filter leaves any run out; one that only looks as if it did, as by an empty prefix, does not."""
    bare = replace(
        filter,
        run_id_prefix=filter.run_id_prefix or None,
        created_at=_bounded(filter.created_at),
        updated_at=_bounded(filter.updated_at),
    )
    return bare != _EVERYTHING


def _bounded(span: TimeRange | None) -> TimeRange | None:
    return None if span == TimeRange() else span


def _check(filter: RunsFilter, limit: int) -> None:
    if not narrows(filter):
        raise InputInvalidError(
            "an empty filter would take every run; say which, such as by their statuses", ["filter"]
        )
    if not 1 <= limit <= MAX_BULK_RUNS:
        raise InputInvalidError(
            f"limit is {limit}; it must be from 1 to {MAX_BULK_RUNS}", ["limit"]
        )


def _select(
    runs: RunStorage, filter: RunsFilter, groups: Iterable[Collection[RunStatus]], limit: int
) -> BulkSelection:
    """Runs of the first group of statuses, then of the next ones, as far as the limit goes."""
    selected: list[RunRecord] = []
    remaining = 0
    for group in groups:
        asked = _STATUSES if filter.statuses is None else filter.statuses
        wanted = replace(filter, statuses=asked.intersection(group))
        found = _oldest(runs, wanted, limit - len(selected))
        if len(selected) + len(found) == limit:
            remaining += max(0, runs.get_runs_count(wanted) - len(found))
        selected += found
    return BulkSelection(selected, remaining)


def _oldest(runs: RunStorage, wanted: RunsFilter, limit: int) -> list[RunRecord]:
    found: list[RunRecord] = []
    place: RunPlace | None = None
    while len(found) < limit:
        page = runs.get_run_records(
            wanted, order=OLDEST_FIRST, after=place, limit=min(_PAGE, limit - len(found))
        )
        found += page.records
        if not page.has_more:
            break
        place = RunPlace.of(page.records[-1], OLDEST_FIRST)
    return found
