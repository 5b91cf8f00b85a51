"""Runs that were taken from the queue by somebody who died before a worker was there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from runwire import control
from runwire.control.handover import find_handover
from runwire.daemons.run_monitor import UNSEEN_SECONDS
from runwire.events.filters import EventFilter
from runwire.events.types import EventType
from runwire.instance import Instance
from runwire.launcher import LaunchRunContext
from runwire.runs.filters import OLDEST_FIRST, RunPlace, RunsFilter
from runwire.runs.queueing import came_from_queue
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.workspace import WorkerStatus, Workspace

_STARTING = RunsFilter(statuses=frozenset({RunStatus.STARTING}))
_DEQUEUED = EventFilter(event_types=frozenset({EventType.RUN_DEQUEUED}))
_PAGE = 100

MESSAGE = "The run waits in the queue again: whoever took it from there ended before its worker was started."


class AbandonedClaims:
    """Finds runs in STARTING that came from the queue and have no worker, and puts them back.

    Putting back fences the worker that is missed. Should it only be late, it does not begin the run; so a run is
    executed once, whoever was wrong about whom.

    Args:
        instance: the instance.
        workspace: its code locations.
        now: tells the time, in epoch seconds, by the clock that stamps events.
    """

    def __init__(self, instance: Instance, workspace: Workspace, now: Callable[[], float]) -> None:
        self._storage = instance.storage
        self._instance = instance
        self._workspace = workspace
        self._now = now

    def put_back(
        self,
        report: Callable[[BaseException], None],
        *,
        but_for: Collection[str],
        at_once: bool,
    ) -> Iterator[str]:
        """Puts them back; yields their ids.

        Args:
            report: takes an error that concerns one run.
            but_for: runs that are being launched here.
            at_once: whether those whom the queue took them for are known to be gone; else a worker is waited for.
        """
        for record in self._runs():
            if record.run_id in but_for:
                continue
            try:
                if self._is_abandoned(record, at_once) and control.put_back(
                    self._storage, record, MESSAGE
                ):
                    yield record.run_id
            except Exception as error:  # noqa: BLE001 - the other runs are looked at all the same
                report(error)

    def _runs(self) -> Iterator[RunRecord]:
        place: RunPlace | None = None
        while True:
            page = self._storage.run_storage.get_run_records(
                _STARTING, order=OLDEST_FIRST, after=place, limit=_PAGE
            )
            yield from page.records
            if not page.has_more:
                return
            place = RunPlace.of(page.records[-1], OLDEST_FIRST)

    def _is_abandoned(self, record: RunRecord, at_once: bool) -> bool:
        if not came_from_queue(record):
            return False
        since = self._now() - (record.launched_at or 0.0)
        if since <= UNSEEN_SECONDS and not (at_once and self._was_dequeued(record)):
            return False
        context = LaunchRunContext(record, self._workspace, self._instance.ref.to_dict())
        health = control.worker_health(self._instance.run_launcher, context)
        return health.status is WorkerStatus.NOT_FOUND

    def _was_dequeued(self, record: RunRecord) -> bool:
        """Whether a queue daemon took the run last, and not somebody who launched it past the queue."""
        handover = find_handover(self._storage, record)
        page = self._storage.event_log_storage.get_records(
            record, filter=_DEQUEUED, descending=True, limit=1
        )
        return (
            handover is not None and bool(page.records) and page.records[0].epoch == handover.epoch
        )
