"""What watches over the loading of user code, which may hang, or outlive whoever wants it.

The threads that do so have ended when the blocks do: a process that has others must not fork.
"""

from __future__ import annotations

import os
import selectors
import shutil
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NoReturn

from runwire.error_info import ErrorInfo
from runwire.locations.protocol import NotReady, Ready, encode

_REMOVAL = "import shutil, sys; shutil.rmtree(sys.argv[1], ignore_errors=True); sys.exit(1)"


def say(ready: BinaryIO, message: Ready | NotReady) -> None:
    """Tells the parent. The pipe stays open: that it closes tells the parent of this process's end."""
    ready.write(encode(message) + b"\n")
    ready.flush()


@contextmanager
def ended_with_parent(parent: BinaryIO, folder: Path) -> Iterator[None]:
    """While user code is being imported, this process ends with its parent. No thread is left by it."""
    stop, stopped = os.pipe()

    def watch() -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(parent, selectors.EVENT_READ)
            selector.register(stop, selectors.EVENT_READ)
            if any(key.fd == stop for key, _ in selector.select()):
                return
        _end_and_remove(folder)

    thread = threading.Thread(target=watch, name="runwire-parent", daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.close(stopped)
        thread.join()
        os.close(stop)


def _end_and_remove(folder: Path) -> NoReturn:
    """Ends this process by another program, which removes a folder: other threads could still write into it."""
    with suppress(OSError):
        arguments = [sys.executable, "-I", "-S", "-c", _REMOVAL, str(folder)]
        os.execv(sys.executable, arguments)  # noqa: S606 - a shell would add nothing
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


@contextmanager
def stack_told_when_stuck(timeout_seconds: float, ready: BinaryIO) -> Iterator[None]:
    """Where the main thread stands after a time-out is the best hint at why it does."""
    loading = threading.get_ident()
    done = threading.Lock()

    def give_up() -> None:
        if not done.acquire(blocking=False):
            return
        frame = sys._current_frames().get(loading)  # noqa: SLF001 - public in all but name
        stack = traceback.format_stack(frame)
        message = f"loading did not end within {timeout_seconds:g} s; the stack tells where it is"
        say(ready, NotReady(ErrorInfo(message, "TimeoutError", tuple(stack))))
        os._exit(1)

    timer = threading.Timer(timeout_seconds, give_up)
    timer.name = "runwire-timeout"
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if not done.acquire(blocking=False):
            threading.Event().wait()  # the timer was faster: it ends this process
        timer.join()
