"""A server that forks: one thread, no database, no channel; it has imported what its children need."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from runwire.fault_points import fault_point
from runwire.processes.fork_wire import encode_line, read_request
from runwire.processes.forked import SIGNALS, become_child
from runwire.processes.starter import ChildRequest

REQUEST_SECONDS = 2.0
"""How long all of a request may take to come; one who is slower is given up, for there is one thread."""


@dataclass
class _Living:
    """A child that has not ended, and who asked for it; no connection once that is gone."""

    pid: int
    leads: bool
    bound: bool
    connection: socket.socket | None


class ForkServer:
    """Forks children for whoever connects to its socket, and tells them how those end.

    Linux only. Used from one thread, in a process that has no other.

    Args:
        listener: a unix socket that listens.
        private: descriptors that children must not keep.
    """

    def __init__(self, listener: socket.socket, private: Sequence[int] = ()) -> None:
        self._listener = listener
        self._private = tuple(private)
        self._pid = os.getpid()
        self._selector = selectors.DefaultSelector()
        self.watch(listener.fileno(), self._accept)

    def watch(self, descriptor: int, callback: Callable[[], None]) -> None:
        """Calls back whenever a descriptor is readable."""
        self._selector.register(descriptor, selectors.EVENT_READ, callback)

    def unwatch(self, descriptor: int) -> None:
        """Ends that."""
        self._selector.unregister(descriptor)

    def serve(self, is_over: Callable[[], bool]) -> None:
        """Serves until it is over; that is asked after each thing that happened, and each second."""
        while not is_over():
            for key, _ in self._selector.select(1.0):
                # What came before it in this round may have ended it.
                if key.fd in self._selector.get_map():
                    callback: Callable[[], None] = key.data
                    callback()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        try:
            self._answer(connection)
        except Exception:  # noqa: BLE001 - whatever one asks wrongly, the others are served
            traceback.print_exc()
            connection.close()

    def _answer(self, connection: socket.socket) -> None:
        descriptors: list[int] = []
        try:
            request = read_request(connection, descriptors, REQUEST_SECONDS)
            if request is None:  # somebody who only looked whether it is there
                connection.close()
                return
            connection.setblocking(False)  # what it is told from here on is short
            self._fork(connection, _child_request(*request, descriptors))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _fork(self, connection: socket.socket, request: ChildRequest) -> None:
        kind = "bound_fork" if request.bound else "fork"
        fault_point(f"fork_server.before_{kind}")
        waits, go = os.pipe()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            pid = os.fork()
        except OSError as error:
            os.close(waits)
            os.close(go)
            connection.sendall(encode_line({"problem": f"it cannot be forked: {error}"}))
            connection.close()
            return
        finally:
            if os.getpid() == self._pid:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if pid == 0:
            os.close(go)
            become_child(request, waits, lambda: self._forget(connection))
        os.close(waits)
        with suppress(PermissionError, ProcessLookupError):  # it does so itself as well
            os.setpgid(pid, request.group or pid)
        child = _Living(pid, request.group is None, request.bound, connection)
        ended = os.pidfd_open(pid)
        self.watch(ended, lambda: self._reap(child, ended))
        self.watch(connection.fileno(), lambda: self._hang_up(child))
        fault_point(f"fork_server.after_{kind}")
        # It begins only when whoever asked knows of it: else it is asked for again elsewhere, and is there twice.
        with suppress(OSError):
            connection.sendall(encode_line({"pid": pid}))
            os.write(go, b"!")
        os.close(go)

    def _hang_up(self, child: _Living) -> None:
        """Whoever asked for the child is gone: nothing else is ever said after the request."""
        if child.connection is None:
            return
        self._drop_connection(child)
        if child.bound:
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)

    def _reap(self, child: _Living, ended: int) -> None:
        self.unwatch(ended)
        os.close(ended)
        if child.leads:
            # It is not reaped yet, so nobody else has its number: what is left in its group is its own.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
        _, status = os.waitpid(child.pid, 0)
        if child.connection is None:
            return
        with suppress(OSError):
            answer = {"exit_code": os.waitstatus_to_exitcode(status)}
            child.connection.sendall(encode_line(answer))
        self._drop_connection(child)

    def _drop_connection(self, child: _Living) -> None:
        if child.connection is not None:
            self.unwatch(child.connection.fileno())
            child.connection.close()
            child.connection = None

    def _forget(self, connection: socket.socket) -> None:
        """In a child: closes what is the server's."""
        connection.close()
        for key in list(self._selector.get_map().values()):
            with suppress(OSError):
                os.close(key.fd)
        self._selector.close()
        for descriptor in self._private:
            with suppress(OSError):
                os.close(descriptor)


def _child_request(
    request: dict[str, Any], payload: bytes, descriptors: Sequence[int]
) -> ChildRequest:
    stdout, stderr, *channels = descriptors
    return ChildRequest(
        entry=request["entry"],
        payload=payload,
        title=request["title"],
        directory=request["directory"],
        stdout=stdout,
        stderr=stderr,
        channel=channels[0] if channels else None,
        group=request["group"],
        bound=bool(request["bound"]),
    )
