from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from runwire.errors import RunNotFoundError
from runwire.events.entry import EventLogRecord
from runwire.feed.batch import RunTailBatch
from runwire.feed.tail import Tail
from runwire.storage import LogHead
from tests.feed.records import line, lines, run_record, success


def opened(position: int = 0, terminal: int | None = None) -> Tail:
    tail = Tail(run_record())
    tail.open(run_record(), LogHead(position, terminal))
    return tail


def test_it_begins_at_the_head_of_the_log() -> None:
    tail = opened(7)
    assert (tail.start, tail.end, tail.is_behind) == (7, 7, False)
    assert tail.batch_after(7) is None


def test_a_head_that_was_polled_before_it_opened_is_not_forgotten() -> None:
    tail = Tail(run_record())
    tail.see_head(LogHead(9, None))
    tail.open(run_record(), LogHead(7, None))
    assert (tail.end, tail.is_behind) == (7, True)


def test_a_head_that_is_told_late_changes_nothing() -> None:
    tail = opened(7)
    tail.see_head(LogHead(6, None))
    assert not tail.is_behind
    assert tail.checkpoint(7).head_position == 7


def test_records_are_cut_into_live_batches_that_know_the_head() -> None:
    tail = opened(10)
    tail.append(run_record(), lines(11, 230))
    first, second, third = (tail.batch_after(position) for position in (10, 110, 210))
    assert first == RunTailBatch(run_record(), tuple(lines(11, 110)), 10, 110, 230, False)
    assert second == RunTailBatch(run_record(), tuple(lines(111, 210)), 110, 210, 230, False)
    assert third == RunTailBatch(run_record(), tuple(lines(211, 230)), 210, 230, 230, True)


def test_a_part_of_what_is_known_to_be_there_leaves_it_behind() -> None:
    tail = opened(10)
    tail.see_head(LogHead(30, 30))
    tail.append(run_record(), lines(11, 20))
    batch = tail.batch_after(10)
    assert batch == RunTailBatch(run_record(), tuple(lines(11, 20)), 10, 20, 30, False)
    assert (tail.is_behind, tail.has_ended_at(20)) == (True, False)


def test_a_batch_was_caught_up_when_it_was_made_but_not_for_who_gets_it_late() -> None:
    tail = opened()
    tail.append(run_record(), [line(1)])
    before = tail.batch_after(0)
    assert before is not None
    tail.append(run_record(), [line(2)])
    assert tail.batch_after(0) == replace(before, head_position=2, caught_up=False)


@pytest.mark.parametrize("wrong", [lines(9, 10), lines(7, 9), [line(8), line(10)]])
def test_records_that_do_not_follow_are_refused(wrong: list[EventLogRecord]) -> None:
    tail = opened(7)
    with pytest.raises(ValueError, match="do not follow position 7"):
        tail.append(run_record(), wrong)
    assert (tail.start, tail.end, tail.weight) == (7, 7, 0)


def test_a_log_has_ended_at_its_head_once_a_terminal_event_was_applied() -> None:
    tail = opened(5)
    assert not tail.has_ended_at(5)
    tail.append(run_record(), [success(6), line(7)])
    assert not tail.has_ended_at(6)
    assert tail.has_ended_at(7)


def test_a_terminal_event_that_was_not_applied_ends_nothing() -> None:
    tail = opened(5)
    tail.append(run_record(), [success(6, applied=False)])
    assert not tail.has_ended_at(6)


def test_a_log_that_had_ended_before_it_opened_has_ended_at_its_head() -> None:
    tail = opened(5, terminal=4)
    assert not tail.has_ended_at(4)
    assert tail.has_ended_at(5)


def test_a_terminal_event_stays_known_when_more_follows() -> None:
    tail = opened(5, terminal=5)
    tail.append(run_record(), [line(6)])
    assert not tail.has_ended_at(5)
    assert tail.has_ended_at(6)


def test_a_checkpoint_is_empty_and_tells_position_and_head() -> None:
    tail = opened(5)
    assert tail.checkpoint(5) == RunTailBatch(run_record(), (), 5, 5, 5, True)
    assert tail.checkpoint(3) == RunTailBatch(run_record(), (), 3, 3, 5, False)


async def test_everyone_who_waits_is_woken_by_records_and_by_failure() -> None:
    tail = opened()
    waiting = [asyncio.create_task(tail.wait_change()) for _ in range(3)]
    await asyncio.sleep(0)
    tail.append(run_record(), [line(1)])
    assert await asyncio.gather(*waiting) == [True] * 3
    waiting = [asyncio.create_task(tail.wait_change()) for _ in range(3)]
    await asyncio.sleep(0)
    tail.fail(RunNotFoundError("r1"))
    assert await asyncio.gather(*waiting) == [True] * 3
    with pytest.raises(RunNotFoundError):
        tail.raise_failure()


async def test_waiting_ends_at_the_deadline() -> None:
    assert not await opened().wait_change(0.0)


async def test_a_head_that_moved_on_says_read_one_that_went_back_says_look_up() -> None:
    tail = opened(5)
    tail.see_head(LogHead(6, None))
    assert await tail.wait_head(60)
    tail.append(run_record(), [line(6)])
    tail.see_head(LogHead(0, None))
    assert not await tail.wait_head(60)
