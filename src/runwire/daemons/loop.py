"""One daemon as a process runs it: its thread, since when it makes no progress, and what went wrong."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from runwire.daemons.daemon import Daemon
from runwire.error_info import ErrorInfo

logger = logging.getLogger(__name__)

MAX_ERRORS = 5
ERROR_SECONDS = 300.0
"""For how long an error is told."""

LOG_AGAIN_SECONDS = 60.0
"""For how long the log is spared an error that says the same as one before."""


class DaemonLoop:
    """Does a daemon's work again and again, in a thread, whenever it may.

    Args:
        daemon: whose work.
        now: tells the time, in epoch seconds.
        monotonic: tells the time that no change of the clock moves, in seconds.
    """

    def __init__(
        self, daemon: Daemon, *, now: Callable[[], float], monotonic: Callable[[], float]
    ) -> None:
        self.daemon_type = daemon.daemon_type
        self._daemon = daemon
        self._now = now
        self._monotonic = monotonic
        self._stopping = threading.Event()
        self._may_begin = threading.Condition()
        self._works_until = float("-inf")
        self._looked_at = now()
        self._iterating_since: float | None = None
        self._errors: list[tuple[float, ErrorInfo]] = []
        self._logged: dict[tuple[str | None, str], float] = {}
        self._errors_lock = threading.Lock()
        self._thread = threading.Thread(
            target=self._run, name=f"runwire-{self.daemon_type.lower()}", daemon=True
        )

    @property
    def name(self) -> str:
        """The name of its thread."""
        return self._thread.name

    def start(self) -> None:
        """Starts the thread, which waits until it may work. Called once."""
        self._thread.start()

    def stop(self) -> None:
        """Has the thread end as soon as the daemon heeds it."""
        self._stopping.set()
        with self._may_begin:
            self._may_begin.notify_all()

    def join(self, timeout_seconds: float) -> bool:
        """Waits for the end of the thread; returns whether it has ended."""
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    # ------------------------------------------------------------------------ whether it may work

    def may_work(self) -> bool:
        """Whether the lease that this process knows to have lasts still."""
        return self._monotonic() < self._works_until

    def work_until(self, instant: float) -> None:
        """Lets it work until an instant of the monotonic clock."""
        with self._may_begin:
            self._works_until = instant
            self._may_begin.notify_all()

    def stand_by(self, looked_at: float) -> None:
        """Has it wait until it may work; it was found in epoch second `looked_at` that it may not."""
        self._looked_at = looked_at
        self._works_until = float("-inf")

    def progress_at(self) -> float:
        """When it last made progress, in epoch seconds: now, unless it is in an iteration or stands by."""
        since = self._iterating_since
        if since is not None:
            return since
        return self._now() if self.may_work() else self._looked_at

    # ------------------------------------------------------------------------------------- errors

    def report(self, error: BaseException) -> None:
        """Keeps and logs an error."""
        at, info = self._now(), ErrorInfo.from_exception(error)
        with self._errors_lock:
            self._errors.insert(0, (at, info))
            del self._errors[MAX_ERRORS:]
            is_new = self._is_new(info, at)
        if is_new:
            logger.error("%s: %s", self.daemon_type, info.message, exc_info=error)

    def errors(self) -> tuple[ErrorInfo, ...]:
        """The latest errors, newest first."""
        oldest = self._now() - ERROR_SECONDS
        with self._errors_lock:
            return tuple(info for at, info in self._errors if at > oldest)

    def _is_new(self, info: ErrorInfo, at: float) -> bool:
        """Whether the log does not tell it yet. What fails each half second would fill it."""
        said = (info.class_name, info.message)
        self._logged = {k: t for k, t in self._logged.items() if t > at - LOG_AGAIN_SECONDS}
        is_new = said not in self._logged
        self._logged.setdefault(said, at)
        return is_new

    # ----------------------------------------------------------------------------------- the loop

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._daemon.close()

    def _work(self) -> None:
        while not self._stopping.is_set():
            if self.may_work():
                self._iterate()
                # A wait for longer than the system can ends the thread.
                self._stopping.wait(min(self._daemon.interval_seconds, threading.TIMEOUT_MAX))
            else:
                with self._may_begin:
                    self._may_begin.wait_for(lambda: self._stopping.is_set() or self.may_work())

    def _iterate(self) -> None:
        self._iterating_since = self._now()
        try:
            self._daemon.run_iteration(self.report, self._should_stop)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the next iteration may do better
            self.report(error)
        finally:
            self._iterating_since = None

    def _should_stop(self) -> bool:
        return self._stopping.is_set() or not self.may_work()
