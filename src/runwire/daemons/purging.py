"""What retention does, in small steps: each generator does a little before each of its values.

A value is an error that concerns one thing and does not end the rest, or None. Any number of processes may do the
same at once: what is gone already is passed over.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from runwire.errors import RunNotFoundError, RunStateConflictError
from runwire.instance import Instance
from runwire.runs.filters import RunOrder, RunOrderField, RunPlace, RunsFilter, TimeRange
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.storage.instance_log import InstanceEventKind, InstanceLogRecord
from runwire.ticks.tick import TickStatus
from runwire.workspace import Workspace

logger = logging.getLogger(__name__)

Steps = Iterator[Exception | None]

DAY_SECONDS = 24 * 60 * 60
PAGE = 100

WINDOW = 10_000
"""How many entries of the instance-wide log are looked through for tombstones in one step."""

_STALEST_FIRST = RunOrder(RunOrderField.UPDATED_AT, descending=False)
_ALL_KINDS = tuple(InstanceEventKind)


def purge_runs(instance: Instance, workspace: Workspace, status: RunStatus, before: float) -> Steps:
    """Deletes the runs in a status that changed last before an instant, with all that they left."""
    deleted = 0
    for record in _stale_runs(instance, status, before):
        try:
            instance.delete_run(record.run_id, workspace, require={status})
            deleted += 1
        except (RunNotFoundError, RunStateConflictError):
            yield None  # somebody was faster, or uses it
        except Exception as error:  # noqa: BLE001 - the other runs are due all the same
            yield error
        else:
            yield None
    if deleted:
        logger.info("%d runs in %s have outlived their retention", deleted, status.value)


def _stale_runs(instance: Instance, status: RunStatus, before: float) -> Iterator[RunRecord]:
    wanted = RunsFilter(statuses=frozenset({status}), updated_at=TimeRange(before=before))
    place: RunPlace | None = None
    while True:
        page = instance.storage.run_storage.get_run_records(
            wanted, order=_STALEST_FIRST, after=place, limit=PAGE
        )
        yield from page.records
        if not page.has_more:
            return
        place = RunPlace.of(page.records[-1], _STALEST_FIRST)


def purge_events(instance: Instance, before: float, now: float) -> Steps:
    """Deletes the entries at the beginning of the instance-wide log that are older than an instant.

    An entry that claims to be of the future, as whoever reports events may write, keeps none of them.
    """
    logs = instance.storage.event_log_storage
    deleted = 0
    while True:
        after = logs.get_instance_log_span().purged_position
        page = logs.get_event_records(after=after, limit=PAGE, kinds=_ALL_KINDS)
        up_to = after
        for entry in page.records:
            if before <= entry.timestamp <= now:
                break
            up_to = entry.position
        if up_to > after:
            deleted += logs.purge_instance_log(up_to)
            yield None
        if up_to < after + PAGE or not page.has_more:
            break
    if deleted:
        logger.info("%d entries of the instance-wide log have outlived their retention", deleted)


def purge_ticks(instance: Instance, status: TickStatus, before: float) -> Steps:
    """Deletes the ticks in a status that were due before an instant."""
    schedules = instance.storage.schedule_storage
    deleted = 0
    while purged := schedules.purge_ticks(before, statuses={status}, limit=PAGE):
        deleted += purged
        yield None
    if deleted:
        logger.info("%d ticks in %s have outlived their retention", deleted, status.value)


def purge_daemons(instance: Instance, before: float) -> Steps:
    """Forgets the daemons that beat last before an instant."""
    purged = instance.storage.run_storage.purge_daemons(before)
    if purged:
        logger.info("%d heartbeats of daemons have outlived their retention", purged)
    yield None


def sweep_logs(instance: Instance, before: float) -> Steps:
    """Deletes logs, and drafts of logs, that a crash left behind."""
    deleted = 0
    for number in instance.storage.event_log_storage.sweep_orphans(before):
        deleted += number
        yield None
    if deleted:
        logger.info("%d logs were left behind by runs that are gone, and are deleted", deleted)


class FileSweep:
    """Deletes folders of runs that are gone, as their tombstones in the instance-wide log tell.

    A folder without a tombstone is left alone: it may belong to another instance that shares the place. Each
    tombstone is heeded once in the life of this.
    """

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._position = 0

    def steps(self, before: float) -> Steps:
        """Heeds the tombstones that are older than an instant."""
        logs = self._instance.storage.event_log_storage
        self._position = max(self._position, logs.get_instance_log_span().purged_position)
        while self._position < logs.get_instance_log_span().head:
            end = min(self._position + WINDOW, logs.get_instance_log_span().head)
            page = logs.get_event_records(
                after=self._position,
                before=end + 1,
                kinds=(InstanceEventKind.RUN_DELETED,),
            )
            for tombstone in page.records:
                if tombstone.timestamp >= before:
                    return
                self._heed(tombstone)
                self._position = tombstone.position
            if not page.has_more:
                self._position = end
            yield None

    def _heed(self, tombstone: InstanceLogRecord) -> None:
        run_id, files = tombstone.run_id, self._instance.local_artifact_storage
        if files.has_run_files(run_id) and self._instance.get_run_by_id(run_id) is None:
            files.delete_run_files(run_id)
            logger.info("run %s is gone and had left files, which are deleted", run_id)
