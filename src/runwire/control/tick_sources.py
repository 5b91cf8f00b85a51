"""Schedules as they are known: what their code locations have loaded, and what the storage keeps about them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import chain

from runwire.errors import ScheduleAmbiguousError, ScheduleNotFoundError
from runwire.snapshots import JobSnapshot, RepositorySnapshot, ScheduleSnapshot
from runwire.storage.schedule_storage import ScheduleStorage
from runwire.ticks.cron import CronSchedule
from runwire.ticks.source import (
    TickSourceOrigin,
    TickSourceState,
    TickSourceStatus,
    TickSourceType,
)
from runwire.workspace import CodeLocationState, Workspace


@dataclass(frozen=True, slots=True)
class ScheduleSelector:
    """Names a schedule; repository and code location only where its name is ambiguous."""

    schedule_name: str
    repository_name: str | None = None
    location_name: str | None = None

    def selects(self, origin: TickSourceOrigin) -> bool:
        """Whether it may mean what is defined there."""
        return (
            origin.source_type is TickSourceType.SCHEDULE
            and origin.name == self.schedule_name
            and self.repository_name in {None, origin.repository_name}
            and self.location_name in {None, origin.location_name}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TickSourceRecord:
    """A schedule or sensor.

    Attributes:
        origin: where it is defined.
        location: its code location; None when the workspace does not have it any more.
        repository: its repository as last loaded; None when it is not.
        state: what is kept about it; None when it was never started, by hand or by default.
    """

    origin: TickSourceOrigin
    location: CodeLocationState | None = None
    repository: RepositorySnapshot | None = None
    state: TickSourceState | None = None

    @property
    def default_status(self) -> TickSourceStatus:
        """The status that its definition asks for."""
        return TickSourceStatus.STOPPED

    @property
    def is_defined(self) -> bool:
        """Whether its definition is loaded, or was before its code location ceased to be."""
        return False

    @property
    def description(self) -> str | None:
        """What it is for, in its author's words."""
        return None

    @property
    def job_names(self) -> Collection[str]:
        """The names of the jobs whose runs it may request."""
        return ()

    @property
    def status(self) -> TickSourceStatus:
        """Whether it makes ticks: as somebody has said, else as its definition says."""
        state = self.state
        if state is None or (state.by_default and self.is_defined):
            return self.default_status
        return state.status

    @property
    def running_since(self) -> float | None:
        """When it was last started, in epoch seconds; None while stopped, and until a daemon has started it."""
        is_running = self.status is TickSourceStatus.RUNNING
        return self.state.running_since if self.state is not None and is_running else None

    @property
    def jobs(self) -> list[JobSnapshot]:
        """The jobs whose runs it may request, by name; none while they are not loaded."""
        if self.repository is None:
            return []
        found = [job for job in self.repository.jobs if job.name in self.job_names]
        return sorted(found, key=lambda job: job.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRecord(TickSourceRecord):
    """A schedule. `snapshot` is its definition; None when it is not loaded."""

    snapshot: ScheduleSnapshot | None = None

    @property
    def default_status(self) -> TickSourceStatus:
        starts = self.snapshot is not None and self.snapshot.starts_running
        return TickSourceStatus.RUNNING if starts else TickSourceStatus.STOPPED

    @property
    def is_defined(self) -> bool:
        return self.snapshot is not None

    @property
    def description(self) -> str | None:
        return None if self.snapshot is None else self.snapshot.description

    @property
    def job_names(self) -> Collection[str]:
        return () if self.snapshot is None else (self.snapshot.job_name,)

    @property
    def cron(self) -> CronSchedule | None:
        """When it is due; None when its definition is not loaded."""
        found = self.snapshot
        return None if found is None else CronSchedule(found.cron_schedule, found.timezone)


@dataclass(frozen=True, slots=True)
class TickSources:
    """Reads schedules and sensors, from storage and workspace."""

    storage: ScheduleStorage
    workspace: Workspace

    def find_schedule(self, selector: ScheduleSelector) -> ScheduleRecord:
        """The one schedule that a selector names, defined or kept.

        Raises:
            ScheduleNotFoundError: there is none.
            ScheduleAmbiguousError: there is more than one.
        """
        defined = self.defined_schedules()
        found = [each for each in defined if selector.selects(each.origin)] or [
            self._kept_schedule(state)
            for state in self.storage.get_tick_sources(source_type=TickSourceType.SCHEDULE)
            if selector.selects(state.origin)
        ]
        if not found:
            raise ScheduleNotFoundError(
                selector.schedule_name, (each.origin.name for each in defined)
            )
        if len(found) > 1:
            places = [(each.origin.location_name, each.origin.repository_name) for each in found]
            raise ScheduleAmbiguousError(selector.schedule_name, places)
        record = found[0]
        return _with_state(record, self.storage.find_tick_source(record.origin.source_id))

    def list_schedules(self) -> list[ScheduleRecord]:
        """The schedules that are defined, and those that run though they are not; by name and place."""
        states = {
            state.source_id: state
            for state in self.storage.get_tick_sources(source_type=TickSourceType.SCHEDULE)
        }
        defined = [
            _with_state(each, states.pop(each.origin.source_id, None))
            for each in self.defined_schedules()
        ]
        others = [self._kept_schedule(state) for state in states.values() if state.is_running]
        return sorted([*defined, *others], key=_place)

    def by_id(self, source_ids: Collection[str]) -> dict[str, TickSourceRecord]:
        """Those of the ids that are defined or kept."""
        wanted = frozenset(source_ids)
        states = {
            state.source_id: state for state in self.storage.get_tick_sources(source_ids=wanted)
        }
        found: dict[str, TickSourceRecord] = {
            each.origin.source_id: _with_state(each, states.get(each.origin.source_id))
            for each in self.defined_schedules()
            if each.origin.source_id in wanted
        }
        kept = {
            source_id: self._kept_schedule(state)
            for source_id, state in states.items()
            if state.origin.source_type is TickSourceType.SCHEDULE
        }
        return {**kept, **found}

    def defined_schedules(self) -> list[ScheduleRecord]:
        """The schedules of all code locations as last loaded, without what is kept about them."""
        states = (location.state for location in self.workspace.list_locations())
        return list(chain.from_iterable(map(schedules_of, states)))

    def _kept_schedule(self, state: TickSourceState) -> ScheduleRecord:
        """One that no code location has loaded."""
        places = (location.state for location in self.workspace.list_locations())
        name = state.origin.location_name
        location = next((each for each in places if each.name == name), None)
        return ScheduleRecord(origin=state.origin, location=location, state=state)


def schedules_of(location: CodeLocationState) -> Iterable[ScheduleRecord]:
    """The schedules of a code location as last loaded, without what is kept about them."""
    for repository in location.repositories:
        for snapshot in repository.schedules:
            origin = TickSourceOrigin(
                source_type=TickSourceType.SCHEDULE,
                location_name=location.name,
                repository_name=repository.name,
                name=snapshot.name,
            )
            yield ScheduleRecord(
                origin=origin, location=location, repository=repository, snapshot=snapshot
            )


def _with_state(record: ScheduleRecord, state: TickSourceState | None) -> ScheduleRecord:
    return ScheduleRecord(
        origin=record.origin,
        location=record.location,
        repository=record.repository,
        state=state,
        snapshot=record.snapshot,
    )


def _place(record: TickSourceRecord) -> tuple[str, str, str]:
    origin = record.origin
    return origin.name, origin.location_name, origin.repository_name
