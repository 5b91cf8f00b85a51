"""Spans of time as people read them."""

import pytest

from runwire.execution.durations import describe_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 ms"),
        (0.00034, "0.3 ms"),
        (0.00994, "9.9 ms"),
        (0.00995, "10 ms"),
        (0.012, "12 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (200.4, "3 min 20 s"),
        (3725, "62 min 5 s"),
    ],
)
def test_a_duration_is_told_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert describe_duration(seconds) == text
