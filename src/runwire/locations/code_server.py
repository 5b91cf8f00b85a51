"""The process of a code location: imports user code, serves its definitions, starts run workers.

It reads its parameters as one line from its standard input, and writes one line to a pipe: `Ready` once its
definitions are loaded, or have failed to load and are served as that; `NotReady` when loading them does not
end in time. It ends when it is told to, and when its standard input does: its parent is gone then. Its run
workers go on.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from runwire import __version__, clock
from runwire.error_info import ErrorInfo
from runwire.locations.protocol import CodeServerParameters, NotReady, Ready, decode_line, encode
from runwire.locations.service import CodeService, ServedDefinitions
from runwire.locations.standard_streams import show_output_at_once, take_stdin
from runwire.locations.wire import address_of, serve
from runwire.locations.workers import RunWorkers
from runwire.snapshots import CodeServerInfo

END_TIMEOUT_SECONDS = 5.0


def main() -> None:
    """Serves until told to end, or until the parent is gone."""
    show_output_at_once()
    parent = take_stdin()
    parameters = decode_line(parent.readline(), CodeServerParameters)
    os.set_inheritable(parameters.ready_fd, False)
    ready = os.fdopen(parameters.ready_fd, "wb")
    socket_path = Path(parameters.socket_path)
    serving, ending = threading.Event(), threading.Event()
    for target, arguments in (
        (_watch_parent, (parent, ending)),
        (_make_sure_of_end, (serving, ending, socket_path.parent)),
    ):
        threading.Thread(target=target, args=arguments, daemon=True).start()
    workers = RunWorkers(parameters.source, tuple(sys.path))
    with _stack_told_when_stuck(parameters.start_timeout_seconds, ready):
        definitions = ServedDefinitions(parameters.source)
    serving.set()
    try:
        _serve(socket_path, definitions, workers, ready, ending)
    finally:
        shutil.rmtree(socket_path.parent, ignore_errors=True)


def _serve(
    socket_path: Path,
    definitions: ServedDefinitions,
    workers: RunWorkers,
    ready: BinaryIO,
    ending: threading.Event,
) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):  # user code may have set its own
        signal.signal(number, lambda *_: ending.set())
    info = _info(socket_path)
    server = serve(socket_path, CodeService(definitions, workers, info, ending).handlers())
    with suppress(BrokenPipeError):  # the parent is gone, which the other pipe tells as well
        _say(ready, Ready(info))
    ending.wait()
    server.stop(grace=1.0).wait()
    workers.drain(END_TIMEOUT_SECONDS)


def _info(socket_path: Path) -> CodeServerInfo:
    return CodeServerInfo(
        server_id=str(uuid.uuid4()),
        address=address_of(socket_path),
        python_version=".".join(map(str, sys.version_info[:3])),
        executable_path=sys.executable,
        version=__version__,
        started_at=clock.timestamp(),
    )


def _say(ready: BinaryIO, message: Ready | NotReady) -> None:
    """Tells the parent. The pipe stays open: that it closes tells the parent of this process's end."""
    ready.write(encode(message) + b"\n")
    ready.flush()


def _watch_parent(parent: BinaryIO, ending: threading.Event) -> None:
    parent.read()
    ending.set()


def _make_sure_of_end(serving: threading.Event, ending: threading.Event, folder: Path) -> None:
    """Ends the process in time, whatever user code does in the main thread or has left running."""
    ending.wait()
    if serving.is_set():
        time.sleep(END_TIMEOUT_SECONDS + 2)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


@contextmanager
def _stack_told_when_stuck(timeout_seconds: float, ready: BinaryIO) -> Iterator[None]:
    """Where the main thread stands after a time-out is the best hint at why it does."""
    loading = threading.get_ident()
    done = threading.Lock()

    def give_up() -> None:
        if not done.acquire(blocking=False):
            return
        frame = sys._current_frames().get(loading)  # noqa: SLF001 - public in all but name
        stack = traceback.format_stack(frame)
        message = f"loading did not end within {timeout_seconds:g} s; the stack tells where it is"
        _say(ready, NotReady(ErrorInfo(message, "TimeoutError", tuple(stack))))
        os._exit(1)

    timer = threading.Timer(timeout_seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if not done.acquire(blocking=False):
            threading.Event().wait()  # the timer was faster: it ends this process


if __name__ == "__main__":
    main()
