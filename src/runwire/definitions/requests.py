"""What the functions of schedules and sensors may give: runs to make, or why there are none."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import GeneratorType
from typing import Any

from pydantic_core import PydanticSerializationError

from runwire.definitions.job import JobDefinition
from runwire.definitions.json_schema import as_json
from runwire.definitions.naming import checked_name, checked_tags
from runwire.definitions.places import refusal
from runwire.definitions.signature import Reader
from runwire.errors import InvalidDefinitionError
from runwire.events.entry import storable_text
from runwire.ticks.tick import MAX_RUN_KEY_CHARS
from runwire.ticks.tick import RunRequest as AskedRun

MAX_REQUESTS = 1000
"""The most runs that one evaluation may ask for."""

MAX_CURSOR_CHARS = 1_000_000
"""The most characters that the cursor of a sensor has."""


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """A run that the function of a schedule or sensor asks for.

    Attributes:
        run_config: what the job's ops and resources are configured with.
        tags: the tags of the run, over those of the schedule or sensor.
        run_key: a text for which only one run is made, however often the schedule or sensor asks with it; None for
            one run each time. Deleting the run frees the key.
        job_name: the job, where there is more than one to choose from.
        partition_key: the partition of the run, whose run config the job then gives unless one is given here.
    """

    run_config: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    run_key: str | None = None
    job_name: str | None = None
    partition_key: str | None = None


@dataclass(frozen=True)
class SkipReason:
    """Why the function of a schedule or sensor asks for no run."""

    skip_message: str | None = None


@dataclass(frozen=True, kw_only=True)
class SensorResult:
    """What the function of a sensor gives, together with its cursor.

    Attributes:
        run_requests: the runs that it asks for.
        skip_reason: why there are none.
        cursor: what the next evaluation goes on from; None leaves it as it is.
    """

    run_requests: Iterable[RunRequest] = ()
    skip_reason: SkipReason | str | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Runs that were asked for, or why there are none."""

    requests: tuple[AskedRun, ...] = ()
    skip_reason: str | None = None


@dataclass(frozen=True)
class RequestReader:
    """Reads what the function of a schedule or sensor gave.

    Attributes:
        source: where it is defined, as ``file:line``.
        subject: what it is, such as ``sensor 'files'``.
        job_names: the jobs whose runs it may ask for.
        tags: the tags of its runs.
    """

    source: str
    subject: str
    job_names: tuple[str, ...]
    tags: Mapping[str, str]

    def read(self, given: object) -> Asked:
        """What it asks for.

        Raises:
            InvalidDefinitionError: it gave something else than it may.
        """
        match given:
            case None:
                return Asked()
            case RunRequest():
                return Asked((self.asked(given),))
            case SkipReason(message):
                return Asked(skip_reason=self._text(message, "skip_message"))
            case list() | tuple() | GeneratorType() | Iterator():
                return self._many(given)
            case _:
                raise self._wrong(given)

    def read_result(self, result: SensorResult) -> Asked:
        """What a SensorResult asks for; raises as `read`."""
        requests = result.run_requests
        if not isinstance(requests, list | tuple | GeneratorType | Iterator):
            raise self._wrong(requests)
        asked = self._many(requests)
        reason = result.skip_reason
        if isinstance(reason, SkipReason):
            reason = reason.skip_message
        if asked.requests and reason is not None:
            raise refusal(
                self.source,
                self.subject,
                "its function gave runs and a skip_reason",
                "give a skip_reason only where there is no run",
            )
        return Asked(
            asked.requests,
            asked.skip_reason if reason is None else self._text(reason, "skip_reason"),
        )

    def asked(self, request: RunRequest) -> AskedRun:
        """A run as it is asked for, checked; raises as `read`."""
        return AskedRun(
            job_name=self._job_name(request.job_name),
            run_key=self._run_key(request.run_key),
            run_config=dict(checked_config(request.run_config, self._owner)),
            tags={**self.tags, **checked_tags(request.tags, self._owner)},
            partition_key=self._text(request.partition_key, "partition_key"),
        )

    def _many(self, given: Iterable[object]) -> Asked:
        asked: list[AskedRun] = []
        skip_reason = None
        for item in given:
            match item:
                case RunRequest():
                    asked.append(self.asked(item))
                case SkipReason(message):
                    skip_reason = self._text(message, "skip_message")
                case _:
                    raise self._wrong(item)
            if len(asked) > MAX_REQUESTS:
                raise InvalidDefinitionError(
                    f"{self._owner}: it asks for more than {MAX_REQUESTS} runs at once; ask for fewer"
                )
        return Asked(tuple(asked), None if asked else skip_reason)

    def _job_name(self, name: object) -> str:
        names = self.job_names
        if name is None and len(names) == 1:
            return names[0]
        if isinstance(name, str) and name in names:
            return name
        told = ", ".join(names)
        if not names:
            problem, mend = "its function asks for a run, and it has no job", "give it job=..."
        elif name is None:
            problem, mend = "its function does not say which job", f"give job_name, one of {told}"
        else:
            problem, mend = f"its function asks for job {name!r}", f"its jobs are: {told}"
        raise refusal(self.source, self.subject, problem, mend)

    def _run_key(self, key: object) -> str | None:
        if key is None:
            return None
        if (
            isinstance(key, str)
            and 1 <= len(key) <= MAX_RUN_KEY_CHARS
            and storable_text(key) == key
        ):
            return key
        shown = repr(key)
        raise refusal(
            self.source,
            self.subject,
            f"its function gave the run_key {shown if len(shown) <= 100 else shown[:100] + '…'}",
            f"give a text of 1 to {MAX_RUN_KEY_CHARS} characters of valid Unicode",
        )

    def _text(self, text: object, what: str) -> str | None:
        if text is None or isinstance(text, str):
            return text
        raise refusal(
            self.source, self.subject, f"its {what} is a {type(text).__name__}", "give a text"
        )

    def _wrong(self, given: object) -> InvalidDefinitionError:
        return refusal(
            self.source,
            self.subject,
            f"its function gave {given!r}, a {type(given).__name__}",
            "return RunRequest(...), SkipReason(...), a list of RunRequests or None",
        )

    @property
    def _owner(self) -> str:
        return f"{self.source}: {self.subject}"


def checked_target(job: object, job_name: object, place: str, kind: str) -> str:
    """The name of a job that was given as a job or by its name.

    Raises:
        InvalidDefinitionError: it is given neither way, or both ways.
    """
    if job is not None and job_name is None:
        if isinstance(job, JobDefinition):
            return job.name
        raise refusal(
            place, kind, f"job is a {type(job).__name__}", "give what @job makes, or job_name"
        )
    if job is None and job_name is not None:
        return checked_name(job_name, place, f"{kind}: job_name")
    raise refusal(place, kind, "it needs one of job and job_name", "give job=..., or the name")


def checked_config(config: object, owner: str) -> Mapping[str, Any]:
    """A run config as plain JSON.

    Raises:
        InvalidDefinitionError: it is no mapping, or holds what JSON cannot.
    """
    if config is None:
        return {}
    if not isinstance(config, Mapping):
        raise InvalidDefinitionError(
            f'{owner}: run_config is a {type(config).__name__}; write run_config={{"ops": {{...}}}}'
        )
    try:
        plain: Mapping[str, Any] = as_json(config)
    except (PydanticSerializationError, ValueError) as error:
        raise InvalidDefinitionError(
            f"{owner}: its run_config is not JSON: {error}; use values that JSON can hold"
        ) from error
    return plain


def takes_context(
    fn: Callable[..., Any], context_class: type, place: str, subject: str, kind: str
) -> bool:
    """Whether the function of a schedule or sensor takes its context.

    Raises:
        InvalidDefinitionError: it is async, or takes something else.
    """
    reader = Reader(fn, place, subject, {})
    if inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn):
        raise reader.refusal("its function is async", "write it with def")
    parameters = reader.parameters()
    takes = reader.takes_context(parameters, context_class)
    others = [name for name in parameters if name != "context"]
    if others:
        raise reader.refusal(
            f"its function takes {', '.join(others)}", f"a {kind} takes only context, or nothing"
        )
    return takes
