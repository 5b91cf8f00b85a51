"""The end of a process that serves, as signals and threads tell it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

SIGNALS = (signal.SIGINT, signal.SIGTERM)

LOOK_SECONDS = 1.0


class Ending:
    """Whether this process is to end. Thread-safe, and safe in handlers of signals.

    An Event is not: the thread that a handler interrupts may hold the lock of the Event that the handler sets,
    and both then wait for ever.
    """

    def __init__(self) -> None:
        self._told: SimpleQueue[None] = SimpleQueue()

    def tell(self, *_: object) -> None:
        """It is to end. Harmless when told so; takes what handlers of signals are given."""
        self._told.put(None)

    def is_told(self) -> bool:
        """Whether it was told so."""
        return not self._told.empty()

    def wait(self) -> None:
        """Waits until it is told so.

        Handlers of signals run in the main thread only, which a signal does not wake that the system gave to
        another thread; so it wakes by itself.
        """
        while True:
            try:
                self._told.get(timeout=LOOK_SECONDS)
            except Empty:
                continue
            self._told.put(None)  # for others that wait
            return

    def heed_signals(self) -> None:
        """SIGINT and SIGTERM tell it from now on. For the main thread."""
        for number in SIGNALS:
            signal.signal(number, self.tell)

    @contextmanager
    def told_by_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM tell it in this block. For the main thread."""
        before = {number: signal.getsignal(number) for number in SIGNALS}
        self.heed_signals()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
