"""Runs daemons: their loops, their heartbeats, their leases."""

from __future__ import annotations

import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from runwire import clock
from runwire.daemons.daemon import Daemon
from runwire.error_info import ErrorInfo
from runwire.fault_points import fault_point
from runwire.instance import Instance
from runwire.storage.run_storage import DaemonHeartbeat

logger = logging.getLogger(__name__)

MAX_ERRORS = 5
ERROR_SECONDS = 300.0
"""For how long an error is told."""

LOOK_SECONDS = 1.0
"""How often a stand-by looks whether it may take over."""


@dataclass(eq=False)
class _Work:
    """A daemon as this process runs it.

    Attributes:
        working_until: by the monotonic clock, when the lease ends that this process knows to have.
        progress_at: when its loop last made progress, in epoch seconds.
        errors: its errors and when they were, newest first.
        is_working: as it was last told to whoever listens; of no meaning unless `is_told`.
    """

    daemon: Daemon
    progress_at: float
    working_until: float = float("-inf")
    errors: list[tuple[float, ErrorInfo]] = field(default_factory=list)
    is_working: bool = False
    is_told: bool = False


class DaemonRunner:
    """Runs daemons in threads of this process, each for as long as this process holds the daemon's lease.

    A thread of its own beats and renews the leases, so an iteration that takes long does not look dead; its
    heartbeats tell since when the loop made no progress. A process without a lease stands by and takes over
    when the lease has ended. A daemon whose lease could not be renewed in time is told to stop, and goes on
    when it has it again. Errors of daemons are logged, kept, and end nothing.

    Args:
        instance: the instance; it outlives this.
        daemons: what to run.
        daemon_id: the id of this process in heartbeats and leases; a fresh one when left out.
        on_change: is called, from a thread, with a daemon type and whether this process does its work now.
        now: tells the time, in epoch seconds.
    """

    def __init__(
        self,
        instance: Instance,
        daemons: Sequence[Daemon],
        *,
        daemon_id: str | None = None,
        on_change: Callable[[str, bool], None] | None = None,
        now: Callable[[], float] = clock.timestamp,
    ) -> None:
        self.daemon_id = daemon_id or str(uuid.uuid4())
        self._runs = instance.storage.run_storage
        self._settings = instance.settings.daemons
        self._on_change = on_change
        self._now = now
        self._hostname = socket.gethostname()
        self._works = [_Work(daemon, now()) for daemon in daemons]
        self._changed = threading.Condition()
        self._stopping = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begins to beat and to work. Harmless when it has begun or has stopped."""
        with self._changed:
            if self._threads or self._stopping or not self._works:
                return
            self._threads = [
                threading.Thread(target=self._beat, name="runwire-heartbeats", daemon=True),
                *(
                    threading.Thread(
                        target=self._loop,
                        args=(work,),
                        name=f"runwire-{work.daemon.daemon_type.lower()}",
                        daemon=True,
                    )
                    for work in self._works
                ),
            ]
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """Stops working, gives the leases back, and tells so by last heartbeats. Harmless when called twice.

        A daemon that does not stop in time is told in the log of this process, and left to itself.
        """
        with self._changed:
            was_stopping, self._stopping = self._stopping, True
            self._changed.notify_all()
        if was_stopping or not self._threads:
            return
        deadline = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                logger.error("%s did not stop within %g s", thread.name, timeout_seconds)
        for work in self._works:
            try:
                self._runs.add_daemon_heartbeat(self._heartbeat(work, stopped=True))
                self._runs.release_daemon_lease(work.daemon.daemon_type, self.daemon_id)
            except Exception:
                logger.exception("the end of %s could not be stored", work.daemon.daemon_type)

    def is_working(self, daemon_type: str) -> bool:
        """Whether this process does the work of a daemon now."""
        return any(w.daemon.daemon_type == daemon_type and self._may_work(w) for w in self._works)

    def wait_until_working(self, daemon_type: str, timeout_seconds: float) -> bool:
        """Waits until this process does the work of a daemon; returns whether it does."""
        with self._changed:
            return self._changed.wait_for(lambda: self.is_working(daemon_type), timeout_seconds)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -------------------------------------------------------------------------------- the loops

    def _loop(self, work: _Work) -> None:
        while not self._stopping:
            if self._may_work(work):
                self._iterate(work)
                self._wait(work.daemon.interval_seconds)
            else:
                with self._changed:
                    self._changed.wait_for(
                        lambda: self._stopping or self._may_work(work), LOOK_SECONDS
                    )
            work.progress_at = self._now()

    def _iterate(self, work: _Work) -> None:
        def report(error: BaseException) -> None:
            logger.error("%s: %s", work.daemon.daemon_type, error, exc_info=error)
            self._keep_error(work, error)

        try:
            work.daemon.run_iteration(report, lambda: self._stopping or not self._may_work(work))
        except Exception as error:  # noqa: BLE001 - the next iteration may do better
            report(error)

    def _may_work(self, work: _Work) -> bool:
        return time.monotonic() < work.working_until

    def _wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, seconds)

    # ------------------------------------------------------------------- heartbeats and leases

    def _beat(self) -> None:
        interval = self._settings.heartbeat_interval_seconds
        beaten_at = float("-inf")
        while not self._stopping:
            is_due = time.monotonic() >= beaten_at + interval
            if is_due:
                beaten_at = time.monotonic()
            for work in self._works:
                self._look_after(work, beats=is_due)
            self._wait(min(LOOK_SECONDS, interval, beaten_at + interval - time.monotonic()))

    def _look_after(self, work: _Work, *, beats: bool) -> None:
        try:
            if beats or not self._may_work(work):
                self._claim(work)
            if beats or not work.is_told:
                self._runs.add_daemon_heartbeat(self._heartbeat(work))
        except Exception as error:
            logger.exception("the heartbeat of %s could not be stored", work.daemon.daemon_type)
            self._keep_error(work, error)
        self._tell_change(work)

    def _claim(self, work: _Work) -> None:
        """Takes or renews the lease, if it can be had."""
        daemon_type, seconds = work.daemon.daemon_type, self._settings.lease_seconds
        now, asked_at = self._now(), time.monotonic()
        if not self._may_work(work):
            lease = self._runs.get_daemon_leases().get(daemon_type)
            if lease and lease.daemon_id != self.daemon_id and lease.expires_at > now:
                return
        lease = self._runs.claim_daemon_lease(
            daemon_type, self.daemon_id, now=now, lease_seconds=seconds
        )
        if lease.daemon_id == self.daemon_id:
            fault_point("daemon.after_lease")
            work.working_until = asked_at + seconds
        else:
            work.working_until = float("-inf")

    def _heartbeat(self, work: _Work, *, stopped: bool = False) -> DaemonHeartbeat:
        now = self._now()
        with self._changed:
            work.errors = [each for each in work.errors if each[0] > now - ERROR_SECONDS]
            errors = tuple(info for _, info in work.errors)
        return DaemonHeartbeat(
            daemon_type=work.daemon.daemon_type,
            daemon_id=self.daemon_id,
            hostname=self._hostname,
            timestamp=now,
            progress_at=work.progress_at,
            errors=errors,
            stopped=stopped,
        )

    def _keep_error(self, work: _Work, error: BaseException) -> None:
        with self._changed:
            work.errors.insert(0, (self._now(), ErrorInfo.from_exception(error)))
            del work.errors[MAX_ERRORS:]

    def _tell_change(self, work: _Work) -> None:
        is_working = self._may_work(work)
        if is_working is work.is_working and work.is_told:
            return
        work.is_working, work.is_told = is_working, True
        with self._changed:
            self._changed.notify_all()
        if self._on_change is not None:
            self._on_change(work.daemon.daemon_type, is_working)
