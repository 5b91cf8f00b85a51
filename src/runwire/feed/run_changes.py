"""What the instance-wide log tells of runs that match a filter: who came, changed, left or went."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from runwire.events.filters import EventRecordsFilter
from runwire.events.types import RUN_EVENTS
from runwire.feed.instance_batch import ALL_KINDS, InstanceTailBatch, Wanted
from runwire.feed.location_changes import ChangeType
from runwire.runs.filters import RunsFilter
from runwire.runs.run import RunRecord
from runwire.runs.status import TRANSITIONS
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


class _Reason(Enum):
    """Why a run does not match: it stays so until an entry tells of another status, or of other tags."""

    STATUS = "STATUS"
    TAGS = "TAGS"


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
    told that it does not match, once, if the log says that it stays so; should that be forgotten, because there
    are too many, it is told again. What is remembered is what the entries say and not what the rows do, which may
    be newer than them: so whoever comes to a cursor, from wherever, is told the same from there.

    Args:
        filter: which runs; None for all.
    """

    def __init__(self, filter: RunsFilter | None) -> None:
        self._filter = RunsFilter() if filter is None else filter
        # What of the filter holds for a run for ever, or never does, or does until its tags change.
        self._lasting = replace(self._filter, statuses=None, tags=(), updated_at=None)
        self._tagged = replace(self._filter, statuses=None, updated_at=None)
        self._outside: OrderedDict[str, _Reason] = OrderedDict()

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
        was_outside = self._was_outside(entry)
        if matches:
            self._outside.pop(entry.run_id, None)
        elif entry.kind is InstanceEventKind.RUN_CREATED or not self._lasting.matches(run):
            return None
        else:
            self._remember(entry, run)
            if was_outside:
                return None
        return RunChange(_TYPES[entry.kind], entry.run_id, run, matches, entry)

    def _was_outside(self, entry: InstanceLogRecord) -> bool:
        """Whether it was told already that a run does not match, and an entry does not change why."""
        match self._outside.get(entry.run_id):
            case _Reason.STATUS:
                return entry.event is None or self._excludes(entry)
            case _Reason.TAGS:
                return entry.event is not None
            case None:
                return False

    def _remember(self, entry: InstanceLogRecord, run: RunRecord) -> None:
        """Remembers why a run does not match from an entry on, as far as that is known."""
        was = self._outside.pop(entry.run_id, None)
        if self._filter.updated_at is not None:
            return
        if self._excludes(entry) if entry.event is not None else was is _Reason.STATUS:
            reason = _Reason.STATUS
        elif not self._tagged.matches(run):
            reason = _Reason.TAGS
        else:
            return
        self._outside[entry.run_id] = reason
        if len(self._outside) > _REMEMBERED:
            self._outside.popitem(last=False)

    def _excludes(self, entry: InstanceLogRecord) -> bool:
        """Whether a run has none of the wanted statuses by the event of an entry."""
        wanted, event = self._filter.statuses, entry.event
        if wanted is None or event is None:
            return False
        after = {status for (_, told), status in TRANSITIONS.items() if told is event.event_type}
        return bool(after) and wanted.isdisjoint(after)

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
