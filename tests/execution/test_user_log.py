"""`context.log` takes whatever it is given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from runwire.events.entry import EventLogRecord
from runwire.events.types import LogLevel
from runwire.execution.user_log import UserLog
from runwire.storages.memory import MemoryStorage
from tests.execution.runs import events, launched_run, run_log


class Lines:
    """A log and the lines that were written to it."""

    def __init__(self) -> None:
        self.storage = MemoryStorage()
        log, self.writer = run_log(self.storage, launched_run(self.storage))
        self.log = UserLog(log, "load")

    def records(self) -> list[EventLogRecord]:
        self.writer.flush()
        return events(self.storage)[1:]

    def messages(self) -> list[str]:
        return [record.message for record in self.records()]


@pytest.fixture
def lines() -> Iterator[Lines]:
    made = Lines()
    yield made
    made.writer.close()
    made.storage.dispose()


def test_each_level_makes_a_line_of_the_step(lines: Lines) -> None:
    for name in ("debug", "info", "warning", "error", "critical"):
        getattr(lines.log, name)("%s is %d", name, 1)
    assert [(r.level, r.stored_type, r.step_key, r.message) for r in lines.records()] == [
        (LogLevel.DEBUG, None, "load", "debug is 1"),
        (LogLevel.INFO, None, "load", "info is 1"),
        (LogLevel.WARNING, None, "load", "warning is 1"),
        (LogLevel.ERROR, None, "load", "error is 1"),
        (LogLevel.CRITICAL, None, "load", "critical is 1"),
    ]


def test_exception_tells_the_error_that_is_handled(lines: Lines) -> None:
    try:
        raise KeyError("rows")
    except KeyError:
        lines.log.exception("no %s", "rows")
    (record,) = lines.records()
    assert (record.level, record.message) == (LogLevel.ERROR, "no rows")
    assert record.error is not None
    assert (record.error.class_name, record.error.message) == ("KeyError", "'rows'")


def test_exception_outside_of_a_handler_is_a_line_without_error(lines: Lines) -> None:
    lines.log.exception("nothing is handled")  # noqa: LOG004 - what the test is about
    (record,) = lines.records()
    assert record.error is None


@pytest.mark.parametrize("make", [lambda e: e, lambda e: (type(e), e, None)], ids=["it", "tuple"])
def test_exc_info_is_taken_as_python_s_loggers_take_it(lines: Lines, make: Any) -> None:
    lines.log.info("told", exc_info=make(ValueError("boom")), extra={"a": 1}, stacklevel=2)
    (record,) = lines.records()
    assert record.error is not None
    assert record.error.message == "boom"


def test_a_mapping_fills_named_places(lines: Lines) -> None:
    lines.log.info("%(rows)d rows", {"rows": 3})
    assert lines.messages() == ["3 rows"]


def test_without_arguments_percent_signs_stay(lines: Lines) -> None:
    lines.log.info("100 % of %s")
    assert lines.messages() == ["100 % of %s"]


class Broken:
    def __str__(self) -> NoReturn:
        raise ValueError("no text")

    __repr__ = __str__


class Odd(str):
    __slots__ = ()

    def encode(self, *_: object) -> NoReturn:
        raise ValueError("no bytes")

    def __str__(self) -> str:
        return self


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (("lone \udc80 surrogate",), "lone \\udc80 surrogate"),
        (("null \x00 and \x1b",), "null \\x00 and \x1b"),
        ((Broken(),), "<Broken whose text could not be made: ValueError>"),
        (
            ("value %s", Broken()),
            (
                "value %s (not formatted with <Broken whose text could not be made: ValueError>:"
                " no text)"
            ),
        ),
        (("%d", "x"), "%d (not formatted with 'x': %d format: a real number is required, not str)"),
        (("%s %s", 1), "%s %s (not formatted with 1: not enough arguments for format string)"),
        (
            ("one", 1),
            "one (not formatted with 1: not all arguments converted during string formatting)",
        ),
        ((None,), "None"),
        ((Odd("odd"),), "odd"),
        (("%s", Odd("odd")), "odd"),
        (({"a": 1},), "{'a': 1}"),
    ],
)
def test_no_text_argument_or_format_makes_it_raise(
    lines: Lines, given: tuple[Any, ...], written: str
) -> None:
    lines.log.info(*given)
    assert lines.messages() == [written]
    assert type(lines.messages()[0]) is str


def test_a_very_long_line_is_cut_and_says_so(lines: Lines) -> None:
    lines.log.info("x" * 100_007)
    assert lines.messages() == ["x" * 100_000 + " … (7 more characters)"]
