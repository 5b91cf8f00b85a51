"""Sensors: functions that are called again and again, and ask for runs when they see cause."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from runwire import clock
from runwire.definitions.job import JobDefinition
from runwire.definitions.naming import checked_name, checked_tags
from runwire.definitions.outputs import AssetKey, asset_key_parts
from runwire.definitions.places import caller_place, place_of, refusal
from runwire.definitions.requests import (
    MAX_CURSOR_CHARS,
    Asked,
    RequestReader,
    SensorResult,
    checked_target,
    takes_context,
)
from runwire.definitions.signature import checked_function, description_of
from runwire.errors import InvalidDefinitionError
from runwire.events.entry import EventLogRecord, storable_text
from runwire.events.payloads import AssetEventData
from runwire.events.types import EventType
from runwire.runs.run import Run
from runwire.runs.status import RunStatus
from runwire.snapshots import SensorKind, SensorSnapshot
from runwire.ticks.evaluation import SensorInput, TickEvaluation

DEFAULT_INTERVAL_SECONDS = 30
MAX_INTERVAL_SECONDS = 366 * 24 * 3600

EVENTS_BY_STATUS: Mapping[RunStatus, EventType] = {
    RunStatus.QUEUED: EventType.RUN_ENQUEUED,
    RunStatus.STARTING: EventType.RUN_STARTING,
    RunStatus.STARTED: EventType.RUN_START,
    RunStatus.CANCELING: EventType.RUN_CANCELING,
    RunStatus.SUCCESS: EventType.RUN_SUCCESS,
    RunStatus.FAILURE: EventType.RUN_FAILURE,
    RunStatus.CANCELED: EventType.RUN_CANCELED,
}
"""The event that tells of a status, of those that a sensor can watch."""

_STATUS_OF: Mapping[EventType | None, RunStatus] = {
    event_type: status for status, event_type in EVENTS_BY_STATUS.items()
}


class DefaultSensorStatus(Enum):
    """Whether a sensor makes ticks before somebody starts or stops it."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"


@dataclass(frozen=True)
class SensorEvaluationContext:
    """The parameter `context` of a sensor's function.

    Attributes:
        sensor_name: the name of the sensor.
        cursor: what an evaluation before has set; None before the first.
        last_run_key: the last run key of its newest tick that asked for runs; None when none did.
        last_tick_at: when its last tick began, in UTC; None before the first.
    """

    sensor_name: str
    cursor: str | None = None
    last_run_key: str | None = None
    last_tick_at: datetime | None = None
    _moved: list[str | None] = field(default_factory=list, init=False, repr=False, compare=False)

    def update_cursor(self, cursor: str | None) -> None:
        """Sets what the next evaluation goes on from; stored together with what this one asks for, unless it fails.

        Raises:
            InvalidDefinitionError: it is no text of at most a million characters.
        """
        self._moved[:] = [_checked_cursor(cursor, f"sensor {self.sensor_name!r}")]

    @property
    def next_cursor(self) -> str | None:
        """What the next evaluation goes on from, as set until now."""
        return self._moved[0] if self._moved else self.cursor


@dataclass(frozen=True, kw_only=True)
class RunStatusSensorContext:
    """The parameter `context` of the function of a run status sensor.

    Attributes:
        sensor_name: the name of the sensor.
        run: the run, as it was asked for.
        status: the status that it has reached.
        event: the event that tells so; `event.error` is why a run failed, where it did.
    """

    sensor_name: str
    run: Run
    status: RunStatus
    event: EventLogRecord


@dataclass(frozen=True, kw_only=True)
class AssetSensorContext:
    """The parameter `context` of the function of an asset sensor.

    Attributes:
        sensor_name: the name of the sensor.
        event: the materialization.
        run: the run that told it; None when it is deleted.
    """

    sensor_name: str
    event: EventLogRecord
    run: Run | None

    @property
    def asset(self) -> AssetEventData:
        """What is told of the asset: key, partition, description, tags, metadata."""
        data = self.event.data
        if isinstance(data, AssetEventData):
            return data
        raise ValueError(f"the event of the asset cannot be read: {data}")


SensorFunction = Callable[..., Any]
SensorContext = SensorEvaluationContext | RunStatusSensorContext | AssetSensorContext

_CONTEXTS: Mapping[SensorKind, type[SensorContext]] = {
    SensorKind.STANDARD: SensorEvaluationContext,
    SensorKind.RUN_STATUS: RunStatusSensorContext,
    SensorKind.ASSET: AssetSensorContext,
}


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What of the instance-wide log a sensor watches; fields as of `SensorSnapshot`."""

    kind: SensorKind = SensorKind.STANDARD
    event_types: tuple[EventType, ...] = ()
    asset_key: tuple[str, ...] | None = None
    monitored_jobs: tuple[str, ...] | None = None
    monitors_all: bool = False


@dataclass(frozen=True, eq=False, init=False)
class SensorDefinition:
    """A sensor. Made by `@sensor`, `@run_status_sensor` and `@asset_sensor`.

    Attributes:
        name: its name.
        jobs: the jobs whose runs it may ask for, where they were given as such.
        job_names: their names.
        tags: the tags of its runs.
        minimum_interval_seconds: the least time between two ticks; 0 for one that watches the instance-wide log.
        description: what it is for, in its author's words.
        default_status: whether it makes ticks before somebody starts or stops it.
        watched: what it watches.
        source: where it is defined, as ``file:line``.
    """

    name: str
    jobs: tuple[JobDefinition, ...]
    job_names: tuple[str, ...]
    tags: Mapping[str, str]
    minimum_interval_seconds: int
    description: str | None
    default_status: DefaultSensorStatus
    watched: Watched
    source: str
    _fn: SensorFunction
    _takes_context: bool

    def __init__(
        self,
        fn: SensorFunction,
        *,
        name: str | None,
        job: JobDefinition | None,
        jobs: Iterable[JobDefinition] | None,
        job_name: str | None,
        minimum_interval_seconds: int,
        tags: Mapping[str, str] | None,
        description: str | None,
        default_status: DefaultSensorStatus,
        watched: Watched,
    ) -> None:
        place = place_of(fn)
        own_name = checked_name(fn.__name__ if name is None else name, place, "sensor")
        subject = f"sensor {own_name!r}"
        members, names = _checked_jobs(job, jobs, job_name, place, subject)
        values = {
            "name": own_name,
            "jobs": members,
            "job_names": names,
            "tags": checked_tags(tags, f"{place}: {subject}"),
            "minimum_interval_seconds": _checked_interval(
                minimum_interval_seconds, watched.kind, place, subject
            ),
            "description": description,
            "default_status": _checked_status(default_status, place, subject),
            "watched": watched,
            "source": place,
            "_fn": fn,
            "_takes_context": takes_context(fn, _CONTEXTS[watched.kind], place, subject, "sensor"),
        }
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)

    def snapshot(self) -> SensorSnapshot:
        """The sensor as data."""
        watched = self.watched
        return SensorSnapshot(
            name=self.name,
            kind=watched.kind,
            job_names=self.job_names,
            minimum_interval_seconds=self.minimum_interval_seconds,
            starts_running=self.default_status is DefaultSensorStatus.RUNNING,
            description=self.description,
            event_types=watched.event_types,
            asset_key=watched.asset_key,
            monitored_jobs=watched.monitored_jobs,
            monitors_all=watched.monitors_all,
        )

    def evaluate(self, given: SensorInput) -> TickEvaluation:
        """Calls its function, and reads what that gives. Raises what the function raises.

        Raises:
            InvalidDefinitionError: the function gave something else than it may.
        """
        context = self._context(given)
        gave = self._fn(context) if self._takes_context else self._fn()
        asked, cursor = self._read(gave)
        if isinstance(context, SensorEvaluationContext):
            if cursor is not None:
                context.update_cursor(cursor)
            cursor = context.next_cursor
        elif cursor is not None:
            raise refusal(
                self.source,
                f"sensor {self.name!r}",
                "its function gave a cursor",
                "leave it out: the cursor of a sensor that watches events moves by itself",
            )
        else:
            cursor = given.cursor
        return TickEvaluation(requests=asked.requests, skip_reason=asked.skip_reason, cursor=cursor)

    def _read(self, gave: object) -> tuple[Asked, str | None]:
        reader = RequestReader(self.source, f"sensor {self.name!r}", self.job_names, self.tags)
        if isinstance(gave, SensorResult):
            return reader.read_result(gave), gave.cursor
        return reader.read(gave), None

    def _context(self, given: SensorInput) -> SensorContext:
        match self.watched.kind:
            case SensorKind.STANDARD:
                at = given.last_tick_at
                return SensorEvaluationContext(
                    self.name,
                    given.cursor,
                    given.last_run_key,
                    None if at is None else clock.from_timestamp(at),
                )
            case SensorKind.RUN_STATUS:
                event, run = given.event, given.run
                status = None if event is None else _STATUS_OF.get(event.event_type)
                if event is None or run is None or status is None:
                    raise ValueError("a run status sensor is called with an event and its run")
                return RunStatusSensorContext(
                    sensor_name=self.name, run=run, status=status, event=event
                )
            case SensorKind.ASSET:
                if given.event is None:
                    raise ValueError("an asset sensor is called with an event")
                return AssetSensorContext(sensor_name=self.name, event=given.event, run=given.run)


def sensor(
    *,
    job: JobDefinition | None = None,
    jobs: Iterable[JobDefinition] | None = None,
    job_name: str | None = None,
    name: str | None = None,
    minimum_interval_seconds: int = DEFAULT_INTERVAL_SECONDS,
    tags: Mapping[str, str] | None = None,
    description: str | None = None,
    default_status: DefaultSensorStatus = DefaultSensorStatus.STOPPED,
) -> Callable[[SensorFunction], SensorDefinition]:
    """Makes a sensor of a function that looks for something, and asks for runs.

    The function may take a `context` (`SensorEvaluationContext`), by whose cursor it remembers how far it has seen.
    It returns a `RunRequest`, a `SkipReason`, a `SensorResult`, a list of `RunRequest` or None, or yields them. A
    request with a `run_key` makes a run only the first time. Cursor and requests are stored together: a function that
    raises, or a process that is killed, leaves the cursor where it was. It may then be called again with the same
    cursor, so it should have no effect of its own.

    Args:
        job: the job of its runs, or else:
        jobs: the jobs of its runs, of which each request names one, or else:
        job_name: the name of one in the same repository; without any of them it can ask for no run.
        name: its name; that of the function when left out.
        minimum_interval_seconds: the least time from the beginning of one tick to that of the next, at least 1.
        tags: the tags of its runs.
        description: what it is for; the function's docstring when left out.
        default_status: whether it makes ticks before somebody starts or stops it.

    Raises:
        InvalidDefinitionError: this cannot be a sensor; the message names place, sensor and mend.
    """

    def define(fn: SensorFunction) -> SensorDefinition:
        function = checked_function(fn, "sensor", caller_place())
        return SensorDefinition(
            function,
            name=name,
            job=job,
            jobs=jobs,
            job_name=job_name,
            minimum_interval_seconds=minimum_interval_seconds,
            tags=tags,
            description=description_of(function, description),
            default_status=default_status,
            watched=Watched(),
        )

    return define


def run_status_sensor(
    run_status: RunStatus | Iterable[RunStatus],
    *,
    monitored_jobs: Iterable[JobDefinition | str] | None = None,
    monitor_all: bool = False,
    job: JobDefinition | None = None,
    jobs: Iterable[JobDefinition] | None = None,
    job_name: str | None = None,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    description: str | None = None,
    default_status: DefaultSensorStatus = DefaultSensorStatus.STOPPED,
) -> Callable[[SensorFunction], SensorDefinition]:
    """Makes a sensor that is called whenever a run reaches a status.

    The function may take a `context` (`RunStatusSensorContext`), and gives what that of `@sensor` does. It is called
    once for each such event from the start of the sensor on, in their order; runs that it has asked for itself are
    left out. When it raises, the tick fails and the next event has its turn; when its process is killed, it is called
    again.

    Args:
        run_status: the status, or several.
        monitored_jobs: the jobs of its repository whose runs count; all of them when left out.
        monitor_all: whether the runs of all jobs of the instance count.
        job: the job of its runs, or else:
        jobs: the jobs of its runs, of which each request names one, or else:
        job_name: the name of one in the same repository; without any of them it can ask for no run.
        name: its name; that of the function when left out.
        tags: the tags of its runs.
        description: what it is for; the function's docstring when left out.
        default_status: whether it makes ticks before somebody starts or stops it.

    Raises:
        InvalidDefinitionError: this cannot be a sensor; the message names place, sensor and mend.
    """

    def define(fn: SensorFunction) -> SensorDefinition:
        place = caller_place()
        function = checked_function(fn, "run_status_sensor", place)
        watched = Watched(
            kind=SensorKind.RUN_STATUS,
            event_types=_checked_statuses(run_status, place),
            monitored_jobs=_checked_monitored(monitored_jobs, monitor_all, place),
            monitors_all=monitor_all,
        )
        return SensorDefinition(
            function,
            name=name,
            job=job,
            jobs=jobs,
            job_name=job_name,
            minimum_interval_seconds=0,
            tags=tags,
            description=description_of(function, description),
            default_status=default_status,
            watched=watched,
        )

    return define


def asset_sensor(
    asset_key: AssetKey,
    *,
    job: JobDefinition | None = None,
    jobs: Iterable[JobDefinition] | None = None,
    job_name: str | None = None,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    description: str | None = None,
    default_status: DefaultSensorStatus = DefaultSensorStatus.STOPPED,
) -> Callable[[SensorFunction], SensorDefinition]:
    """Makes a sensor that is called whenever an asset is materialized.

    The function may take a `context` (`AssetSensorContext`), and gives what that of `@sensor` does. It is called once
    for each materialization from the start of the sensor on, as `run_status_sensor` tells; `asset_key` is the key of
    the asset, and the others are as there.

    Raises:
        InvalidDefinitionError: this cannot be a sensor; the message names place, sensor and mend.
    """

    def define(fn: SensorFunction) -> SensorDefinition:
        place = caller_place()
        function = checked_function(fn, "asset_sensor", place)
        try:
            key = asset_key_parts(asset_key)
        except InvalidDefinitionError as error:
            raise InvalidDefinitionError(f"{place}: @asset_sensor: {error}") from None
        return SensorDefinition(
            function,
            name=name,
            job=job,
            jobs=jobs,
            job_name=job_name,
            minimum_interval_seconds=0,
            tags=tags,
            description=description_of(function, description),
            default_status=default_status,
            watched=Watched(
                kind=SensorKind.ASSET,
                event_types=(EventType.ASSET_MATERIALIZATION,),
                asset_key=key,
            ),
        )

    return define


def _checked_jobs(
    job: object, jobs: object, job_name: object, place: str, subject: str
) -> tuple[tuple[JobDefinition, ...], tuple[str, ...]]:
    """The jobs that are given as such, and the names of all."""
    if jobs is None:
        if job is None and job_name is None:
            return (), ()
        name = checked_target(job, job_name, place, subject)
        return ((job,) if isinstance(job, JobDefinition) else ()), (name,)
    if job is not None or job_name is not None:
        raise refusal(place, subject, "it has more than one of job, jobs and job_name", "give one")
    given = list(jobs) if isinstance(jobs, Iterable) and not isinstance(jobs, str) else [jobs]
    members = tuple(each for each in given if isinstance(each, JobDefinition))
    if not members or len(members) != len(given):
        raise refusal(place, subject, f"jobs is {jobs!r}", "give a list of what @job makes")
    return members, tuple(dict.fromkeys(each.name for each in members))


def _checked_interval(seconds: object, kind: SensorKind, place: str, subject: str) -> int:
    least = 1 if kind is SensorKind.STANDARD else 0
    if (
        isinstance(seconds, int)
        and not isinstance(seconds, bool)
        and least <= seconds <= MAX_INTERVAL_SECONDS
    ):
        return seconds
    raise refusal(
        place,
        subject,
        f"minimum_interval_seconds is {seconds!r}",
        f"give a whole number from 1 to {MAX_INTERVAL_SECONDS}",
    )


def _checked_status(status: object, place: str, subject: str) -> DefaultSensorStatus:
    if isinstance(status, DefaultSensorStatus):
        return status
    raise refusal(
        place,
        subject,
        f"default_status is {status!r}",
        "give DefaultSensorStatus.RUNNING or DefaultSensorStatus.STOPPED",
    )


def _checked_statuses(status: object, place: str) -> tuple[EventType, ...]:
    given = [status] if isinstance(status, RunStatus) else status
    members = list(given) if isinstance(given, list | tuple | set | frozenset) else [given]
    found = [
        EVENTS_BY_STATUS[each]
        for each in members
        if isinstance(each, RunStatus) and each in EVENTS_BY_STATUS
    ]
    if not found or len(found) != len(members):
        names = ", ".join(each.value for each in EVENTS_BY_STATUS)
        raise refusal(
            place,
            "@run_status_sensor",
            f"run_status is {status!r}",
            f"give a RunStatus, or a list of them, of {names}",
        )
    return tuple(sorted(set(found), key=lambda each: each.value))


def _checked_monitored(jobs: object, monitor_all: object, place: str) -> tuple[str, ...] | None:
    if jobs is None:
        return None
    if monitor_all:
        raise refusal(
            place, "@run_status_sensor", "it has monitored_jobs and monitor_all", "give one of them"
        )
    given = list(jobs) if isinstance(jobs, Iterable) and not isinstance(jobs, str) else []
    names = [each.name if isinstance(each, JobDefinition) else each for each in given]
    if not names or not all(isinstance(each, str) for each in names):
        raise refusal(
            place,
            "@run_status_sensor",
            f"monitored_jobs is {jobs!r}",
            "give a list of what @job makes, or of names",
        )
    return tuple(sorted({str(each) for each in names}))


def _checked_cursor(cursor: object, subject: str) -> str | None:
    if cursor is None:
        return None
    if not isinstance(cursor, str):
        raise InvalidDefinitionError(
            f"{subject}: its cursor is a {type(cursor).__name__}; give a text, such as str(...)"
        )
    if len(cursor) > MAX_CURSOR_CHARS:
        raise InvalidDefinitionError(
            f"{subject}: its cursor has {len(cursor):,} characters; give {MAX_CURSOR_CHARS:,} at most"
        )
    return storable_text(cursor)
