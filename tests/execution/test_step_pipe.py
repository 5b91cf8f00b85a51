"""What a step process and its worker say to one another, as bytes."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runwire.error_info import ErrorInfo
from runwire.events.entry import EventLogEntry
from runwire.events.metadata import normalize_metadata
from runwire.events.payloads import AssetEventData, StepErrorSource, StepFailureData
from runwire.events.types import EventType, LogLevel
from runwire.execution.step_pipe import (
    BrokenPipeMessageError,
    Done,
    FromStep,
    Stored,
    Told,
    encode_frame,
    reader_of_step,
    reader_of_worker,
)

LINE = EventLogEntry(run_id="r", message="a line", level=LogLevel.WARNING, step_key="load")
FAILURE = EventLogEntry(
    run_id="r",
    message="it failed",
    event_type=EventType.STEP_FAILURE,
    step_key="load",
    error=ErrorInfo("no", "ValueError", ("a", "b"), (ErrorInfo("why"),)),
    data=StepFailureData(
        StepErrorSource.USER_CODE_ERROR,
        metadata=normalize_metadata({"rows": 10**30, "rate": float("nan")}, "a step"),
    ),
)
ASSET = EventLogEntry(
    run_id="r",
    message="made",
    event_type=EventType.ASSET_MATERIALIZATION,
    step_key="load",
    data=AssetEventData(("a", "b"), tags={"x": "y"}),
)


def frame_of(message: Any) -> bytes:
    body = json.dumps(message).encode()
    return struct.pack("!I", len(body)) + body


def said(data: bytes) -> list[FromStep]:
    return list(reader_of_step().messages(data))


@pytest.mark.parametrize("entry", [LINE, FAILURE, ASSET])
def test_an_entry_is_the_same_on_the_other_side(entry: EventLogEntry) -> None:
    [message] = said(encode_frame(Told.of(entry)))
    assert isinstance(message, Told)
    assert message.entry("r") == entry


def test_the_worker_answers_and_the_step_says_when_it_is_done() -> None:
    assert list(reader_of_worker().messages(encode_frame(Stored()) * 3)) == [Stored()] * 3
    assert said(encode_frame(Done())) == [Done()]


@given(st.text(alphabet=st.characters(exclude_categories=[])), st.integers(1, 7))
def test_any_text_passes_however_the_bytes_are_cut(text: str, size: int) -> None:
    line = EventLogEntry(run_id="r", message=text)
    data = encode_frame(Told.of(line)) + encode_frame(Done())
    reader = reader_of_step()
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    told, done = [message for part in parts for message in reader.messages(part)]
    assert isinstance(told, Told)
    assert told.message == text.encode("utf-8", "backslashreplace").decode()
    assert done == Done()


def test_a_frame_that_is_cut_off_is_no_message() -> None:
    assert said((encode_frame(Told.of(LINE)) * 2)[:-1]) == [Told.of(LINE)]


@pytest.mark.parametrize(
    "data",
    [
        frame_of("told"),
        frame_of({"type": "other"}),
        frame_of({"type": "told", "message": 1, "timestamp": 0}),
        frame_of({"type": "told", "message": "m", "timestamp": 0, "event_type": "NO_SUCH"}),
        struct.pack("!I", 2) + b"\xff\xff",
        struct.pack("!I", 0),
    ],
)
def test_what_is_no_message_is_refused_and_what_came_before_it_is_kept(data: bytes) -> None:
    messages = reader_of_step().messages(encode_frame(Told.of(LINE)) + data)
    assert next(messages) == Told.of(LINE)
    with pytest.raises(BrokenPipeMessageError):
        next(messages)


@pytest.mark.parametrize(
    "entry",
    [
        EventLogEntry(run_id="r", message="m", event_type=EventType.RUN_SUCCESS),
        EventLogEntry(run_id="r", message="m", event_type=EventType.RUN_CANCELED),
    ],
)
def test_a_step_cannot_tell_of_its_run(entry: EventLogEntry) -> None:
    with pytest.raises(BrokenPipeMessageError, match=r"a step cannot tell RUN_"):
        Told.of(entry).entry("r")


def test_an_entry_whose_data_does_not_belong_to_it_is_refused() -> None:
    told = Told("m", 0.0, EventType.STEP_SUCCESS, data=AssetEventData(("a",)))
    with pytest.raises(BrokenPipeMessageError, match="StepSuccessData"):
        told.entry("r")
