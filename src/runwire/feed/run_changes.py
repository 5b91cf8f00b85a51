"""What the instance-wide log tells of runs that match a filter: who came, changed, left or went."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from runwire.events.filters import EventRecordsFilter
from runwire.events.types import RUN_EVENTS
from runwire.feed.instance_batch import ALL_KINDS, InstanceTailBatch, Wanted
from runwire.feed.location_changes import ChangeType
from runwire.runs.filters import RunsFilter
from runwire.runs.run import RunRecord
from runwire.storage import InstanceEventKind, InstanceLogRecord

CHANGES_OF_RUNS = Wanted(ALL_KINDS, EventRecordsFilter(event_types=RUN_EVENTS))
"""The entries that can tell of a change of a run."""

_REMEMBERED = 10_000

_TYPES = {
    InstanceEventKind.RUN_CREATED: ChangeType.CREATED,
    InstanceEventKind.RUN_TAGGED: ChangeType.UPDATED,
    InstanceEventKind.EVENT: ChangeType.UPDATED,
    InstanceEventKind.RUN_DELETED: ChangeType.DELETED,
}


@dataclass(frozen=True, slots=True)
class RunChange:
    """A change of a run.

    Attributes:
        type: what happened to it.
        run_id: its id.
        run: the run, never older than the change; None when it is deleted.
        matches: whether it matches the filter now.
        entry: the entry that tells of it; its event, if there is one, changed the run's status.
    """

    type: ChangeType
    run_id: str
    run: RunRecord | None
    matches: bool
    entry: InstanceLogRecord


class RunChanges:
    """Tells of the runs that match a filter, of one that ceases to match once more, and of those deleted.

    What a client has seen before, as in a page, is not known here. So of a run that might have been there it is
    told that it does not match, once. A run of which was told that it does not match is remembered; should it be
    forgotten, because there are too many, that is told again.

    Args:
        filter: which runs; None for all.
    """

    def __init__(self, filter: RunsFilter | None) -> None:
        self._filter = RunsFilter() if filter is None else filter
        # What of the filter holds for a run for ever, or never does.
        self._lasting = replace(self._filter, statuses=None, tags=(), updated_at=None)
        self._outside: OrderedDict[str, None] = OrderedDict()

    def of(self, batch: InstanceTailBatch) -> list[RunChange]:
        """The changes that a batch tells of, in order."""
        return list(self._changes(batch))

    def _changes(self, batch: InstanceTailBatch) -> Iterator[RunChange]:
        for entry in batch.entries:
            change = self._change(entry, batch.runs.get(entry.run_id))
            if change is not None:
                yield change

    def _change(self, entry: InstanceLogRecord, run: RunRecord | None) -> RunChange | None:
        if entry.kind is InstanceEventKind.RUN_DELETED:
            return self._deletion(entry)
        # Of a run that is gone its deletion tells, which follows.
        if run is None or not _is_change(entry):
            return None
        matches = self._filter.matches(run)
        if matches:
            self._outside.pop(entry.run_id, None)
        elif entry.kind is InstanceEventKind.RUN_CREATED or not self._leaves(run):
            return None
        return RunChange(_TYPES[entry.kind], entry.run_id, run, matches, entry)

    def _leaves(self, run: RunRecord) -> bool:
        """Whether a client may have a run that does not match, and was not told so."""
        if not self._lasting.matches(run) or run.run_id in self._outside:
            return False
        self._outside[run.run_id] = None
        if len(self._outside) > _REMEMBERED:
            self._outside.popitem(last=False)
        return True

    def _deletion(self, entry: InstanceLogRecord) -> RunChange | None:
        wanted, run_id = self._lasting, entry.run_id
        if run_id in self._outside:
            del self._outside[run_id]
            return None
        if (
            (wanted.run_ids is not None and run_id not in wanted.run_ids)
            or (wanted.run_id_prefix is not None and not run_id.startswith(wanted.run_id_prefix))
            or (wanted.job_names is not None and entry.job_name not in wanted.job_names)
        ):
            return None
        return RunChange(ChangeType.DELETED, run_id, None, matches=False, entry=entry)


def _is_change(entry: InstanceLogRecord) -> bool:
    """Whether an entry tells of a change, and not of an event that did nothing to its run."""
    if entry.event is None:
        return True
    return entry.event.applied and entry.event.event_type in RUN_EVENTS
