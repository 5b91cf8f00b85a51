"""Calling the functions of schedules, of sensors and of partitions, in whichever process has them loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from runwire import clock
from runwire.definitions import (
    RepositoryDefinition,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SensorDefinition,
)
from runwire.error_info import ErrorInfo
from runwire.errors import PartitionConfigError, TickEvaluationError
from runwire.execution.boundary import user_code_error_boundary
from runwire.locations import protocol
from runwire.locations.protocol import Message
from runwire.ticks.evaluation import TickEvaluation

Repositories = Sequence[RepositoryDefinition]


def evaluate_schedule(
    repositories: Repositories, request: protocol.EvaluateScheduleRequest
) -> protocol.TickEvaluated | protocol.EvaluationFailed | protocol.ScheduleMissing:
    """What the function of a schedule gives, or what is wrong with it."""
    schedule = find_schedule(repositories, request.repository_name, request.schedule_name)
    if schedule is None:
        return protocol.ScheduleMissing(_names(each.schedules for each in repositories))
    due = clock.from_timestamp(request.due_at).astimezone(schedule.cron.zone)
    context = ScheduleEvaluationContext(due, schedule.name)
    return _evaluated(lambda: schedule.evaluate(context), f"schedule {schedule.name!r}")


def evaluate_sensor(
    repositories: Repositories, request: protocol.EvaluateSensorRequest
) -> protocol.TickEvaluated | protocol.EvaluationFailed | protocol.SensorMissing:
    """What the function of a sensor gives, or what is wrong with it."""
    sensor = find_sensor(repositories, request.repository_name, request.sensor_name)
    if sensor is None:
        return protocol.SensorMissing(_names(each.sensors for each in repositories))
    return _evaluated(lambda: sensor.evaluate(request.given), f"sensor {sensor.name!r}")


def _evaluated(
    evaluate: Callable[[], TickEvaluation], subject: str
) -> protocol.TickEvaluated | protocol.EvaluationFailed:
    try:
        with user_code_error_boundary(
            TickEvaluationError, lambda: f"the function of {subject} raised"
        ):
            reply = protocol.TickEvaluated(evaluate())
        protocol.encode(reply)  # what cannot be sent is refused here, where it is known why
    except BaseException as error:  # noqa: BLE001 - SystemExit as well: it is what user code did
        return protocol.EvaluationFailed(ErrorInfo.from_exception(error))
    return reply


def configure_partition(
    repositories: Repositories, request: protocol.ConfigurePartitionRequest
) -> protocol.PartitionConfigured | protocol.EvaluationFailed | protocol.JobMissing:
    """The run config that a job gives a partition, or what is wrong with it."""
    jobs = {
        name: job
        for repository in repositories
        if repository.name == request.repository_name
        for name, job in repository.jobs.items()
    }
    job = jobs.get(request.job_name)
    if job is None:
        return protocol.JobMissing(tuple(sorted(jobs)))
    if job.partitions is None:
        return protocol.PartitionConfigured({})
    try:
        with user_code_error_boundary(
            PartitionConfigError, lambda: f"partition_config of job {job.name!r} raised"
        ):
            config = job.partitions.run_config(request.partition_key)
        reply = protocol.PartitionConfigured(config)
        protocol.encode(reply)  # what cannot be sent is refused here, where it is known why
    except BaseException as error:  # noqa: BLE001 - SystemExit as well: it is what user code did
        return protocol.EvaluationFailed(ErrorInfo.from_exception(error))
    return reply


def find_schedule(
    repositories: Repositories, repository_name: str, schedule_name: str
) -> ScheduleDefinition | None:
    """A schedule; None when there is none."""
    for repository in repositories:
        if repository.name == repository_name:
            return repository.schedules.get(schedule_name)
    return None


def find_sensor(
    repositories: Repositories, repository_name: str, sensor_name: str
) -> SensorDefinition | None:
    """A sensor; None when there is none."""
    for repository in repositories:
        if repository.name == repository_name:
            return repository.sensors.get(sensor_name)
    return None


def _names(named: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    return tuple(sorted({name for each in named for name in each}))


EVALUATIONS: Mapping[str, tuple[protocol.Method[Any, Any], Callable[..., Message]]] = {
    protocol.EVALUATE_SCHEDULE.name: (protocol.EVALUATE_SCHEDULE, evaluate_schedule),
    protocol.EVALUATE_SENSOR.name: (protocol.EVALUATE_SENSOR, evaluate_sensor),
    protocol.CONFIGURE_PARTITION.name: (protocol.CONFIGURE_PARTITION, configure_partition),
}
"""What an evaluator does, by the name of the method that is called."""
