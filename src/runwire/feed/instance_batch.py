"""Batches of the instance-wide log, and which of its entries somebody wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import msgspec

from runwire.events.filters import EventRecordsFilter
from runwire.feed.batch import PAGE_RECORDS, cut, weigh
from runwire.runs.run import RunRecord
from runwire.storage import InstanceEventKind, InstanceLogRecord
from runwire.storage.instance_log_filter import matches

ALL_KINDS = frozenset(InstanceEventKind)

_BATCH_WEIGHT = 256
_RUN_WEIGHT = 1024
"""What a run weighs beside its tags and its run config, about."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries of the instance-wide log somebody wants.

    Attributes:
        kinds: entries of one of these kinds.
        filter: of these, those that match, as `EventLogStorage.get_event_records` says.
    """

    kinds: frozenset[InstanceEventKind] = ALL_KINDS
    filter: EventRecordsFilter | None = None

    def holds(self, entry: InstanceLogRecord) -> bool:
        """Whether an entry is wanted."""
        return entry.kind in self.kinds and matches(self.filter, entry)


@dataclass(frozen=True, slots=True)
class InstanceTailBatch:
    """A stretch of the instance-wide log, and the runs that it tells of as they are after it.

    Attributes:
        log_id: the id of the log, part of its cursors.
        entries: the entries after `from_position` up to `to_position`: in the ring every one of them, for a
            follower those that it wants.
        runs: the runs of these entries by id, never older than `to_position`; one that is deleted is not there.
        from_position: the position before those that the batch covers.
        to_position: the last position that the batch covers.
        head_position: the newest position that existed when the batch was made.
        caught_up: whether the batch reaches the head, so that what follows is live.
    """

    log_id: str
    entries: tuple[InstanceLogRecord, ...]
    runs: Mapping[str, RunRecord]
    from_position: int
    to_position: int
    head_position: int
    caught_up: bool

    @classmethod
    def of(
        cls,
        log_id: str,
        entries: Sequence[InstanceLogRecord],
        runs: Mapping[str, RunRecord],
        span: tuple[int, int],
        head: int,
    ) -> InstanceTailBatch:
        """The batch of the entries after one position up to another."""
        after, to = span
        return cls(log_id, tuple(entries), runs, after, to, max(head, to), to >= head)

    def after(self, position: int) -> Self:
        """What of it lies after a position that it covers."""
        if position == self.from_position:
            return self
        rest = tuple(entry for entry in self.entries if entry.position > position)
        return replace(self, entries=rest, from_position=position)

    def only(self, wanted: Wanted) -> Self:
        """What of it is wanted."""
        return replace(self, entries=tuple(filter(wanted.holds, self.entries)))

    def joined(self, later: Sequence[Self]) -> InstanceTailBatch:
        """It and those that follow it as one page, as far as a page goes; `later` is not empty."""
        entries, runs = list(self.entries), dict(self.runs)
        for batch in later:
            if len(entries) > PAGE_RECORDS:
                break
            entries.extend(batch.entries)
            runs.update(batch.runs)
        page = next(cut(entries, PAGE_RECORDS))
        span = self.from_position, page[-1].position
        return InstanceTailBatch.of(self.log_id, page, runs, span, later[-1].head_position)

    @property
    def weight(self) -> int:
        """About how many bytes it takes."""
        return (
            _BATCH_WEIGHT + sum(map(weigh, self.entries)) + sum(map(_weigh_run, self.runs.values()))
        )


def _weigh_run(record: RunRecord) -> int:
    run = record.run
    tags = sum(len(key) + len(value) for key, value in run.tags.items())
    return _RUN_WEIGHT + tags + len(msgspec.json.encode(run.run_config))
