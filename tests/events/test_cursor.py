"""Cursors are opaque, of one log, and everything else is refused."""

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runwire.errors import CursorInvalidError
from runwire.events import Cursor, CursorScope


@given(st.integers(min_value=0, max_value=2**63), st.sampled_from(CursorScope))
def test_a_cursor_reads_back(position: int, scope: CursorScope) -> None:
    cursor = Cursor(scope, "0a1b", position)
    assert Cursor.parse(str(cursor)) == cursor


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "HEAD",
        "not a cursor",
        "äöü",
        "\udc80",
        encoded("2:run:a:1"),
        encoded("1:moon:a:1"),
        encoded("1:run:a:-1"),
        encoded("1:run:a:1:2"),
        encoded("1:run:a:١"),
        encoded("1:run:a:1") + "!",
        "A" * 100_000,
    ],
)
def test_what_is_not_a_cursor_is_refused(text: str) -> None:
    with pytest.raises(CursorInvalidError, match="is not a cursor"):
        Cursor.parse(text)


@given(st.text())
def test_no_text_makes_parsing_raise_anything_else(text: str) -> None:
    with suppress(CursorInvalidError):
        Cursor.parse(text)


@pytest.mark.parametrize(
    ("cursor", "problem"),
    [
        (Cursor(CursorScope.INSTANCE, "log", 1), "scope"),
        (Cursor(CursorScope.RUN, "other", 1), "another log"),
        (Cursor(CursorScope.RUN, "log", 6), "the log ends at 5"),
    ],
)
def test_a_cursor_of_elsewhere_is_refused(cursor: Cursor, problem: str) -> None:
    with pytest.raises(CursorInvalidError, match=problem):
        Cursor.position_in(str(cursor), CursorScope.RUN, "log", head=5)


def test_a_cursor_at_the_head_is_taken() -> None:
    assert (
        Cursor.position_in(str(Cursor(CursorScope.RUN, "log", 5)), CursorScope.RUN, "log", 5) == 5
    )
