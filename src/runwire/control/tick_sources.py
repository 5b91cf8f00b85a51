"""Schedules and sensors as they are known: what their code locations have loaded, and what storage keeps of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import ClassVar, Generic, TypeVar, cast

from runwire.errors import (
    InputInvalidError,
    NotFoundError,
    ScheduleAmbiguousError,
    ScheduleNotFoundError,
    SensorAmbiguousError,
    SensorNotFoundError,
)
from runwire.snapshots import (
    JobSnapshot,
    RepositorySnapshot,
    ScheduleSnapshot,
    SensorKind,
    SensorSnapshot,
)
from runwire.storage.schedule_storage import ScheduleStorage
from runwire.ticks.cron import CronSchedule
from runwire.ticks.source import (
    TickSourceOrigin,
    TickSourceState,
    TickSourceStatus,
    TickSourceType,
)
from runwire.workspace import CodeLocationState, Workspace


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorRecord(TickSourceRecord):
    """A sensor. `snapshot` is its definition; None when it is not loaded."""

    snapshot: SensorSnapshot | None = None

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
        return () if self.snapshot is None else self.snapshot.job_names

    @property
    def watches_log(self) -> bool:
        """Whether it is called for entries of the instance-wide log; False while it is not loaded."""
        return self.snapshot is not None and self.snapshot.kind is not SensorKind.STANDARD

    @property
    def cursor(self) -> str | None:
        """What its function goes on from."""
        return None if self.state is None else self.state.cursor

    @property
    def cursor_version(self) -> int:
        """How often its cursor was set."""
        return 0 if self.state is None else self.state.cursor_version

    @property
    def next_tick_at(self) -> float | None:
        """When it is due next, in epoch seconds; None while stopped or not loaded, and where events make it due."""
        since, snapshot = self.running_since, self.snapshot
        if since is None or snapshot is None or self.watches_log:
            return None
        last = None if self.state is None else self.state.last_due_at
        return since if last is None else max(since, last + snapshot.minimum_interval_seconds)


R = TypeVar("R", bound=TickSourceRecord)


@dataclass(frozen=True, slots=True)
class TickSourceSelector(ABC, Generic[R]):
    """Names a schedule or a sensor; repository and code location only where its name is ambiguous."""

    name: str
    repository_name: str | None = None
    location_name: str | None = None

    source_type: ClassVar[TickSourceType]

    def selects(self, origin: TickSourceOrigin) -> bool:
        """Whether it may mean what is defined there."""
        return (
            origin.source_type is self.source_type
            and origin.name == self.name
            and self.repository_name in {None, origin.repository_name}
            and self.location_name in {None, origin.location_name}
        )

    @abstractmethod
    def missing(self, known: Iterable[str]) -> NotFoundError:
        """The error that tells that there is none."""

    @abstractmethod
    def ambiguous(self, places: Sequence[tuple[str, str]]) -> InputInvalidError:
        """The error that tells that there is more than one."""


@dataclass(frozen=True, slots=True)
class ScheduleSelector(TickSourceSelector[ScheduleRecord]):
    """Names a schedule."""

    source_type = TickSourceType.SCHEDULE

    def missing(self, known: Iterable[str]) -> NotFoundError:
        return ScheduleNotFoundError(self.name, known)

    def ambiguous(self, places: Sequence[tuple[str, str]]) -> InputInvalidError:
        return ScheduleAmbiguousError(self.name, places)


@dataclass(frozen=True, slots=True)
class SensorSelector(TickSourceSelector[SensorRecord]):
    """Names a sensor."""

    source_type = TickSourceType.SENSOR

    def missing(self, known: Iterable[str]) -> NotFoundError:
        return SensorNotFoundError(self.name, known)

    def ambiguous(self, places: Sequence[tuple[str, str]]) -> InputInvalidError:
        return SensorAmbiguousError(self.name, places)


@dataclass(frozen=True, slots=True)
class TickSources:
    """Reads schedules and sensors, from storage and workspace."""

    storage: ScheduleStorage
    workspace: Workspace

    def find(self, selector: TickSourceSelector[R]) -> R:
        """The one schedule or sensor that a selector names, defined or kept.

        Raises:
            ScheduleNotFoundError, SensorNotFoundError: there is none.
            ScheduleAmbiguousError, SensorAmbiguousError: there is more than one.
        """
        defined = self.defined(selector.source_type)
        found = [each for each in defined if selector.selects(each.origin)] or [
            self._kept(state)
            for state in self.storage.get_tick_sources(source_type=selector.source_type)
            if selector.selects(state.origin)
        ]
        if not found:
            raise selector.missing(each.origin.name for each in defined)
        if len(found) > 1:
            places = [(each.origin.location_name, each.origin.repository_name) for each in found]
            raise selector.ambiguous(places)
        record = cast(R, found[0])
        return replace(record, state=self.storage.find_tick_source(record.origin.source_id))

    def list_schedules(self) -> list[ScheduleRecord]:
        """The schedules that are defined, and those that run though they are not; by name and place."""
        return [
            each for each in self._list(TickSourceType.SCHEDULE) if isinstance(each, ScheduleRecord)
        ]

    def list_sensors(self) -> list[SensorRecord]:
        """The sensors that are defined, and those that run though they are not; by name and place."""
        return [
            each for each in self._list(TickSourceType.SENSOR) if isinstance(each, SensorRecord)
        ]

    def _list(self, source_type: TickSourceType) -> list[TickSourceRecord]:
        """Those of a type that are defined, and those that run though they are not; by name and place."""
        states = {
            state.source_id: state
            for state in self.storage.get_tick_sources(source_type=source_type)
        }
        defined = [
            replace(each, state=states.pop(each.origin.source_id, None))
            for each in self.defined(source_type)
        ]
        others = [
            self._kept(state)
            for state in states.values()
            if state.is_running and not state.by_default
        ]
        return sorted([*defined, *others], key=_place)

    def by_id(self, source_ids: Collection[str]) -> dict[str, TickSourceRecord]:
        """Those of the ids that are defined or kept."""
        wanted = frozenset(source_ids)
        states = {
            state.source_id: state for state in self.storage.get_tick_sources(source_ids=wanted)
        }
        found = {
            each.origin.source_id: replace(each, state=states.get(each.origin.source_id))
            for source_type in TickSourceType
            for each in self.defined(source_type)
            if each.origin.source_id in wanted
        }
        return {source_id: self._kept(state) for source_id, state in states.items()} | found

    def defined(self, source_type: TickSourceType) -> Sequence[TickSourceRecord]:
        """Those of a type that code locations have loaded, without what is kept about them."""
        states = (location.state for location in self.workspace.list_locations())
        return list(chain.from_iterable(tick_sources_of(each, source_type) for each in states))

    def _kept(self, state: TickSourceState) -> TickSourceRecord:
        """One that no code location has loaded."""
        places = (location.state for location in self.workspace.list_locations())
        name = state.origin.location_name
        location = next((each for each in places if each.name == name), None)
        is_sensor = state.origin.source_type is TickSourceType.SENSOR
        record_type = SensorRecord if is_sensor else ScheduleRecord
        return record_type(origin=state.origin, location=location, state=state)


def tick_sources_of(
    location: CodeLocationState, source_type: TickSourceType
) -> Iterable[TickSourceRecord]:
    """The schedules or sensors of a code location as last loaded, without what is kept about them."""
    of_type = schedules_of if source_type is TickSourceType.SCHEDULE else sensors_of
    return of_type(location)


def schedules_of(location: CodeLocationState) -> Iterable[ScheduleRecord]:
    """The schedules of a code location as last loaded, without what is kept about them."""
    for repository in location.repositories:
        for snapshot in repository.schedules:
            yield ScheduleRecord(
                origin=_origin(TickSourceType.SCHEDULE, location, repository, snapshot.name),
                location=location,
                repository=repository,
                snapshot=snapshot,
            )


def sensors_of(location: CodeLocationState) -> Iterable[SensorRecord]:
    """The sensors of a code location as last loaded, without what is kept about them."""
    for repository in location.repositories:
        for snapshot in repository.sensors:
            yield SensorRecord(
                origin=_origin(TickSourceType.SENSOR, location, repository, snapshot.name),
                location=location,
                repository=repository,
                snapshot=snapshot,
            )


def _origin(
    source_type: TickSourceType,
    location: CodeLocationState,
    repository: RepositorySnapshot,
    name: str,
) -> TickSourceOrigin:
    return TickSourceOrigin(
        source_type=source_type,
        location_name=location.name,
        repository_name=repository.name,
        name=name,
    )


def _place(record: TickSourceRecord) -> tuple[str, str, str]:
    origin = record.origin
    return origin.name, origin.location_name, origin.repository_name
