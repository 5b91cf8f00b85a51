"""The worker's side of step processes; what they do is played here, and shown elsewhere with real ones."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from runwire.definitions import RetryPolicy
from runwire.error_info import ErrorInfo
from runwire.errors import RunInterrupted, StaleWorkerError, StorageUnavailableError
from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.payloads import (
    EngineEventData,
    HandledOutputData,
    StepErrorSource,
    StepFailureData,
    StepRetryData,
    StepSuccessData,
)
from runwire.events.types import EventType
from runwire.execution.attempts import Attempt, EndedStep
from runwire.execution.run_log import RunLog
from runwire.execution.step_pipe import Done, Told, encode_frame
from runwire.execution.step_processes import (
    GivenOutput,
    StepProcesses,
    StepStarter,
)
from runwire.interrupts import Interrupts, using_interrupts
from runwire.processes.starter import Child

PID = 4_000_000


class PlayedStep(Child):
    """A step process that a test plays, and its end of the pipe."""

    def __init__(self, step_key: str, given: Sequence[GivenOutput], channel: int) -> None:
        self.step_key = step_key
        self.given = list(given)
        self.signals: list[int] = []
        self.is_closed = False
        self.ends_by: Any = (signal.SIGKILL,)
        self._pipe = socket.socket(fileno=os.dup(channel))
        self._pipe.setblocking(False)
        self._end, self._told = os.pipe()
        self._exit_code: int | None = None

    @property
    def pid(self) -> int:
        return PID

    def fileno(self) -> int:
        return self._end

    def wait(self, timeout_seconds: float | None = None) -> int | None:
        return self._exit_code

    def send_signal(self, number: int) -> None:
        self.signals.append(number)
        if self._exit_code is None and number in self.ends_by:
            self.exit(-number)

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            os.close(self._end)

    def tell(self, *entries: EventLogEntry) -> None:
        for entry in entries:
            self._pipe.sendall(encode_frame(Told.of(entry)))

    def send(self, data: bytes) -> None:
        self._pipe.sendall(data)

    def answers(self) -> int:
        """How many answers have come since the last time."""
        try:
            return self._pipe.recv(65536).count(b"stored")
        except BlockingIOError:
            return 0

    def exit(self, exit_code: int, *, keeps_pipe: bool = False) -> None:
        if self._exit_code is not None:
            return
        self._exit_code = exit_code
        if not keeps_pipe:
            self._pipe.close()
        os.close(self._told)

    def clear_away(self) -> None:
        """After the test: ends it if it has not, with all that it left."""
        self.exit(-signal.SIGKILL)
        self._pipe.close()

    def succeed(self, *outputs: str) -> None:
        """Tells a whole life and ends."""
        self.tell(
            event(EventType.STEP_START, self.step_key),
            *(handled(self.step_key, name) for name in outputs),
            success(self.step_key),
        )
        self.send(encode_frame(Done()))
        self.exit(0)


class Playing(StepStarter):
    """Starts played steps."""

    def __init__(self) -> None:
        self.steps: dict[str, PlayedStep] = {}
        self.attempts: dict[str, Attempt] = {}
        self.failing: Exception | None = None

    def start(
        self, step_key: str, given: Sequence[GivenOutput], attempt: Attempt, channel: int
    ) -> Child:
        if self.failing is not None:
            raise self.failing
        self.steps[step_key] = PlayedStep(step_key, given, channel)
        self.attempts[step_key] = attempt
        return self.steps[step_key]


class Log:
    """What is stored, and what is refused."""

    def __init__(self) -> None:
        self.entries: list[EventLogEntry] = []
        self.refused: dict[EventType | None, Exception] = {}

    def write(self, entry: EventLogEntry, *, with_next: bool = False) -> EventLogRecord | None:
        if entry.event_type in self.refused:
            raise self.refused[entry.event_type]
        self.entries.append(entry)
        return None

    def flush(self) -> None:
        raise AssertionError("nobody asks for it")

    def told_of(self, step_key: str) -> list[str]:
        """The types or messages of a step, those of its process left out."""
        return [
            entry.event_type.value if entry.event_type else entry.message
            for entry in self.entries
            if entry.step_key == step_key
            and entry.event_type
            not in {EventType.STEP_WORKER_STARTING, EventType.STEP_WORKER_STARTED}
        ]


def event(event_type: EventType, step_key: str) -> EventLogEntry:
    return EventLogEntry(
        run_id="r", message=event_type.value, event_type=event_type, step_key=step_key
    )


def line(step_key: str, message: str) -> EventLogEntry:
    return EventLogEntry(run_id="r", message=message, step_key=step_key)


def success(step_key: str) -> EventLogEntry:
    return EventLogEntry(
        run_id="r",
        message="ok",
        event_type=EventType.STEP_SUCCESS,
        step_key=step_key,
        data=StepSuccessData(1.0),
    )


def handled(step_key: str, name: str) -> EventLogEntry:
    return EventLogEntry(
        run_id="r",
        message="stored",
        event_type=EventType.HANDLED_OUTPUT,
        step_key=step_key,
        data=HandledOutputData(name, "io_manager"),
    )


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def playing() -> Playing:
    return Playing()


@pytest.fixture
def processes(log: Log, playing: Playing) -> Iterator[StepProcesses]:
    processes = StepProcesses("r", playing, RunLog("r", log))
    yield processes
    processes.kill()
    for step in playing.steps.values():
        step.clear_away()


def test_a_step_is_told_of_from_the_start_of_its_process_to_its_end(
    processes: StepProcesses, playing: Playing, log: Log
) -> None:
    processes.start("a", [("load", "rows", "r", 3)], Attempt(2))
    step = playing.steps["a"]
    step.tell(
        event(EventType.STEP_START, "a"), line("a", "hi"), handled("a", "x"), handled("a", "y")
    )
    step.tell(success("a"))
    assert processes.wait() == EndedStep("a", frozenset({"x", "y"}))
    assert (step.given, playing.attempts["a"].number) == ([("load", "rows", "r", 3)], 2)
    assert step.answers() == 2
    starting, started = log.entries[:2]
    assert (starting.event_type, starting.message) == (
        EventType.STEP_WORKER_STARTING,
        "Starting a process for step a",
    )
    assert (started.event_type, started.message) == (
        EventType.STEP_WORKER_STARTED,
        f"Step a runs in process {PID}",
    )
    assert isinstance(starting.data, EngineEventData)
    assert isinstance(started.data, EngineEventData)
    assert starting.data.marker_start == started.data.marker_end == "process of a"
    whole = ["STEP_START", "hi", "HANDLED_OUTPUT", "HANDLED_OUTPUT", "STEP_SUCCESS"]
    assert log.told_of("a") == whole


def test_a_step_has_ended_when_it_says_so_and_its_process_is_waited_for_at_the_end(
    processes: StepProcesses, playing: Playing, log: Log
) -> None:
    processes.start("a", [])
    step = playing.steps["a"]
    step.tell(success("a"))
    assert processes.wait() == EndedStep("a", frozenset())
    assert step.signals == []
    step.tell(EventLogEntry(run_id="r", message="torn down"))
    step.send(encode_frame(Done()))
    step.exit(0)
    processes.finish()
    assert step.is_closed
    assert log.entries[-1].message == "torn down"


def test_a_process_that_is_done_but_does_not_end_is_killed(
    processes: StepProcesses, playing: Playing, monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    monkeypatch.setattr("runwire.execution.step_processes.STOP_GRACE_SECONDS", 0.0)
    processes.start("a", [])
    step = playing.steps["a"]
    step.tell(success("a"))
    step.send(encode_frame(Done()))
    assert processes.wait() == EndedStep("a", frozenset())
    processes.finish()
    assert (step.signals, step.is_closed) == ([signal.SIGKILL], True)
    assert log.told_of("a") == ["STEP_SUCCESS"]


def test_an_answer_is_given_only_when_the_entry_is_stored(
    processes: StepProcesses, playing: Playing, log: Log
) -> None:
    log.refused[EventType.STEP_START] = StorageUnavailableError("the disk is full")
    processes.start("a", [])
    step = playing.steps["a"]
    step.ends_by = ()
    step.tell(event(EventType.STEP_START, "a"), line("a", "after"))
    processes.start("b", [])
    playing.steps["b"].tell(success("b"))
    assert processes.wait() == EndedStep("b", frozenset())
    assert (step.answers(), playing.steps["b"].answers()) == (0, 1)
    step.exit(-signal.SIGKILL)
    assert processes.wait() == EndedStep("a", None)
    assert step.signals == [signal.SIGKILL]
    assert log.told_of("a") == ["STEP_FAILURE"]
    failure = log.entries[-1]
    assert failure.message.startswith("Step a failed: its events were lost: ")
    assert "the disk is full" in failure.message
    assert failure.data == StepFailureData(StepErrorSource.UNEXPECTED_ERROR)


def test_a_worker_that_is_refused_kills_all_step_processes(
    processes: StepProcesses, playing: Playing, log: Log
) -> None:
    processes.start("a", [])
    processes.start("b", [])
    log.refused[EventType.STEP_START] = StaleWorkerError("r", 1, 2)
    playing.steps["a"].tell(event(EventType.STEP_START, "a"))
    with pytest.raises(StaleWorkerError):
        processes.wait()
    for step in playing.steps.values():
        assert (step.signals, step.is_closed) == ([signal.SIGKILL], True)
    assert log.told_of("a") == log.told_of("b") == []


def test_a_failure_that_cannot_be_told_kills_all_step_processes(
    processes: StepProcesses, playing: Playing, log: Log
) -> None:
    processes.start("a", [])
    processes.start("b", [])
    log.refused[EventType.STEP_FAILURE] = StorageUnavailableError("the disk is full")
    playing.steps["a"].exit(1)
    with pytest.raises(StorageUnavailableError):
        processes.wait()
    assert playing.steps["b"].is_closed


@pytest.mark.parametrize("keeps_pipe", [False, True])
def test_a_process_that_ends_leaves_its_last_words_and_one_failure(
    processes: StepProcesses,
    playing: Playing,
    log: Log,
    keeps_pipe: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when something that it started keeps its pipe open, and when not all can be read at once."""
    monkeypatch.setattr("runwire.execution.step_processes.READ_BYTES", 100)
    processes.start("a", [])
    step = playing.steps["a"]
    step.tell(event(EventType.STEP_START, "a"), handled("a", "x"))
    step.tell(*(line("a", str(number)) for number in range(100)))
    step.send(encode_frame(Told.of(line("a", "cut off")))[:-3])
    step.exit(-signal.SIGSEGV, keeps_pipe=keeps_pipe)
    assert processes.wait() == EndedStep("a", None)
    lines = [str(number) for number in range(100)]
    assert log.told_of("a") == ["STEP_START", "HANDLED_OUTPUT", *lines, "STEP_FAILURE"]
    failure = log.entries[-1]
    assert (
        failure.message
        == "Step a failed: its process was killed by SIGSEGV before the step had ended"
    )
    assert failure.data == StepFailureData(StepErrorSource.UNEXPECTED_ERROR)
    assert failure.error == ErrorInfo(f"step process {PID} was killed by SIGSEGV")
    assert step.is_closed


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\0\0\0\2no", "Input data was truncated"),
        (encode_frame(Told.of(event(EventType.RUN_SUCCESS, "a"))), "RUN_SUCCESS"),
        (encode_frame(Told.of(line("b", "of another step"))), "it told of step 'b'"),
    ],
    ids=["torn", "an event of the run", "another step"],  # the data tells the time
)
def test_a_process_that_tells_what_it_cannot_is_killed_and_its_step_fails(
    processes: StepProcesses, playing: Playing, log: Log, data: bytes, problem: str
) -> None:
    processes.start("a", [])
    step = playing.steps["a"]
    step.tell(line("a", "before"))
    step.send(data)
    assert processes.wait() == EndedStep("a", None)
    assert step.signals == [signal.SIGKILL]
    assert log.told_of("a") == ["before", "STEP_FAILURE"]
    assert problem in log.entries[-1].message


def test_a_step_ends_once(processes: StepProcesses, playing: Playing, log: Log) -> None:
    processes.start("a", [])
    step = playing.steps["a"]
    step.tell(success("a"), success("a"), line("a", "after"))
    assert processes.wait() == EndedStep("a", frozenset())
    processes.finish()
    assert log.told_of("a") == ["STEP_SUCCESS", "ENGINE_EVENT"]
    assert "was killed by SIGKILL, after its step had ended" in log.entries[-1].message


def test_a_step_whose_process_cannot_be_started_has_failed(
    processes: StepProcesses, playing: Playing, log: Log
) -> None:
    playing.failing = OSError("too many processes")
    processes.start("a", [])
    assert processes.wait() == EndedStep("a", None)
    assert log.told_of("a") == ["STEP_FAILURE"]
    failure = log.entries[-1]
    assert failure.message == (
        "Step a failed: no process could be started for it: too many processes"
    )
    assert failure.data == StepFailureData(StepErrorSource.UNEXPECTED_ERROR)
    with pytest.raises(RuntimeError, match="no step runs"):
        processes.wait()


def test_steps_are_returned_as_they_end(processes: StepProcesses, playing: Playing) -> None:
    for step_key in "abc":
        processes.start(step_key, [])
    playing.steps["b"].succeed()
    assert processes.wait() == EndedStep("b", frozenset())
    playing.steps["c"].succeed("x")
    playing.steps["a"].exit(2)
    assert {processes.wait(), processes.wait()} == {
        EndedStep("c", frozenset({"x"})),
        EndedStep("a", None),
    }


def test_an_interrupt_is_raised_at_once_and_the_processes_run_on(
    processes: StepProcesses, playing: Playing
) -> None:
    interrupts = Interrupts()
    interrupts.request()
    processes.start("a", [])
    with using_interrupts(interrupts), pytest.raises(RunInterrupted):
        processes.wait()
    assert playing.steps["a"].signals == []
    playing.steps["a"].succeed()
    assert processes.wait() == EndedStep("a", frozenset())


def test_steps_are_interrupted_and_those_that_do_not_end_are_killed(
    processes: StepProcesses, playing: Playing, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runwire.execution.step_processes.STOP_GRACE_SECONDS", 0.05)
    for step_key in ("polite", "stubborn", "done", "quick"):
        processes.start(step_key, [])
    polite, stubborn, done, quick = playing.steps.values()
    polite.ends_by = (signal.SIGTERM,)
    done.tell(success("done"))
    assert processes.wait() == EndedStep("done", frozenset())
    quick.succeed("x")
    assert sorted(processes.stop(), key=lambda ended: ended.step_key) == [
        EndedStep("polite", None),
        EndedStep("quick", frozenset({"x"})),
        EndedStep("stubborn", None),
    ]
    assert polite.signals == [signal.SIGTERM]
    assert stubborn.signals == [signal.SIGTERM, signal.SIGKILL]
    assert done.signals == [signal.SIGKILL]
    assert all(step.is_closed for step in playing.steps.values())
    failures = {e.step_key: e for e in log.entries if e.event_type is EventType.STEP_FAILURE}
    assert {key: failure.message for key, failure in failures.items()} == {
        "polite": "Step polite was interrupted: its process was killed by SIGTERM",
        "stubborn": "Step stubborn was interrupted: its process was killed by SIGKILL",
    }
    assert {failure.data for failure in failures.values()} == {
        StepFailureData(StepErrorSource.INTERRUPT)
    }


def test_nothing_is_left_open(processes: StepProcesses, playing: Playing) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for step_key in ("a", "b"):
        processes.start(step_key, [])
    playing.steps["a"].succeed()
    assert processes.wait() == EndedStep("a", frozenset())
    processes.kill()
    processes.kill()
    assert len(list(Path("/proc/self/fd").iterdir())) == before - 1  # that of the selector


# ------------------------------------------------------------------------------------ retries


def test_a_step_that_is_tried_again_is_told_of_when_its_process_is_gone(
    processes: StepProcesses, playing: Playing
) -> None:
    processes.start("a", [])
    step = playing.steps["a"]
    retry = EventLogEntry(
        run_id="r",
        event_type=EventType.STEP_UP_FOR_RETRY,
        message="again",
        step_key="a",
        error=ErrorInfo("busy"),
        data=StepRetryData(1.5),
    )
    step.tell(event(EventType.STEP_START, "a"), retry)
    assert processes.wait(0.05) is None
    step.send(encode_frame(Done()))
    step.exit(0)
    assert processes.wait() == EndedStep("a", None, 1.5)


@pytest.mark.parametrize(
    ("attempt", "ended"),
    [
        (Attempt(2, 1, RetryPolicy(2)), EndedStep("a", None, 0.0)),
        (Attempt(3, 2, RetryPolicy(2)), EndedStep("a", None)),
        (Attempt(), EndedStep("a", None)),
    ],
    ids=["has a retry left", "has none left", "has no policy"],
)
def test_a_step_whose_process_was_lost_is_tried_again_by_its_policy(
    processes: StepProcesses, playing: Playing, log: Log, attempt: Attempt, ended: EndedStep
) -> None:
    processes.start("a", [], attempt)
    step = playing.steps["a"]
    step.tell(event(EventType.STEP_START, "a"))
    step.exit(-signal.SIGSEGV)
    assert processes.wait() == ended
    said = log.entries[-1]
    lost = "its process was killed by SIGSEGV before the step had ended"
    if ended.retry_after is None:
        more = "; it was tried again 2 times" if attempt.policy else ""
        assert (said.event_type, said.message) == (
            EventType.STEP_FAILURE,
            f"Step a failed: {lost}{more}",
        )
    else:
        assert (said.event_type, said.message) == (
            EventType.STEP_UP_FOR_RETRY,
            f"Step a is tried again, retry 2 of 2: {lost}",
        )
