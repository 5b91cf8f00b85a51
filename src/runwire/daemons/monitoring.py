"""The monitoring daemon: looks after runs whose worker is gone or too slow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from runwire import clock
from runwire.daemons.daemon import Daemon
from runwire.daemons.run_monitor import RunMonitor
from runwire.errors import RunNotFoundError, RunStateConflictError, StaleWorkerError
from runwire.instance import Instance
from runwire.runs.filters import RunOrder, RunPlace, RunsFilter, TimeRange
from runwire.runs.run import RunRecord
from runwire.runs.status import IN_PROGRESS_STATUSES, RunStatus
from runwire.workspace import Workspace

logger = logging.getLogger(__name__)

PAGE_SIZE = 100
_OLDEST_FIRST = RunOrder(descending=False)


class MonitoringDaemon(Daemon):
    """Ends or resumes runs in progress that `run_monitoring` of the instance gives up.

    Runs in MANAGED and QUEUED are left alone. Whatever it does is a compare-and-set on the run as it was
    read, so that any number of these may work at once, beside code servers that report lost workers and
    users who resume or cancel.

    Args:
        instance: the instance.
        workspace: its code locations.
        now: tells the time, in epoch seconds, by the clock that stamps events.
    """

    daemon_type = "MONITORING"

    def __init__(
        self,
        instance: Instance,
        workspace: Workspace,
        now: Callable[[], float] = clock.timestamp,
    ) -> None:
        self._instance = instance
        self._now = now
        self._monitor = RunMonitor(instance, workspace, now)

    @property
    def interval_seconds(self) -> float:
        return self._instance.settings.run_monitoring.poll_interval_seconds

    def run_iteration(
        self, report: Callable[[BaseException], None], should_stop: Callable[[], bool]
    ) -> None:
        """Looks at each run once. Nothing to do costs one query, two with a time-out for NOT_STARTED."""
        for record in self._records():
            if should_stop():
                return
            try:
                self._monitor.look_at(record)
            except (RunStateConflictError, StaleWorkerError, RunNotFoundError) as error:
                # Somebody was faster: what there is to do for the run as it is now, the next pass finds.
                logger.debug("run %s is left alone: %s", record.run_id, error)
            except Exception as error:  # noqa: BLE001 - the other runs are looked after all the same
                report(error)

    def _records(self) -> Iterator[RunRecord]:
        yield from self._pages(RunsFilter(statuses=IN_PROGRESS_STATUSES))
        timeout = self._instance.settings.run_monitoring.not_started_timeout_seconds
        if timeout is not None:
            yield from self._pages(
                RunsFilter(
                    statuses=frozenset({RunStatus.NOT_STARTED}),
                    created_at=TimeRange(before=self._now() - timeout),
                )
            )

    def _pages(self, wanted: RunsFilter) -> Iterator[RunRecord]:
        place: RunPlace | None = None
        while True:
            page = self._instance.storage.run_storage.get_run_records(
                wanted, order=_OLDEST_FIRST, after=place, limit=PAGE_SIZE
            )
            yield from page.records
            if not page.has_more:
                return
            place = RunPlace.of(page.records[-1], _OLDEST_FIRST)
