"""The event log as a step process writes it: over a pipe, to the worker of its run."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import suppress
from typing import Self

from runwire.events.entry import EventLogEntry
from runwire.execution.event_writer import print_lines, write_in_fork
from runwire.execution.run_log import EntryWriter
from runwire.execution.step_pipe import Done, Told, encode_frame, reader_of_worker

READ_BYTES = 65536


class PipedEventWriter(EntryWriter):
    """Sends entries to the worker, each at once: what was written is there even if this process dies next.

    Thread-safe. When the worker is gone, this process is killed: nobody waits for what it does.

    Args:
        pipe: the connection with the worker; it is closed at the end.
    """

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._pid = os.getpid()
        self._sending = threading.Lock()
        self._stored = threading.Condition()
        self._count_sent = 0
        self._count_stored = 0
        self._is_done = False
        threading.Thread(target=self._listen, name="runwire-worker-answers", daemon=True).start()

    def write(self, entry: EventLogEntry, *, with_next: bool = False) -> None:
        """Writes an entry of the run; a durable one is stored when this returns, with or without a next one.

        Raises:
            RuntimeError: it is an event, and is written in a fork of this process or after its end.
        """
        if os.getpid() != self._pid:
            write_in_fork(entry)
            return
        frame = encode_frame(Told.of(entry))
        with self._sending:
            if self._is_done:
                _refuse_late(entry)
                return
            self._send(frame)
            self._count_sent += entry.is_durable
            number = self._count_sent
        if entry.is_durable:
            with self._stored:
                self._stored.wait_for(lambda: self._count_stored >= number)

    def flush(self) -> None:
        """Does nothing: what was written is sent."""

    def close(self) -> None:
        """Tells the worker that nothing more comes. Harmless when called twice."""
        if os.getpid() != self._pid:
            return
        with self._sending:
            if not self._is_done:
                self._is_done = True
                self._send(encode_frame(Done()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, frame: bytes) -> None:
        try:
            self._pipe.sendall(frame)
        except OSError:
            _die()

    def _listen(self) -> None:
        """Counts what is stored. It ends with the process."""
        reader = reader_of_worker()
        with suppress(OSError):
            while data := self._pipe.recv(READ_BYTES):
                count = sum(1 for _ in reader.messages(data))
                with self._stored:
                    self._count_stored += count
                    self._stored.notify_all()
        _die()


def _refuse_late(entry: EventLogEntry) -> None:
    """Takes what a thread of the op writes when its step has ended."""
    if entry.event_type is not None:
        raise RuntimeError("the step has ended; an op must write its events before it returns")
    print_lines([entry], "its step has ended")


def _die() -> None:
    """Ends the process now, whatever its main thread does."""
    os.kill(os.getpid(), signal.SIGKILL)
