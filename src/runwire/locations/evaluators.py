"""Processes that call the functions of schedules, so that one that hangs or dies takes nothing else with it."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Any

from runwire.error_info import ErrorInfo
from runwire.locations.protocol import (
    DefinitionSource,
    EvaluationFailed,
    EvaluatorParameters,
    Message,
    Method,
    NotEvaluated,
    decode_line,
    encode,
)
from runwire.processes.exits import describe_exit
from runwire.processes.starter import Child, ChildRequest, ChildStarter

ENTRY = "runwire.locations.evaluator"

AT_MOST = 8
"""How many evaluate at once."""

START_SECONDS = 60.0
"""How long one may take to load the definitions, where it is not forked with them."""

EXIT_SECONDS = 5.0
"""How long it may take until it is known how one has ended."""


class Evaluators:
    """Evaluates in processes, which are started when they are needed and used again. Thread-safe.

    Args:
        source: the definitions that they load, unless they are forked from a process that has.
        sys_path: where their imports come from.
        starter: starts them.
    """

    def __init__(
        self, source: DefinitionSource, sys_path: tuple[str, ...], starter: ChildStarter
    ) -> None:
        self._parameters = EvaluatorParameters(source=source, sys_path=sys_path)
        self._starter = starter
        self._places = threading.BoundedSemaphore(AT_MOST)
        self._idle: list[_Evaluator] = []
        self._lock = threading.Lock()
        self._is_closed = False

    def evaluate(
        self, method: Method[Any, Any], request: Message, subject: str, timeout_seconds: float
    ) -> Any:
        """Evaluates in a process; one that takes longer is killed.

        Args:
            method: what is called.
            request: with what.
            subject: what is evaluated, for messages.
            timeout_seconds: how long it may take.

        Returns:
            The reply of the method; EvaluationFailed when it did not end in time or took its process with it,
            NotEvaluated when there was no process for it.
        """
        deadline = time.monotonic() + timeout_seconds
        if not self._places.acquire(timeout=timeout_seconds):
            problem = (
                f"{AT_MOST} evaluations are under way, and none ended within {timeout_seconds:g} s"
            )
            return NotEvaluated(ErrorInfo(problem, "TimeoutError"))
        try:
            line = method.name.encode() + b" " + encode(request) + b"\n"
            used = self._take_idle()
            reply = None if used is None else self._ask(used, line, deadline)
            if reply is None:  # it had ended, or does now; what it was asked is asked again
                fresh = self._start()
                if isinstance(fresh, NotEvaluated):
                    return fresh
                reply = self._ask(fresh, line, time.monotonic() + timeout_seconds)
                if reply is None:
                    return _failed(f"{subject} ended its process, which {fresh.ending}")
            return method.decode_reply(reply)
        except TimeoutError:
            return _failed(f"{subject} did not end within {timeout_seconds:g} s; it was stopped")
        finally:
            self._places.release()

    def close(self) -> None:
        """Ends those that are idle, and soon those that are not. Harmless when called twice."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for each in idle:
            each.close()

    def _ask(self, evaluator: _Evaluator, line: bytes, deadline: float) -> bytes | None:
        """The reply; None when the process has ended.

        Raises:
            TimeoutError: there was none in time; the process is killed.
        """
        reply = None
        try:
            reply = evaluator.ask(line, deadline)
            return reply
        finally:
            if reply is None:
                evaluator.close()
            else:
                self._give_back(evaluator)

    def _take_idle(self) -> _Evaluator | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, evaluator: _Evaluator) -> None:
        with self._lock:
            if not self._is_closed:
                self._idle.append(evaluator)
                return
        evaluator.close()

    def _start(self) -> _Evaluator | NotEvaluated:
        try:
            return _Evaluator.started(self._starter, self._parameters)
        except OSError as error:
            return NotEvaluated(ErrorInfo.from_exception(error))
        except _NotLoadedError as error:
            return NotEvaluated(error.info)


class _NotLoadedError(Exception):
    """The process has no definitions; `info` tells why."""

    def __init__(self, info: ErrorInfo) -> None:
        self.info = info
        super().__init__(info.message)


class _Evaluator:
    """A process that evaluates one thing at a time. One thread uses it."""

    def __init__(self, child: Child, link: socket.socket) -> None:
        self._child = child
        self._link = link
        self._replies = link.makefile("rb")
        self.ending = "is gone"

    @classmethod
    def started(cls, starter: ChildStarter, parameters: EvaluatorParameters) -> _Evaluator:
        """One that has loaded the definitions.

        Raises:
            OSError: its process cannot be started, or does not load them in time.
            _NotLoadedError: it cannot load them.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                child = starter.start(
                    ChildRequest(
                        entry=ENTRY,
                        payload=encode(parameters),
                        title="evaluator",
                        directory=parameters.source.directory,
                        stdout=1,
                        stderr=2,
                        channel=theirs.fileno(),
                        bound=True,
                    )
                )
        except BaseException:
            ours.close()
            raise
        made = cls(child, ours)
        try:
            made._wait_until_loaded()
        except BaseException:
            made.close()
            raise
        return made

    def ask(self, line: bytes, deadline: float) -> bytes | None:
        """The reply to a request; None when the process has ended.

        Raises:
            TimeoutError: there was none in time.
        """
        self._link.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            self._link.sendall(line)
            reply = self._replies.readline()
        except TimeoutError:
            raise
        except OSError:
            reply = b""
        if reply.endswith(b"\n"):
            return reply
        self._note_ending()
        return None

    def close(self) -> None:
        """Ends the process, whatever it does."""
        self._replies.close()
        self._link.close()
        self._child.close()

    def _wait_until_loaded(self) -> None:
        self._link.settimeout(START_SECONDS)
        said = self._replies.readline()
        if said == b"\n":
            return
        if said.endswith(b"\n"):
            raise _NotLoadedError(decode_line(said, NotEvaluated).error)
        self._note_ending()
        raise OSError(f"the process that evaluates {self.ending} while it loaded the definitions")

    def _note_ending(self) -> None:
        with suppress(OSError):
            code = self._child.wait(EXIT_SECONDS)
            self.ending = "ended" if code is None else describe_exit(code)


def _failed(message: str) -> EvaluationFailed:
    return EvaluationFailed(ErrorInfo(message, "EvaluationError"))
