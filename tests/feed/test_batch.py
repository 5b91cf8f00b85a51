from __future__ import annotations

from runwire.feed.batch import BATCH_WEIGHT, RunTailBatch, cut, is_contiguous, weigh
from tests.feed.records import line, lines, run_record


def test_a_batch_covers_from_the_position_before_its_first_record_to_its_last() -> None:
    records = lines(4, 6)
    batch = RunTailBatch.of(run_record(), records, 3, 9)
    assert batch == RunTailBatch(
        run=run_record(),
        records=tuple(records),
        from_position=3,
        to_position=6,
        head_position=9,
        caught_up=False,
    )


def test_a_batch_that_reaches_the_head_is_caught_up() -> None:
    assert RunTailBatch.of(run_record(), lines(4, 6), 3, 6).caught_up


def test_a_batch_beyond_the_head_that_was_known_moves_the_head() -> None:
    batch = RunTailBatch.of(run_record(), lines(4, 6), 3, 5)
    assert (batch.head_position, batch.caught_up) == (6, True)


def test_the_rest_of_a_batch_begins_after_the_position() -> None:
    batch = RunTailBatch.of(run_record(), lines(4, 6), 3, 6)
    assert batch.after(3) is batch
    assert batch.after(5) == RunTailBatch.of(run_record(), [line(6)], 5, 6)


def test_positions_are_contiguous_only_without_hole_repeat_or_disorder() -> None:
    assert is_contiguous([], 7)
    assert is_contiguous(lines(8, 10), 7)
    assert not is_contiguous(lines(9, 10), 7)
    assert not is_contiguous(lines(7, 10), 7)
    assert not is_contiguous([line(8), line(10)], 7)
    assert not is_contiguous([line(8), line(8)], 7)
    assert not is_contiguous([line(9), line(8)], 7)


def test_records_are_cut_by_number() -> None:
    pieces = [[r.position for r in piece] for piece in cut(lines(1, 7), 3)]
    assert pieces == [[1, 2, 3], [4, 5, 6], [7]]


def test_records_are_cut_by_size() -> None:
    third = BATCH_WEIGHT // 3 - weigh(line(1))
    pieces = [[r.position for r in piece] for piece in cut(lines(1, 7, size=third), 1000)]
    assert pieces == [[1, 2, 3], [4, 5, 6], [7]]


def test_a_record_that_is_too_big_is_a_piece_of_its_own() -> None:
    records = [line(1), line(2, size=2 * BATCH_WEIGHT), line(3)]
    pieces = [[r.position for r in piece] for piece in cut(records, 1000)]
    assert pieces == [[1], [2], [3]]


def test_nothing_is_cut_into_nothing() -> None:
    assert list(cut([], 3)) == []
