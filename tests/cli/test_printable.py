from __future__ import annotations

import pytest

from runwire.cli.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünï, 漢字, 🎈", "plain, ünï, 漢字, 🎈"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x1b[0m\r\x07", "\\x1b[31mred\\x1b[0m\\x0d\\x07"),
        ("\x9b1m\x7f", "\\x9b1m\\x7f"),
        ("a lone \ud800 surrogate", "a lone \\ud800 surrogate"),
    ],
)
def test_nothing_that_steers_a_terminal_or_breaks_an_encoding_is_left(
    text: str, shown: str
) -> None:
    assert printable(text) == shown
