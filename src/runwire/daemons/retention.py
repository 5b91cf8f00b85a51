"""The retention daemon: deletes what has outlived its retention, a little at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from runwire import clock
from runwire.daemons.daemon import Daemon
from runwire.daemons.purging import (
    DAY_SECONDS,
    FileSweep,
    Steps,
    purge_daemons,
    purge_events,
    purge_runs,
    purge_ticks,
    sweep_logs,
)
from runwire.instance import Instance
from runwire.runs.status import RunStatus
from runwire.ticks.tick import TickStatus
from runwire.workspace import Workspace

ITERATION_SECONDS = 1.0
"""After how long an iteration begins no further step; the rest of the pass follows after the pause."""


class RetentionDaemon(Daemon):
    """Deletes what `retention` of the instance does not keep, and what runs that are gone left behind.

    An iteration is a few steps of a pass, so that the daemon makes progress visibly, stops at once, and leaves
    the storage to others between. When a pass is done, the next one begins after `poll_interval_seconds`.

    Args:
        instance: the instance.
        workspace: its code locations.
        now: tells the time, in epoch seconds, by the clock that stamps events.
    """

    daemon_type = "RETENTION"

    def __init__(
        self,
        instance: Instance,
        workspace: Workspace,
        now: Callable[[], float] = clock.timestamp,
    ) -> None:
        self._instance = instance
        self._settings = instance.settings.retention
        self._workspace = workspace
        self._now = now
        self._files = FileSweep(instance)
        self._pass: deque[Steps] = deque()

    @property
    def interval_seconds(self) -> float:
        return self._settings.pause_seconds if self._pass else self._settings.poll_interval_seconds

    def run_iteration(
        self, report: Callable[[BaseException], None], should_stop: Callable[[], bool]
    ) -> None:
        """Does a few steps of the pass that is under way, or begins one."""
        if not self._pass:
            self._pass.extend(self._plan())
        deadline = time.monotonic() + ITERATION_SECONDS
        for _ in range(self._settings.batch_size):
            if not self._pass or should_stop():
                return
            self._step(report)
            if time.monotonic() >= deadline:
                return

    def _step(self, report: Callable[[BaseException], None]) -> None:
        try:
            problem = next(self._pass[0])
        except StopIteration:
            self._pass.popleft()
        except Exception as error:  # noqa: BLE001 - the rest of the pass is due all the same
            report(error)  # and the next step finds that nothing follows of this part
        else:
            if problem is not None:
                report(problem)

    def _plan(self) -> list[Steps]:
        """What there is to do now, in order: tombstones are heeded before they are purged."""
        now, settings = self._now(), self._settings
        orphaned_before = now - settings.orphan_days * DAY_SECONDS
        plan = [
            purge_runs(self._instance, self._workspace, RunStatus(status), now - days * DAY_SECONDS)
            for status, days in settings.runs.purge_after_days.items()
        ]
        plan += [
            sweep_logs(self._instance, orphaned_before),
            self._files.steps(orphaned_before),
        ]
        if settings.events.purge_after_days is not None:
            before = now - settings.events.purge_after_days * DAY_SECONDS
            plan.append(purge_events(self._instance, min(before, orphaned_before), now))
        plan += [
            purge_ticks(self._instance, TickStatus(status), now - days * DAY_SECONDS)
            for status, days in settings.ticks.purge_after_days.items()
        ]
        if settings.daemons.purge_after_days is not None:
            before = now - settings.daemons.purge_after_days * DAY_SECONDS
            plan.append(purge_daemons(self._instance, before))
        return plan
