from __future__ import annotations

import pytest

from runwire.feed import Coverage, InstanceTailBatch


def batch(after: int, to: int, *, head: int | None = None) -> InstanceTailBatch:
    return InstanceTailBatch.of("log", (), {}, (after, to), to if head is None else head)


@pytest.mark.parametrize("is_empty", [True, False])
def test_the_first_batch_is_always_sent(is_empty: bool) -> None:
    coverage = Coverage(3, 15.0)
    assert coverage.extend(batch(3, 7, head=9), is_empty=is_empty, now=0.0) == 3
    assert coverage.position == 7


def test_what_is_kept_back_is_covered_by_the_next_message() -> None:
    coverage = Coverage(0, 15.0)
    coverage.extend(batch(0, 1), is_empty=False, now=0.0)
    assert coverage.extend(batch(1, 5), is_empty=True, now=1.0) is None
    assert coverage.extend(batch(5, 8), is_empty=True, now=2.0) is None
    assert coverage.extend(batch(8, 9), is_empty=False, now=3.0) == 1
    assert coverage.extend(batch(9, 10), is_empty=False, now=4.0) == 9


def test_an_empty_batch_is_sent_when_nothing_was_for_long() -> None:
    coverage = Coverage(0, 15.0)
    coverage.extend(batch(0, 1), is_empty=False, now=100.0)
    assert coverage.extend(batch(1, 2), is_empty=True, now=114.9) is None
    assert coverage.extend(batch(2, 3), is_empty=True, now=115.0) == 1
    assert coverage.extend(batch(3, 4), is_empty=True, now=129.9) is None


def test_that_the_stream_has_caught_up_is_told_at_once_that_it_fell_behind_with_the_next() -> None:
    coverage = Coverage(0, 15.0)
    assert coverage.extend(batch(0, 1, head=9), is_empty=True, now=0.0) == 0
    assert coverage.extend(batch(1, 5, head=9), is_empty=True, now=0.0) is None
    assert coverage.extend(batch(5, 9), is_empty=True, now=0.0) == 1
    assert coverage.extend(batch(9, 10, head=20), is_empty=True, now=0.0) is None
    assert coverage.extend(batch(10, 11, head=20), is_empty=False, now=0.0) == 9
    assert coverage.extend(batch(11, 12, head=20), is_empty=True, now=0.0) is None
    assert coverage.extend(batch(12, 20), is_empty=True, now=0.0) == 11
