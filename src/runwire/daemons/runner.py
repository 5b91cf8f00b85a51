"""Runs daemons: their loops, their heartbeats, their leases."""

from __future__ import annotations

import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Self

from runwire import clock
from runwire.daemons.daemon import Daemon
from runwire.daemons.loop import DaemonLoop
from runwire.daemons.shared_clock import SharedClock
from runwire.fault_points import fault_point
from runwire.instance import Instance
from runwire.storage.run_storage import DaemonHeartbeat

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often a stand-by looks whether it may take over, and a storage is asked again that did not answer."""

FAREWELL_SECONDS = 2.0
"""How long the last heartbeats may take."""


class DaemonRunner:
    """Runs daemons in threads of this process, each for as long as this process holds the daemon's lease.

    A thread of its own beats and renews the leases, so an iteration that takes long does not look dead; its
    heartbeats tell since when the loop made no progress. A process without a lease stands by and takes over
    when the lease has ended. A daemon whose lease could not be renewed in time is told to stop, and goes on
    when it has it again. Errors of daemons and of the storage are logged, kept, and end nothing.

    Args:
        instance: the instance; it outlives this.
        daemons: what to run, one of a type.
        daemon_id: the id of this process in heartbeats and leases; a fresh one when left out.
        on_change: is called, from a thread, with a daemon type and whether this process does its work now:
            once for each daemon when that is known, then whenever it changes.
        now: tells the time, in epoch seconds, by which all processes compare leases; that of the storage of
            runs when left out.
        monotonic: tells the time that no change of the clock moves, in seconds.
    """

    def __init__(
        self,
        instance: Instance,
        daemons: Sequence[Daemon],
        *,
        daemon_id: str | None = None,
        on_change: Callable[[str, bool], None] | None = None,
        now: Callable[[], float] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.daemon_id = daemon_id or str(uuid.uuid4())
        self._runs = instance.storage.run_storage
        self._settings = instance.settings.daemons
        self._on_change = on_change
        self._shared_clock = SharedClock(self._runs.now, clock.timestamp(), monotonic=monotonic)
        self._now = now or self._shared_clock.now
        self._monotonic = monotonic
        self._hostname = socket.gethostname()
        self._loops = [DaemonLoop(daemon, now=self._now, monotonic=monotonic) for daemon in daemons]
        self._told: dict[str, bool] = {}
        self._changed = threading.Condition()
        self._next_beat = float("-inf")
        self._has_started = self._has_stopped = False
        self._loops_have_ended = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="runwire-heartbeats", daemon=True)

    def start(self) -> None:
        """Begins to beat and to work. Harmless when it has begun or was stopped, also before."""
        with self._changed:
            if self._has_started or self._has_stopped or not self._loops:
                return
            self._has_started = True
            for loop in self._loops:
                loop.start()
            self._beating.start()

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """Stops working, then gives the leases back and tells so by last heartbeats.

        A daemon that does not stop in time is told in the log of this process and left to itself, with its
        lease, which nobody renews. Harmless when called twice or early.
        """
        with self._changed:
            is_first, self._has_stopped = not self._has_stopped, True
        if not (is_first and self._has_started):
            return
        for loop in self._loops:
            loop.stop()
        deadline = time.monotonic() + timeout_seconds
        for loop in self._loops:
            if not loop.join(max(0.0, deadline - time.monotonic())):
                logger.error("%s did not stop within %g s", loop.name, timeout_seconds)
        self._loops_have_ended.set()
        self._beating.join(FAREWELL_SECONDS)
        if self._beating.is_alive():
            logger.error("the storage took no last heartbeats within %g s", FAREWELL_SECONDS)

    def is_working(self, daemon_type: str) -> bool:
        """Whether this process does the work of a daemon now."""
        return any(loop.daemon_type == daemon_type and loop.may_work() for loop in self._loops)

    def wait_until_working(self, daemon_type: str, timeout_seconds: float) -> bool:
        """Waits until this process does the work of a daemon; returns whether it does."""
        with self._changed:
            return self._changed.wait_for(lambda: self.is_working(daemon_type), timeout_seconds)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ----------------------------------------------------------------------- the thread that beats

    def _beat(self) -> None:
        pause = 0.0
        while not self._loops_have_ended.wait(pause):
            pause = self._look_after_all()
        for loop in self._loops:
            self._bid_farewell(loop)

    def _look_after_all(self) -> float:
        """Beats if it is due, and looks at the leases; returns in how many seconds to do so again."""
        begun_at = self._monotonic()
        is_due = begun_at >= self._next_beat
        have_answers = [self._look_after(loop, beats=is_due) for loop in self._loops]
        interval = self._settings.heartbeat_interval_seconds
        soon = min(LOOK_SECONDS, interval)
        if is_due:
            self._next_beat = begun_at + (interval if all(have_answers) else soon)
        again_at = self._next_beat
        if not all(loop.may_work() for loop in self._loops):
            again_at = min(again_at, begun_at + soon)
        return max(0.0, again_at - self._monotonic())

    def _look_after(self, loop: DaemonLoop, *, beats: bool) -> bool:
        """Keeps the lease of a daemon and its heartbeats; returns whether the storage has answered."""
        has_answer = True
        could_work = loop.may_work()
        try:
            if beats or not could_work:
                self._keep_lease(loop)
            if beats or loop.may_work() is not could_work:
                self._runs.add_daemon_heartbeat(self._heartbeat(loop))
        except Exception as error:  # noqa: BLE001 - whatever the storage raises, it is asked again
            has_answer = False
            loop.report(error)
        self._tell_change(loop)
        return has_answer

    def _keep_lease(self, loop: DaemonLoop) -> None:
        """Takes or renews the lease, if it can be had."""
        # In this order, what this process believes to have ends no later than what the others see.
        asked_at = self._monotonic()
        self._shared_clock.agree()
        now = self._now()
        could_work = loop.may_work()
        if not could_work and self._is_taken(loop.daemon_type, now):
            loop.stand_by(now)
            return
        seconds = self._settings.lease_seconds
        lease = self._runs.claim_daemon_lease(
            loop.daemon_type, self.daemon_id, now=now, lease_seconds=seconds
        )
        if lease.daemon_id != self.daemon_id:
            loop.stand_by(now)
            return
        if not could_work:
            fault_point("daemon.after_lease")
        loop.work_until(asked_at + seconds)

    def _is_taken(self, daemon_type: str, now: float) -> bool:
        """Whether another process has the lease. Reading it spares those who write each second of waiting."""
        lease = self._runs.get_daemon_leases().get(daemon_type)
        return lease is not None and lease.daemon_id != self.daemon_id and lease.expires_at > now

    def _heartbeat(self, loop: DaemonLoop, *, stopped: bool = False) -> DaemonHeartbeat:
        return DaemonHeartbeat(
            daemon_type=loop.daemon_type,
            daemon_id=self.daemon_id,
            hostname=self._hostname,
            progress_at=loop.progress_at(),
            timestamp=self._now(),
            errors=loop.errors(),
            stopped=stopped,
        )

    def _bid_farewell(self, loop: DaemonLoop) -> None:
        try:
            self._runs.add_daemon_heartbeat(self._heartbeat(loop, stopped=True))
            if loop.join(0):
                self._runs.release_daemon_lease(loop.daemon_type, self.daemon_id)
        except Exception:
            logger.exception("the end of %s could not be stored", loop.daemon_type)

    def _tell_change(self, loop: DaemonLoop) -> None:
        is_working = loop.may_work()
        if self._told.get(loop.daemon_type) is is_working:
            return
        self._told[loop.daemon_type] = is_working
        with self._changed:
            self._changed.notify_all()
        if self._on_change is None:
            return
        try:
            self._on_change(loop.daemon_type, is_working)
        except Exception:
            logger.exception("that %s changed could not be told", loop.daemon_type)
