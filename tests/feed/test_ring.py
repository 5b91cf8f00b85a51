from __future__ import annotations

import pytest

from runwire.feed.batch import PAGE_RECORDS, RunTailBatch
from runwire.feed.ring import Ring
from tests.feed.records import lines, run_record


def batch(first: int, last: int, *, size: int = 0) -> RunTailBatch:
    return RunTailBatch.of(run_record(), lines(first, last, size=size), first - 1, last)


def positions(batch: RunTailBatch | None) -> list[int]:
    assert batch is not None
    return [record.position for record in batch.records]


def test_followers_that_keep_up_get_the_same_objects() -> None:
    ring, first, second = Ring[RunTailBatch](0), batch(1, 3), batch(4, 4)
    ring.append(first)
    ring.append(second)
    assert ring.batch_after(0) is first
    assert ring.batch_after(3) is second


def test_nothing_follows_the_end_nor_a_position_beyond_it() -> None:
    ring = Ring[RunTailBatch](5)
    assert ring.batch_after(5) is None
    assert ring.batch_after(7) is None


def test_who_begins_in_the_middle_of_a_batch_gets_its_rest() -> None:
    ring = Ring[RunTailBatch](0)
    ring.append(batch(1, 5))
    assert ring.batch_after(3) == RunTailBatch.of(run_record(), lines(4, 5), 3, 5)


def test_a_position_before_its_start_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="position 4 lies before 5"):
        Ring(5).batch_after(4)


@pytest.mark.parametrize(
    "wrong", [batch(5, 6), batch(7, 8), batch(9, 8)], ids=["again", "hole", "empty"]
)
def test_what_does_not_follow_its_end_is_refused(wrong: RunTailBatch) -> None:
    ring = Ring[RunTailBatch](5 if wrong.records else 8)
    end = ring.end
    with pytest.raises(ValueError, match="does not follow"):
        ring.append(wrong)
    assert (ring.start, ring.end, ring.weight) == (end, end, 0)


def test_the_oldest_batches_fall_out_when_it_is_full() -> None:
    ring = Ring[RunTailBatch](0, max_weight=5000)
    for first in (1, 3, 5):
        ring.append(batch(first, first + 1, size=700))
    assert (ring.start, ring.end) == (2, 6)
    assert positions(ring.batch_after(2)) == [3, 4]
    assert ring.weight <= 5000


def test_a_batch_that_is_bigger_than_the_ring_is_not_kept() -> None:
    ring = Ring[RunTailBatch](0, max_weight=5000)
    ring.append(batch(1, 1))
    ring.append(batch(2, 2, size=6000))
    assert (ring.start, ring.end, ring.weight) == (2, 2, 0)
    assert ring.batch_after(2) is None


def test_who_is_many_small_batches_behind_gets_them_as_one_page() -> None:
    ring = Ring[RunTailBatch](0)
    for position in range(1, 1201):
        ring.append(batch(position, position))
    page = ring.batch_after(0)
    assert page is not None
    assert positions(page) == list(range(1, PAGE_RECORDS + 1))
    assert (page.from_position, page.head_position, page.caught_up) == (0, 1200, False)
    rest = ring.batch_after(PAGE_RECORDS)
    assert rest is not None
    assert positions(rest) == list(range(PAGE_RECORDS + 1, 1201))
    assert rest.caught_up


def test_a_page_begins_after_a_position_within_a_batch() -> None:
    ring = Ring[RunTailBatch](0)
    for first in range(1, 101, 5):
        ring.append(batch(first, first + 4))
    assert positions(ring.batch_after(7)) == list(range(8, 101))
