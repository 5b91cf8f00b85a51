"""The processes of steps, as the worker of their run sees them: it stores what they tell, and sees them end."""

from __future__ import annotations

import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from runwire.errors import RunInterrupted, StorageUnavailableError
from runwire.events.entry import EventLogEntry
from runwire.events.payloads import HandledOutputData, StepRetryData
from runwire.events.types import EventType
from runwire.execution.attempts import FIRST, Attempt, EndedStep
from runwire.execution.run_log import RunLog
from runwire.execution.step_pipe import (
    BrokenPipeMessageError,
    Done,
    FrameReader,
    FromStep,
    Stored,
    encode_frame,
    reader_of_step,
)
from runwire.execution.step_process_events import StepProcessEvents
from runwire.interrupts import current_interrupts
from runwire.processes.exits import describe_exit
from runwire.processes.starter import Child

STOP_GRACE_SECONDS = 5.0
"""How long an interrupted step may clean up, and a step that has ended take to end its process."""

KILL_SECONDS = 10.0
READ_BYTES = 262_144

_STORED = encode_frame(Stored())
_ENDINGS = (EventType.STEP_SUCCESS, EventType.STEP_FAILURE, EventType.STEP_UP_FOR_RETRY)

GivenOutput = tuple[str, str, str, int]
"""An output that was given: its step, its name, the run that stored it, and the epoch of its worker then."""


class StepStarter(Protocol):
    """Starts the processes of steps."""

    def start(
        self, step_key: str, given: Sequence[GivenOutput], attempt: Attempt, channel: int
    ) -> Child:
        """Starts the process of a step.

        Args:
            step_key: the step.
            given: the outputs that its inputs take.
            attempt: which attempt at it this is.
            channel: the descriptor of its end of the pipe; it gets a copy.

        Raises:
            OSError: it cannot be started.
        """


@dataclass(eq=False)
class _StepProcess:
    """The process of a step.

    Attributes:
        outputs: the outputs that it stored.
        ended: how its attempt ended; None while it runs.
        is_done: whether it has nothing more to tell.
        problem: why nothing that it tells is taken any more, and it is killed.
        unsent: acknowledgements that it has not read enough to take.
    """

    step_key: str
    attempt: Attempt
    child: Child
    pipe: socket.socket
    reader: FrameReader[FromStep] = field(default_factory=reader_of_step)
    outputs: set[str] = field(default_factory=set)
    ended: EndedStep | None = None
    is_done: bool = False
    problem: Exception | None = None
    unsent: bytearray = field(default_factory=bytearray)


def _ended_by(entry: EventLogEntry, process: _StepProcess) -> EndedStep:
    """How an attempt has ended, as its process tells."""
    if entry.event_type is EventType.STEP_SUCCESS:
        return EndedStep(process.step_key, frozenset(process.outputs))
    data = entry.data
    return EndedStep(
        process.step_key, None, data.seconds_to_wait if isinstance(data, StepRetryData) else None
    )


def _send(process: _StepProcess) -> None:
    """Sends what the process takes; the rest goes with the next acknowledgement, for it must read to tell more."""
    try:
        del process.unsent[: process.pipe.send(process.unsent)]
    except BlockingIOError:
        pass
    except OSError:  # it is gone, or does not listen any more: its end is seen otherwise
        process.unsent.clear()


class StepProcesses:
    """The step processes of one run. Used in the thread that executes it.

    Its methods raise what writing to the log raises, and leave no process then.

    Args:
        run_id: the run.
        starter: starts them.
        log: takes what they tell.
    """

    def __init__(self, run_id: str, starter: StepStarter, log: RunLog) -> None:
        self._run_id = run_id
        self._starter = starter
        self._log = log
        self._events = StepProcessEvents(log)
        self._selector = selectors.DefaultSelector()
        self._processes: list[_StepProcess] = []
        self._ended: deque[EndedStep] = deque()
        self._is_stopping = False

    def start(self, step_key: str, given: Sequence[GivenOutput], attempt: Attempt = FIRST) -> None:
        """Starts the process of a step; the step fails when that cannot be done."""
        with self._killed_on_failure():
            self._events.tell_starting(step_key)
            process = self._started(step_key, given, attempt)
            if process is not None:
                self._events.tell_started(step_key, process.child.pid)

    def wait(self, timeout_seconds: float | None = None) -> EndedStep | None:
        """Stores what the processes tell until a step has ended; each step is returned once.

        Args:
            timeout_seconds: for how long; None is returned after it. For ever when None.

        Raises:
            RunInterrupted: the run is asked to stop; the processes run on.
        """
        with self._killed_on_failure():
            deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
            while not self._ended:
                if not self._processes:
                    raise RuntimeError("no step runs in a process that could be waited for")
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return None
                with current_interrupts().user_code():
                    ready = self._selector.select(left)
                self._handle(ready)
            return self._ended.popleft()

    def stop(self) -> list[EndedStep]:
        """Interrupts the steps, kills the processes that are left after a grace, and returns the steps."""
        self._is_stopping = True
        with self._killed_on_failure():
            for process in self._processes:
                if process.ended is None:
                    process.child.send_signal(signal.SIGTERM)
            self._wait_until(
                lambda: not self._processes, deadline=time.monotonic() + STOP_GRACE_SECONDS
            )
            self._end_all_by_kill()
        ended = list(self._ended)
        self._ended.clear()
        return ended

    def finish(self) -> None:
        """Waits for the processes of steps that have ended, which may still tear down their resources."""
        with self._killed_on_failure():
            self._wait_until(lambda: all(process.is_done for process in self._processes))
            self._wait_until(
                lambda: not self._processes, deadline=time.monotonic() + STOP_GRACE_SECONDS
            )
            self._end_all_by_kill()
        self._selector.close()

    def kill(self) -> None:
        """Kills what runs; nothing is told of it. Raises nothing; harmless when called twice."""
        for process in self._processes:
            with suppress(OSError):
                process.child.send_signal(signal.SIGKILL)
        while self._processes:
            process = self._processes.pop()
            with suppress(OSError):
                process.child.wait(KILL_SECONDS)
                process.child.close()
            process.pipe.close()
        self._selector.close()

    @contextmanager
    def _killed_on_failure(self) -> Iterator[None]:
        """Whatever ends the block, an interrupt aside, leaves no process."""
        try:
            yield
        except RunInterrupted:
            raise
        except BaseException:
            self.kill()
            raise

    def _started(
        self, step_key: str, given: Sequence[GivenOutput], attempt: Attempt
    ) -> _StepProcess | None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                child = self._starter.start(step_key, given, attempt, theirs.fileno())
            except BaseException as error:
                ours.close()
                if not isinstance(error, OSError):
                    raise
                self._events.tell_not_started(step_key, error)
                self._ended.append(EndedStep(step_key, None))
                return None
        ours.setblocking(False)
        process = _StepProcess(step_key, attempt, child, ours)
        self._processes.append(process)
        self._selector.register(ours, selectors.EVENT_READ, (process, self._hear))
        self._selector.register(child, selectors.EVENT_READ, (process, self._look_after))
        return process

    def _wait_until(self, holds: Callable[[], bool], deadline: float | None = None) -> None:
        """Handles what the processes do until something holds, or the time is up. Not interrupted."""
        while not holds():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            self._handle(self._selector.select(left))

    def _handle(self, ready: Sequence[tuple[selectors.SelectorKey, int]]) -> None:
        for key, _ in ready:
            process: _StepProcess
            handle: Callable[[_StepProcess], object]
            process, handle = key.data
            # What came before it in this round may have ended it.
            if process in self._processes:
                handle(process)

    def _hear(self, process: _StepProcess) -> bool:
        """Takes what a process tells; returns whether it may have told more."""
        try:
            data = process.pipe.recv(READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._forget(process.pipe)
            return False
        try:
            for message in process.reader.messages(data):
                if isinstance(message, Done):
                    process.is_done = True
                elif process.problem is None:
                    self._take(process, message.entry(self._run_id))
        except (BrokenPipeMessageError, StorageUnavailableError) as error:
            process.problem = error
            process.child.send_signal(signal.SIGKILL)
        return True

    def _take(self, process: _StepProcess, entry: EventLogEntry) -> None:
        """Stores an entry of a process, and follows what it says of its step.

        Raises:
            BrokenPipeMessageError: the process cannot tell this.
            StorageUnavailableError: it could not be stored.
        """
        if entry.step_key not in (None, process.step_key):
            raise BrokenPipeMessageError(f"it told of step {entry.step_key!r}")
        ends = entry.event_type in _ENDINGS
        if ends and process.ended is not None:
            raise BrokenPipeMessageError("it ended its step twice")
        self._log.write(entry)
        if entry.is_durable:
            process.unsent += _STORED
            _send(process)
        if isinstance(entry.data, HandledOutputData):
            process.outputs.add(entry.data.output_name)
        if ends:
            self._end_step(process, _ended_by(entry, process))

    def _look_after(self, process: _StepProcess) -> None:
        """Ends a process that has ended."""
        exit_code = process.child.wait(0)
        if exit_code is not None:
            self._end(process, exit_code)

    def _end(self, process: _StepProcess, exit_code: int) -> None:
        """Takes what an ended process has left in its pipe; a step that it did not end has failed."""
        while self._hear(process):
            pass
        self._processes.remove(process)
        self._forget(process.pipe)
        self._forget(process.child)
        process.pipe.close()
        process.child.close()
        ending = describe_exit(exit_code)
        if process.ended is None:
            self._end_step(process, self._lost(process, ending))
        elif process.ended.retry_after is not None:
            self._ended.append(process.ended)
        elif exit_code and not process.is_done:
            self._events.tell_died_late(process.step_key, ending)

    def _end_step(self, process: _StepProcess, ended: EndedStep) -> None:
        """Takes note of the end of a step. One that is tried again is told of when its process is gone."""
        process.ended = ended
        if ended.retry_after is None or process not in self._processes:
            self._ended.append(ended)

    def _end_all_by_kill(self) -> None:
        for process in self._processes:
            process.child.send_signal(signal.SIGKILL)
        for process in list(self._processes):
            exit_code = process.child.wait(KILL_SECONDS)
            self._end(process, -signal.SIGKILL if exit_code is None else exit_code)

    def _lost(self, process: _StepProcess, ending: str) -> EndedStep:
        """Ends, and tells of, a step that could not tell so itself."""
        step_key, pid = process.step_key, process.child.pid
        if process.problem is not None:
            self._events.tell_events_lost(step_key, process.problem)
        elif self._is_stopping:
            self._events.tell_stopped(step_key, pid, ending)
        else:
            return self._events.tell_lost(step_key, pid, ending, process.attempt.next_after(None))
        return EndedStep(step_key, None)

    def _forget(self, descriptor: Any) -> None:
        with suppress(KeyError):
            self._selector.unregister(descriptor)
