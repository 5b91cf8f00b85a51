"""Waiting for the end of a process that serves."""

from __future__ import annotations

import threading

LOOK_SECONDS = 1.0


def wait_for_end(ending: threading.Event) -> None:
    """Waits in the main thread for an event that handlers of signals set.

    They run in the main thread only, which a signal does not wake that the system gave to another thread; so
    it wakes by itself.
    """
    while not ending.wait(LOOK_SECONDS):
        pass
