"""Definitions as data: what the server knows of user code, which it never imports.

A code location makes snapshots of its definitions and sends them; the instance keeps those that a run was
made from, addressed by the hash of their content.
"""

from __future__ import annotations

import hashlib
from enum import Enum
from typing import Any

import msgspec

from runwire.events.types import EventType
from runwire.partitions import PartitionsSnapshot


class InputSnapshot(msgspec.Struct, frozen=True):
    """An input of an op. `sources` are (op handle, output name) pairs; empty when config or a default feeds it."""

    name: str
    type_name: str
    sources: tuple[tuple[str, str], ...] = ()
    description: str | None = None


class OutputSnapshot(msgspec.Struct, frozen=True):
    """An output of an op. `required` tells whether the op always gives it."""

    name: str
    type_name: str
    required: bool = True
    dynamic: bool = False
    description: str | None = None


class OpNodeSnapshot(msgspec.Struct, frozen=True):
    """A use of an op in a job. `handle` is unique in the job."""

    handle: str
    op_name: str
    inputs: tuple[InputSnapshot, ...]
    outputs: tuple[OutputSnapshot, ...]
    parent_handle: str | None = None
    is_graph: bool = False
    description: str | None = None
    tags: dict[str, str] = {}


class PlanStepKind(Enum):
    """Whether a step is known in full before the run."""

    SINGLE = "SINGLE"


class PlanStepSnapshot(msgspec.Struct, frozen=True):
    """A step that a run would have. `level` counts the steps above it on the longest way from a root."""

    step_key: str
    op_handle: str
    level: int
    upstream_step_keys: tuple[str, ...] = ()
    kind: PlanStepKind = PlanStepKind.SINGLE


class PlanSnapshot(msgspec.Struct, frozen=True):
    """The steps of a run, by level and key."""

    job_name: str
    steps: tuple[PlanStepSnapshot, ...]


class JobSnapshot(msgspec.Struct, frozen=True):
    """A job: `graph` has its ops with sources before what they feed, `plan` the steps of a run of it.

    `partitions` are None for a job without any.
    """

    name: str
    graph: tuple[OpNodeSnapshot, ...]
    plan: PlanSnapshot
    run_config_schema: dict[str, Any]
    default_run_config: dict[str, Any]
    description: str | None = None
    tags: dict[str, str] = {}
    partitions: PartitionsSnapshot | None = None


class ScheduleSnapshot(msgspec.Struct, frozen=True):
    """A schedule: when it is due, and the job of its runs. `starts_running` is what its default status says."""

    name: str
    job_name: str
    cron_schedule: str
    timezone: str = "UTC"
    starts_running: bool = False
    description: str | None = None


class SensorKind(Enum):
    """What a sensor watches: whatever its function looks at, run status events, or materializations of an asset."""

    STANDARD = "STANDARD"
    RUN_STATUS = "RUN_STATUS"
    ASSET = "ASSET"


class SensorSnapshot(msgspec.Struct, frozen=True):
    """A sensor.

    `job_names` are the jobs whose runs it may ask for. One that watches the instance-wide log is called for events of
    `event_types`: of an asset, or of runs of `monitored_jobs` of its repository, None being all of its jobs, and with
    `monitors_all` of any run. `starts_running` is what its default status says.
    """

    name: str
    kind: SensorKind = SensorKind.STANDARD
    job_names: tuple[str, ...] = ()
    minimum_interval_seconds: int = 30
    starts_running: bool = False
    description: str | None = None
    event_types: tuple[EventType, ...] = ()
    asset_key: tuple[str, ...] | None = None
    monitored_jobs: tuple[str, ...] | None = None
    monitors_all: bool = False


class RepositorySnapshot(msgspec.Struct, frozen=True):
    """A named set of jobs, of schedules and of sensors, each by name."""

    name: str
    jobs: tuple[JobSnapshot, ...]
    schedules: tuple[ScheduleSnapshot, ...] = ()
    sensors: tuple[SensorSnapshot, ...] = ()


class CodeServerInfo(msgspec.Struct, frozen=True):
    """The process that serves a code location. `started_at` is in epoch seconds."""

    server_id: str
    address: str
    python_version: str
    executable_path: str
    version: str
    started_at: float


Snapshot = JobSnapshot | PlanSnapshot

_encoder = msgspec.json.Encoder(order="deterministic")


def encode_snapshot(snapshot: Snapshot) -> tuple[str, bytes]:
    """The id (the hash of the content) and the content of a snapshot, as JSON."""
    body = _encoder.encode(snapshot)
    return hashlib.sha256(body).hexdigest(), body
