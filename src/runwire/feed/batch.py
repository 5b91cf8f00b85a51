"""Batches: contiguous stretches of a log, cut by number and by size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeVar

from runwire.events.entry import EventLogRecord
from runwire.runs.run import RunRecord
from runwire.storage import InstanceLogRecord

R = TypeVar("R", EventLogRecord, InstanceLogRecord)

LIVE_RECORDS = 100
"""The most records of a batch of the live tail."""

PAGE_RECORDS = 1000
"""The most records of a batch that catches up."""

BATCH_WEIGHT = 256 * 1024
"""The most that the records of a batch weigh, unless it is a single one."""

_RECORD_WEIGHT = 256
"""What the envelope of a record weighs, about."""

_BATCH_WEIGHT = 256
"""What a batch weighs beside its records, about."""


@dataclass(frozen=True, slots=True)
class RunTailBatch:
    """A stretch of one run's log, and the run as it is after it.

    Attributes:
        run: the run; never older than `to_position`.
        records: the records after `from_position` up to `to_position`, every one of them; empty when only
            time has passed.
        from_position: the position before the first record: the `to_position` of the batch before.
        to_position: the last position that the batch covers.
        head_position: the newest position that existed when the batch was made.
        caught_up: whether the batch reaches the head, so that what follows is live.
    """

    run: RunRecord
    records: tuple[EventLogRecord, ...]
    from_position: int
    to_position: int
    head_position: int
    caught_up: bool

    @classmethod
    def of(
        cls, run: RunRecord, records: Sequence[EventLogRecord], after: int, head: int
    ) -> RunTailBatch:
        """The batch of contiguous records that follow a position."""
        to = after + len(records)
        return cls(run, tuple(records), after, to, max(head, to), to >= head)

    def after(self, position: int) -> RunTailBatch:
        """What of it lies after a position that it covers."""
        if position == self.from_position:
            return self
        rest = self.records[position - self.from_position :]
        return replace(self, records=rest, from_position=position)

    def joined(self, later: Sequence[Self]) -> RunTailBatch:
        """It and those that follow it as one page, as far as a page goes; `later` is not empty."""
        records = list(self.records)
        for batch in later:
            if len(records) > PAGE_RECORDS:
                break
            records.extend(batch.records)
        newest = later[-1]
        page = next(cut(records, PAGE_RECORDS))
        return RunTailBatch.of(newest.run, page, self.from_position, newest.head_position)

    @property
    def weight(self) -> int:
        """About how many bytes it takes."""
        return _BATCH_WEIGHT + sum(map(weigh, self.records))


def weigh(record: EventLogRecord | InstanceLogRecord) -> int:
    """About how many bytes a record takes."""
    event = record.event if isinstance(record, InstanceLogRecord) else record
    if event is None:
        return _RECORD_WEIGHT
    return _RECORD_WEIGHT + len(event.message) + len(event.body or b"")


def is_contiguous(records: Sequence[R], after: int) -> bool:
    """Whether the positions are after + 1, after + 2, and so on."""
    return all(record.position == after + i for i, record in enumerate(records, 1))


def cut(records: Sequence[R], limit: int) -> Iterator[Sequence[R]]:
    """Cuts records into pieces of at most `limit` records and BATCH_WEIGHT; a piece has one at least."""
    start, weight = 0, 0
    for end, record in enumerate(records):
        weight += weigh(record)
        if end > start and (end - start == limit or weight > BATCH_WEIGHT):
            yield records[start:end]
            start, weight = end, weigh(record)
    if start < len(records):
        yield records[start:]
