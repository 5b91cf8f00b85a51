"""Stopping a run worker: SIGINT and SIGTERM become one flag.

Inside user code the flag is raised at once as RunInterrupted, so that a long computation ends. Outside it is
only recorded: what the engine writes is never cut in two; it looks at the flag between steps.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

from runwire.errors import RunInterrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """The flag of one run. Made and used in the thread that executes the run; nothing happens in others."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._requested = False
        self._undelivered = False
        self._in_user_code = False
        self._holds = 0

    @property
    def requested(self) -> bool:
        """Whether the run was asked to stop, however often and however long ago."""
        return self._requested

    def request(self) -> None:
        """Asks the run to stop.

        Raises:
            RunInterrupted: user code runs, and nothing holds the interrupt back.
        """
        self._requested = self._undelivered = True
        self._deliver()

    def check(self) -> None:
        """Stops the run if it was asked to.

        Raises:
            RunInterrupted: it was.
        """
        if self._requested:
            self._undelivered = False
            raise RunInterrupted("the run is asked to stop")

    @contextmanager
    def user_code(self) -> Iterator[None]:
        """User code runs in this block: a request is raised in it at once, an earlier one at its start."""
        if threading.get_ident() != self._thread:
            yield
            return
        before = self._in_user_code
        try:
            self._in_user_code = True
            self._deliver()
            yield
        finally:
            self._in_user_code = before

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is raised in this block, even if user code runs in it; at its end it is.

        What the engine does when user code calls it, and the teardown of resources, are held.
        """
        if threading.get_ident() != self._thread:
            yield
            return
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
        self._deliver()

    @contextmanager
    def captured(self, signals: Sequence[signal.Signals] = SIGNALS) -> Iterator[None]:
        """Signals request an interrupt in this block. For the main thread only."""
        before = {number: signal.signal(number, self._handle) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.request()

    def _deliver(self) -> None:
        """Raises once for each request, so that the cleaning up of user code is not cut as well."""
        if self._undelivered and self._in_user_code and not self._holds:
            self._undelivered = False
            raise RunInterrupted("the run is asked to stop")


_current: ContextVar[Interrupts | None] = ContextVar("interrupts", default=None)
_nobodys = Interrupts()


def current_interrupts() -> Interrupts:
    """The interrupts of the run that is executed here; without one, some that are never requested."""
    return _current.get() or _nobodys


@contextmanager
def using_interrupts(interrupts: Interrupts) -> Iterator[None]:
    """In this block they are the current ones."""
    token = _current.set(interrupts)
    try:
        yield
    finally:
        _current.reset(token)
