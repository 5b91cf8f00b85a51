"""The resources of a run: made before its steps, torn down after them."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from runwire.definitions import JobDefinition, ResolvedRunConfig, ResourceDefinition
from runwire.errors import ResourceError, RunInterrupted
from runwire.events.metadata import normalize_metadata
from runwire.events.payloads import EngineEventData
from runwire.events.types import EventType
from runwire.execution.boundary import user_code_error_boundary
from runwire.execution.contexts import ResourceSetupContext
from runwire.execution.durations import describe_duration
from runwire.execution.run_log import RunLog
from runwire.execution.scope import ScopedResources
from runwire.execution.told_error import reason_of, told_error
from runwire.execution.user_log import UserLog
from runwire.instance import Instance
from runwire.interrupts import current_interrupts

_ENDED: Final = object()


@contextmanager
def resources_of(
    job: JobDefinition,
    run_config: ResolvedRunConfig,
    keys: Collection[str],
    run_id: str,
    log: RunLog,
    instance: Callable[[], Instance | None],
) -> Iterator[Mapping[str, Any]]:
    """The resources of some keys, and those that these require, for the time of the block.

    They are made in the order of what they require and torn down in the reverse order, however the block
    ends. The teardown is not interrupted; what it raises is told in the log and changes nothing else.

    Args:
        job: defines them.
        run_config: has their configs.
        keys: which.
        run_id: the run.
        log: its log.
        instance: gives what they get as `context.instance`.

    Raises:
        ResourceError: one could not be made; those made before are torn down.
    """
    resources = _Resources(job.resource_defs, run_config, run_id, log, instance)
    try:
        for key in required_resources(job.resource_defs, keys):
            resources.make(key)
        yield resources.values
    finally:
        with current_interrupts().held():
            resources.tear_down()


class _Resources:
    def __init__(
        self,
        definitions: Mapping[str, ResourceDefinition],
        run_config: ResolvedRunConfig,
        run_id: str,
        log: RunLog,
        instance: Callable[[], Instance | None],
    ) -> None:
        self._instance = instance
        self._definitions = definitions
        self._run_config = run_config
        self._run_id = run_id
        self._log = log
        self._generators: dict[str, Generator[Any, None, None]] = {}
        self.values: dict[str, Any] = {}

    def make(self, key: str) -> None:
        """Makes a resource, those that it requires being there."""
        self._tell(EventType.RESOURCE_INIT_STARTED, key, f"Resource {key} is being made")
        began = time.perf_counter()
        try:
            self.values[key] = self._value(key)
        except BaseException as error:
            message = f"Resource {key} could not be made: {reason_of(error)}"
            self._tell(EventType.RESOURCE_INIT_FAILURE, key, message, error)
            if isinstance(error, Exception | RunInterrupted | KeyboardInterrupt):
                raise
            raise ResourceError(message, user_exception=error) from error
        took = describe_duration(time.perf_counter() - began)
        self._tell(EventType.RESOURCE_INIT_SUCCESS, key, f"Resource {key} was made in {took}")

    def tear_down(self) -> None:
        """Runs what stands after the yields, last made first."""
        while self._generators:
            key, generator = self._generators.popitem()
            if inspect.getgeneratorstate(generator) != inspect.GEN_SUSPENDED:
                continue  # it raised, or was interrupted, before it gave its resource
            try:
                self._finish(key, generator)
            except BaseException as error:  # noqa: BLE001 - told, and the others are torn down
                self._log.tell_engine(
                    f"Resource {key} could not be torn down: {reason_of(error)}",
                    error=told_error(error),
                    metadata={"resource": key},
                )

    def _value(self, key: str) -> Any:
        definition = self._definitions[key]
        arguments = self._arguments(key, definition)
        with user_code_error_boundary(ResourceError, lambda: f"resource {key!r} raised"):
            if not definition.is_generator:
                return definition.fn(**arguments)
            # Known before it starts, so that an interrupt just after its yield does not lose it.
            generator = self._generators[key] = definition.fn(**arguments)
            value = next(generator, _ENDED)
        if value is _ENDED:
            raise ResourceError(
                f"resource {key!r} ended without a yield; yield what it makes, once"
            )
        return value

    def _arguments(self, key: str, definition: ResourceDefinition) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        config = self._run_config.resources.get(key)
        if definition.takes_context:
            owner = f"resource {definition.name!r}"
            required = ScopedResources(self.values, definition.required_resource_keys, owner)
            arguments["context"] = ResourceSetupContext(
                self._run_id, UserLog(self._log), required, config, self._instance
            )
        if definition.config_model is not None:
            arguments["config"] = config
        return arguments

    def _finish(self, key: str, generator: Generator[Any, None, None]) -> None:
        with user_code_error_boundary(ResourceError, lambda: f"resource {key!r} raised"):
            if next(generator, _ENDED) is _ENDED:
                return
            generator.close()
        raise ResourceError(f"resource {key!r} yields more than once; yield it once")

    def _tell(
        self, event_type: EventType, key: str, message: str, error: BaseException | None = None
    ) -> None:
        marker, is_start = f"resource {key}", event_type is EventType.RESOURCE_INIT_STARTED
        self._log.tell(
            event_type,
            message,
            error=None if error is None else told_error(error),
            data=EngineEventData(
                marker_start=marker if is_start else None,
                marker_end=None if is_start else marker,
                metadata=normalize_metadata({"resource": key}, "a resource event"),
            ),
        )


def required_resources(
    definitions: Mapping[str, ResourceDefinition], keys: Collection[str]
) -> list[str]:
    """The keys with all that they require, in the order of the definitions, which is that of making."""
    needed = set(keys)
    for key in reversed(list(definitions)):
        if key in needed:
            needed |= definitions[key].required_resource_keys
    return [key for key in definitions if key in needed]
