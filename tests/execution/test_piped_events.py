"""The event log as a step process writes it. That it ends with its worker is shown with real processes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from runwire.events.entry import EventLogEntry
from runwire.events.payloads import AssetEventData
from runwire.events.types import EventType
from runwire.execution.piped_events import PipedEventWriter
from runwire.execution.step_pipe import (
    Done,
    FrameReader,
    FromStep,
    Stored,
    Told,
    encode_frame,
    reader_of_step,
)
from tests.execution.runs import GENEROUS_SECONDS


class Worker:
    """The other end of the pipe."""

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._reader: FrameReader[FromStep] = reader_of_step()
        self._heard: list[FromStep] = []
        pipe.settimeout(GENEROUS_SECONDS)

    def hear(self, count: int) -> list[FromStep]:
        """The next messages."""
        while len(self._heard) < count:
            self._heard += self._reader.messages(self._pipe.recv(65536))
        heard, self._heard = self._heard[:count], self._heard[count:]
        return heard

    def has_heard_all(self) -> bool:
        """Whether nothing is left to hear."""
        self._pipe.setblocking(False)
        try:
            return not self._heard and not self._pipe.recv(1)
        except BlockingIOError:
            return True
        finally:
            self._pipe.settimeout(GENEROUS_SECONDS)

    def tell_stored(self, count: int = 1) -> None:
        self._pipe.sendall(encode_frame(Stored()) * count)


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[PipedEventWriter, Worker]]:
    """A writer and its worker; the end of the pipe does not kill this process, which is the test's."""
    monkeypatch.setattr("runwire.execution.piped_events._die", lambda: None)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        writer = PipedEventWriter(ours)
        yield writer, Worker(theirs)
        theirs.shutdown(socket.SHUT_RDWR)
        for thread in threading.enumerate():
            if thread.name == "runwire-worker-answers":
                thread.join(GENEROUS_SECONDS)


def line(message: str) -> EventLogEntry:
    return EventLogEntry(run_id="r", message=message, step_key="load")


def durable(event_type: EventType = EventType.STEP_START) -> EventLogEntry:
    return EventLogEntry(run_id="r", message="durable", event_type=event_type, step_key="load")


ASSET = EventLogEntry(
    run_id="r",
    message="made",
    event_type=EventType.ASSET_MATERIALIZATION,
    data=AssetEventData(("a",)),
)


def test_lines_are_sent_at_once_and_do_not_wait(ends: tuple[PipedEventWriter, Worker]) -> None:
    writer, worker = ends
    entries = [line("a"), line("b")]
    for entry in entries:
        writer.write(entry)
    assert worker.hear(2) == [Told.of(entry) for entry in entries]
    assert worker.has_heard_all()


def test_a_durable_entry_waits_until_it_is_stored(ends: tuple[PipedEventWriter, Worker]) -> None:
    writer, worker = ends
    returned = threading.Event()

    def write() -> None:
        writer.write(durable())
        returned.set()

    writing = threading.Thread(target=write)
    writing.start()
    [told] = worker.hear(1)
    assert isinstance(told, Told)
    assert told.event_type is EventType.STEP_START
    assert not returned.is_set()
    worker.tell_stored()
    writing.join(GENEROUS_SECONDS)
    assert returned.is_set()


def test_each_thread_waits_for_its_own_entry(ends: tuple[PipedEventWriter, Worker]) -> None:
    writer, worker = ends
    threads = [threading.Thread(target=writer.write, args=(ASSET,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert len(worker.hear(8)) == 8
    worker.tell_stored(7)
    worker.tell_stored()
    for thread in threads:
        thread.join(GENEROUS_SECONDS)
    assert [thread.is_alive() for thread in threads] == [False] * 8


def test_nothing_is_told_after_the_end(
    ends: tuple[PipedEventWriter, Worker], capsys: pytest.CaptureFixture[str]
) -> None:
    writer, worker = ends
    with writer:
        writer.write(line("a"))
    writer.close()
    writer.write(line("too late"))
    with pytest.raises(RuntimeError, match="the step has ended"):
        writer.write(ASSET)
    [told, done] = worker.hear(2)
    assert isinstance(told, Told)
    assert told.message == "a"
    assert done == Done()
    assert worker.has_heard_all()
    assert "too late (not in the log: its step has ended)" in capsys.readouterr().err
