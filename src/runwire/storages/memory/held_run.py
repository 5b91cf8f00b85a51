"""A held run in memory: changes are staged and published together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from runwire import clock
from runwire.events.entry import EventLogRecord
from runwire.events.types import MIRRORED_EVENTS
from runwire.runs.filters import RunsFilter, TagFilter
from runwire.runs.projection import project
from runwire.runs.run import RunRecord, StepCounts
from runwire.runs.status import IN_PROGRESS_STATUSES
from runwire.runs.tags import merged
from runwire.storage.instance_log import InstanceEventKind, InstanceLogRecord
from runwire.storage.run_storage import HeldRun
from runwire.storages.memory.asset_index import index_entry
from runwire.storages.memory.state import Log, State
from runwire.storages.stored_form import stored_tags


@dataclass(slots=True)
class MemoryHeldRun(HeldRun):
    """Whoever has it also has the state's lock."""

    _state: State
    _record: RunRecord
    _staged: list[InstanceLogRecord] = field(default_factory=list)
    _log: Log | None = None
    _deleted: bool = False

    @property
    def record(self) -> RunRecord:
        return self._record

    @property
    def log(self) -> Log | None:
        """The run's log, with what was appended through this hold."""
        return self._log or self._state.log_of(self._record)

    def stage_log(self, log: Log) -> None:
        """Keeps a log, to be published with the rest."""
        self._log = log

    def apply(self, events: Sequence[EventLogRecord], counts: StepCounts | None = None) -> None:
        for event in events:
            if event.position <= self._record.applied_position:
                continue
            self._record = project(self._record, event)
            if event.event_type in MIRRORED_EVENTS:
                self._note(InstanceEventKind.EVENT, event.timestamp, event)
        if counts is not None:
            self._record = replace(self._record, counts=counts)

    def add_tags(self, tags: Mapping[str, str]) -> None:
        now = clock.timestamp()
        self._record = replace(
            self._record,
            run=replace(self._record.run, tags=merged(self._record.run.tags, stored_tags(tags))),
            updated_at=max(self._record.updated_at, now),
        )
        self._note(InstanceEventKind.RUN_TAGGED, now)

    def delete(self) -> None:
        self._deleted = True
        self._note(InstanceEventKind.RUN_DELETED, clock.timestamp())

    def count_in_progress(self, tags: Sequence[TagFilter] = ()) -> list[int]:
        runs = self._state.runs | {self._record.run_id: self._record}
        found = [each for each in runs.values() if each.status in IN_PROGRESS_STATUSES]
        wanted = [RunsFilter(tags=(tag,)) for tag in tags]
        return [len(found), *(sum(map(each.matches, found)) for each in wanted)]

    def publish(self) -> None:
        """Makes everything visible."""
        state, run_id = self._state, self._record.run_id
        if self._deleted:
            del state.runs[run_id]
            keys = [key for key, (_, owner) in state.requests.items() if owner == run_id]
            for key in keys:
                del state.requests[key]
        else:
            state.runs[run_id] = self._record
        if self._log is not None:
            state.logs[self._record.log_id] = self._log
        for entry in self._staged:
            state.instance_log.append(entry)
            index_entry(state.assets, entry)

    def _note(
        self, kind: InstanceEventKind, timestamp: float, event: EventLogRecord | None = None
    ) -> None:
        self._staged.append(
            InstanceLogRecord(
                position=self._state.instance_head + len(self._staged) + 1,
                kind=kind,
                run_id=self._record.run_id,
                job_name=self._record.run.job_name,
                timestamp=timestamp,
                event=event,
            )
        )
