"""The queue daemon: launches the runs that wait in the queue, as far as limits allow."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import ClassVar

from runwire import clock, control
from runwire.control.queue_mirror import QueueMirror
from runwire.daemons.abandoned_claims import AbandonedClaims
from runwire.daemons.daemon import Daemon
from runwire.daemons.paused_locations import PausedLocations
from runwire.errors import (
    CodeLocationUnavailableError,
    ConcurrencyLimitReachedError,
    LaunchFailedError,
    RunNotFoundError,
    RunStateConflictError,
    StorageDamagedError,
    StorageUnavailableError,
)
from runwire.fault_points import fault_point
from runwire.instance import Instance
from runwire.runs.queue_index import QueuedRun
from runwire.runs.queueing import QueueSettings
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.storage import HeadsWatch
from runwire.workspace import Workspace

logger = logging.getLogger(__name__)

BUSY_SECONDS = 0.02
"""How often it looks at the head of the instance-wide log while runs wait or are being launched."""

IDLE_SECONDS = 0.05
"""How often it looks while none do."""

ABSENCE_SECONDS = 5.0
"""After how long without an iteration it takes itself to have lost its lease, and others to have done the work."""

LOOK_AFTER_SECONDS = 5.0
"""How often it looks for runs that were taken from the queue by somebody who then died."""

CLOSE_SECONDS = 5.0
"""How long it waits at its end for runs that are being launched."""

REPAIRED = 200
"""Of how many of the first runs it makes sure that they reflect their logs, after it took over."""


class QueueDaemon(Daemon):
    """Takes runs from the queue, one by one in their order, and has them launched, several at once.

    What it knows of the queue is a copy, kept by the instance-wide log; taking a run from the queue makes sure of
    everything again, in one transaction. So any number of these may work at once, beside users who cancel, launch
    and delete, and no limit is exceeded and no run launched twice.

    Args:
        instance: the instance.
        workspace: its code locations.
        now: tells the time, in epoch seconds, by the clock that stamps events.
        monotonic: tells the time that no change of the clock moves, in seconds.
    """

    daemon_type: ClassVar[str] = "QUEUE"

    def __init__(
        self,
        instance: Instance,
        workspace: Workspace,
        now: Callable[[], float] = clock.timestamp,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._instance = instance
        self._storage = instance.storage
        self._workspace = workspace
        self._monotonic = monotonic
        self._settings = instance.run_coordinator.queue or QueueSettings()
        self._mirror = QueueMirror(self._storage, self._settings)
        self._paused = PausedLocations(
            workspace, self._settings.user_code_failure_retry_delay, monotonic
        )
        self._abandoned = AbandonedClaims(instance, workspace, now)
        self._launchers = ThreadPoolExecutor(
            self._settings.dequeue_num_workers, thread_name_prefix="runwire-launch"
        )
        self._launching: dict[str, Future[None]] = {}
        self._passed_by: set[str] = set()
        self._heads: HeadsWatch | None = None
        self._iterated_at = float("-inf")
        self._looked_after_at = float("-inf")

    @property
    def interval_seconds(self) -> float:
        may_go_on = bool(self._mirror.index) and not self._settings.is_paused
        usual = BUSY_SECONDS if may_go_on or self._launching else IDLE_SECONDS
        return min(usual, self._settings.dequeue_interval_seconds)

    def run_iteration(
        self, report: Callable[[BaseException], None], should_stop: Callable[[], bool]
    ) -> None:
        """Launches what may go. Nothing new costs a look at the head of the instance-wide log."""
        now = self._monotonic()
        took_over = now - self._iterated_at > ABSENCE_SECONDS
        try:
            self._reap()
            self._follow(took_over=took_over)
            self._look_after(report, took_over=took_over)
            self._dequeue(report, should_stop)
        except StorageUnavailableError:
            self._close_heads()
            raise
        self._iterated_at = self._monotonic()

    def close(self) -> None:
        """Waits for a while until what is being launched is launched."""
        wait(self._launching.values(), timeout=CLOSE_SECONDS)
        self._launchers.shutdown(wait=False, cancel_futures=True)
        self._close_heads()

    # ------------------------------------------------------------------------------ what it knows

    def _follow(self, *, took_over: bool) -> None:
        if self._heads is None:
            self._heads = self._storage.event_log_storage.open_heads()
            has_moved = True
        else:
            has_moved = self._heads.poll_instance_log() is not None
        if took_over:
            self._mirror.forget()
        if not self._mirror.is_loaded or has_moved:
            try:
                self._mirror.sync()
            except BaseException:
                self._close_heads()  # the head was told, and is not told again
                raise
        if took_over:
            self._repair_first()

    def _repair_first(self) -> None:
        """Makes the first runs reflect their logs: one who died may have taken one, and not told its row."""
        for run in self._mirror.index.page(None, REPAIRED):
            if self._storage.repair_run(run.run_id):
                self._mirror.look_at(run.run_id)

    def _close_heads(self) -> None:
        heads, self._heads = self._heads, None
        if heads is not None:
            heads.close()

    def _look_after(self, report: Callable[[BaseException], None], *, took_over: bool) -> None:
        now = self._monotonic()
        if not took_over and now - self._looked_after_at < LOOK_AFTER_SECONDS:
            return
        self._looked_after_at = now
        passed_by, self._passed_by = self._passed_by, set()
        for run_id in passed_by:
            self._mirror.look_at(run_id)
        for run_id in self._abandoned.put_back(report, but_for=self._launching, at_once=took_over):
            self._mirror.look_at(run_id)

    # ---------------------------------------------------------------------------- what it launches

    def _reap(self) -> None:
        for run_id, launch in list(self._launching.items()):
            if launch.done():
                del self._launching[run_id]

    def _dequeue(
        self, report: Callable[[BaseException], None], should_stop: Callable[[], bool]
    ) -> None:
        while len(self._launching) < self._settings.dequeue_num_workers and not should_stop():
            run = self._mirror.index.take_next(self._paused.is_waited_for)
            if run is None or not self._take(run, report):
                return

    def _take(self, run: QueuedRun, report: Callable[[BaseException], None]) -> bool:
        """Takes a run from the queue and has it launched; returns whether another one may go."""
        try:
            fault_point("queue.before_claim")
            record = control.claim_run(self._storage, self._settings, run.run_id)
        except ConcurrencyLimitReachedError as error:
            # Somebody launched another one, of which the log tells in a moment.
            logger.debug("%s", error)
            self._mirror.look_at(run.run_id)
            return False
        except (RunStateConflictError, RunNotFoundError) as error:
            logger.debug("run %s is left alone: %s", run.run_id, error)
            self._storage.repair_run(run.run_id)
            now = self._mirror.look_at(run.run_id)
            if now is not None and now.status is RunStatus.QUEUED:
                self._pass_by(run.run_id)
            return True
        except StorageDamagedError as error:
            report(error)
            self._pass_by(run.run_id)
            return True
        except BaseException:
            self._mirror.forget()  # whether it was taken is not known
            raise
        self._launching[run.run_id] = self._launchers.submit(self._launch, record, report)
        return True

    def _pass_by(self, run_id: str) -> None:
        """Has a run that cannot be taken keep no other one waiting; it is looked at again later."""
        self._mirror.index.remove(run_id)
        self._passed_by.add(run_id)

    def _launch(self, record: RunRecord, report: Callable[[BaseException], None]) -> None:
        try:
            error = control.launch_claimed(
                self._storage,
                self._instance.run_launcher,
                self._workspace,
                self._instance.get_ref().to_dict(),
                record,
                max_retries=self._settings.max_user_code_failure_retries,
            )
        except LaunchFailedError as failure:
            logger.info("%s", failure)
            if isinstance(failure.__cause__, CodeLocationUnavailableError):
                self._paused.pause(failure.__cause__.name)
        except Exception as failure:  # noqa: BLE001 - the other runs are launched all the same
            report(failure)
        else:
            if error is not None:
                self._paused.pause(error.name)
            fault_point("queue.after_launch")
