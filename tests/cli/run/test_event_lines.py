from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from runwire.cli.run.event_lines import event_lines
from runwire.client import ErrorInfo, RunEvent

INSTANT = datetime(2026, 11, 22, 17, 5, 3, 123456, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def lines(**fields: Any) -> list[str]:
    event = RunEvent(
        **{
            "position": 1,
            "cursor": "c",
            "timestamp": INSTANT,
            "level": "INFO",
            "message": "it goes on",
            **fields,
        }
    )
    return [line.plain for line in event_lines(event, step_width=6)]


def test_an_event_is_a_line_with_time_level_step_and_message() -> None:
    assert lines(step_key="load") == ["17:05:03.123 INFO     load   it goes on"]


def test_a_typed_event_tells_its_type_and_an_event_without_step_none() -> None:
    assert lines(event_type="RUN_START") == ["17:05:03.123 INFO     -      RUN_START it goes on"]


def test_a_status_event_that_came_too_late_says_so() -> None:
    assert lines(event_type="RUN_SUCCESS", applied=False) == [
        "17:05:03.123 INFO     -      RUN_SUCCESS it goes on (came too late, changed nothing)"
    ]


def test_further_lines_of_a_message_are_indented() -> None:
    assert lines(message="one\ntwo\n\nthree") == [
        "17:05:03.123 INFO     -      one",
        "    two",
        "    ",
        "    three",
    ]


def test_an_error_is_told_with_its_stack_and_causes() -> None:
    cause = ErrorInfo(message="disk full", class_name="OSError")
    stack = ('  File "a.py", line 1\n    boom()\n',)
    error = ErrorInfo(message="bad", class_name="ValueError", stack=stack, causes=(cause,))
    assert lines(level="ERROR", error=error) == [
        "17:05:03.123 ERROR    -      it goes on",
        "    ValueError: bad",
        '      File "a.py", line 1',
        "        boom()",
        "    OSError: disk full",
    ]


def test_metadata_is_told_whatever_its_type() -> None:
    values = [
        {"__typename": "TextMetadata", "text": "a\nb", "format": "PLAIN"},
        {"__typename": "NumberMetadata", "number": 1.5, "exact": "1.5"},
        {"__typename": "NumberMetadata", "number": None, "exact": "NaN"},
        {"__typename": "JsonMetadata", "json": {"k": [1, "ü"]}},
        {"__typename": "Unheard", "one": 1, "two": 2},
    ]
    entries = [{"label": f"v{n}", "value": value} for n, value in enumerate(values)]
    told = lines(data={"__typename": "AssetEventData", "metadata": entries})[1:]
    assert "\n".join(told).splitlines() == [
        "    v0: a",
        "        b",
        "    v1: 1.5",
        "    v2: NaN",
        '    v3: {"k": [1, "ü"]}',
        '    v4: {"one": 1, "two": 2}',
    ]


def test_control_sequences_of_others_do_not_reach_the_terminal() -> None:
    error = ErrorInfo(message="\x1b[2J")
    assert lines(message="\x1b]0;x\x07", step_key="\x1b", error=error) == [
        "17:05:03.123 INFO     \\x1b   \\x1b]0;x\\x07",
        "    \\x1b[2J",
    ]
