from __future__ import annotations

from dataclasses import replace

from runwire.events.filters import EventRecordsFilter
from runwire.events.types import EventType
from runwire.feed import InstanceTailBatch, Wanted
from runwire.feed.batch import PAGE_RECORDS
from runwire.storage import InstanceEventKind, InstanceLogRecord
from tests.feed.records import line, run_record, success

RUNS = {"r1": run_record()}


def created(position: int) -> InstanceLogRecord:
    return InstanceLogRecord(
        position=position,
        kind=InstanceEventKind.RUN_CREATED,
        run_id="r1",
        job_name="job",
        timestamp=1.0,
    )


def ended(position: int) -> InstanceLogRecord:
    return replace(created(position), kind=InstanceEventKind.EVENT, event=success(position))


def batch(*entries: InstanceLogRecord, head: int = 0) -> InstanceTailBatch:
    span = entries[0].position - 1, entries[-1].position
    return InstanceTailBatch.of("log", entries, RUNS, span, head)


def test_a_batch_that_reaches_the_head_is_caught_up() -> None:
    made = batch(created(4), ended(5), head=5)
    assert (made.from_position, made.to_position, made.head_position) == (3, 5, 5)
    assert made.caught_up
    assert not batch(created(4), ended(5), head=6).caught_up
    assert batch(created(4), ended(5), head=2).head_position == 5


def test_the_rest_of_a_batch_begins_after_the_position() -> None:
    made = batch(created(4), ended(5), ended(6))
    assert made.after(3) is made
    assert made.after(4) == batch(ended(5), ended(6))


def test_what_is_wanted_is_chosen_by_kind_and_filter_and_the_range_stays() -> None:
    made = batch(created(4), ended(5), created(6))
    events = Wanted(frozenset({InstanceEventKind.EVENT}))
    assert made.only(events) == replace(made, entries=(ended(5),))
    failures = EventRecordsFilter(event_types=frozenset({EventType.RUN_FAILURE}))
    assert made.only(Wanted(filter=failures)).entries == (created(4), created(6))
    assert made.only(Wanted()) == made


def test_many_small_batches_are_joined_as_far_as_a_page_goes() -> None:
    batches = [batch(created(position), head=position) for position in range(1, 1203)]
    page = batches[0].joined(batches[1:])
    assert [entry.position for entry in page.entries] == list(range(1, PAGE_RECORDS + 1))
    assert (page.from_position, page.to_position, page.head_position) == (0, PAGE_RECORDS, 1202)
    assert page.runs == RUNS


def test_a_run_weighs_what_its_tags_and_config_do() -> None:
    small = batch(created(1)).weight
    record = run_record()
    large = replace(
        record, run=replace(record.run, tags={"k": "v" * 100}, run_config={"key": "x" * 5000})
    )
    heavy = InstanceTailBatch.of("log", [created(1)], {"r1": large}, (0, 1), 1).weight
    assert 5100 <= heavy - small <= 5200
    assert batch(ended(1)).weight >= batch(created(1)).weight + len(line(1).message)
