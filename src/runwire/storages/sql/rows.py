"""Rows to records and back."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, cast

import msgspec
from sqlalchemy import Row

from runwire.error_info import ErrorInfo
from runwire.events.entry import EventLogRecord, storable_text
from runwire.events.payloads import AssetEventData, RunFailureReason
from runwire.runs.run import Run, RunFailure, RunRecord, StepCounts
from runwire.runs.status import RunStatus
from runwire.storage.instance_log import InstanceEventKind, InstanceLogRecord
from runwire.storage.run_storage import DaemonHeartbeat, DaemonLease, RequestKey
from runwire.storages.stored_form import encode_json, event_record

_decode_tags = msgspec.json.Decoder(dict[str, str]).decode
_decode_config = msgspec.json.Decoder(dict[str, Any]).decode
_decode_step_keys = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_failure = msgspec.json.Decoder(RunFailure).decode
_decode_counts = msgspec.json.Decoder(StepCounts).decode
_decode_errors = msgspec.json.Decoder(tuple[ErrorInfo, ...]).decode


def as_json(value: Any) -> str:
    """A value as JSON text."""
    return encode_json(value).decode()


# ---------------------------------------------------------------- runs


def run_values(record: RunRecord, request: RequestKey | None) -> dict[str, Any]:
    """A new run as a row, without the storage id, which the database gives."""
    run = record.run
    return {
        "run_id": run.run_id,
        "log_id": record.log_id,
        "job_name": run.job_name,
        "location_name": run.location_name,
        "repository_name": run.repository_name,
        "managed": run.managed,
        "created_at": record.created_at,
        "tags": as_json(run.tags),
        "run_config": as_json(run.run_config),
        "step_keys": None if run.step_keys is None else as_json(run.step_keys),
        "job_snapshot_id": run.job_snapshot_id,
        "plan_snapshot_id": run.plan_snapshot_id,
        "steps_planned": run.steps_planned,
        "parent_run_id": run.parent_run_id,
        "root_run_id": run.root_run_id,
        "requested_by": run.requested_by,
        "request_key": None if request is None else request.key,
        "request_digest": None if request is None else request.digest,
        **progress_values(record),
    }


def progress_values(record: RunRecord) -> dict[str, Any]:
    """What events change of a run's row."""
    return {
        "status": record.status.value,
        "updated_at": record.updated_at,
        "started_at": record.started_at,
        "ended_at": record.ended_at,
        "enqueued_at": record.enqueued_at,
        "launched_at": record.launched_at,
        "worker_epoch": record.worker_epoch,
        "resume_attempts": record.resume_attempts,
        "applied_position": record.applied_position,
        "failure": None if record.failure is None else as_json(record.failure),
        "counts": as_json(record.counts),
    }


def run_record(row: Row[Any]) -> RunRecord:
    """A row of `runs`, with all its columns in their order, as a record."""
    (
        storage_id,
        run_id,
        log_id,
        status,
        job_name,
        location_name,
        repository_name,
        managed,
        created_at,
        updated_at,
        started_at,
        ended_at,
        enqueued_at,
        launched_at,
        worker_epoch,
        resume_attempts,
        applied_position,
        tags,
        run_config,
        step_keys,
        job_snapshot_id,
        plan_snapshot_id,
        steps_planned,
        parent_run_id,
        root_run_id,
        requested_by,
        failure,
        counts,
        _request_key,
        _request_digest,
    ) = cast("tuple[Any, ...]", row)
    run = _new(Run)
    # As in `event_record`: the constructors of frozen dataclasses take three times as long.
    run.__dict__.update(
        job_name=job_name,
        run_id=run_id,
        tags=_decode_tags(tags),
        run_config=_decode_config(run_config),
        managed=managed,
        location_name=location_name,
        repository_name=repository_name,
        step_keys=None if step_keys is None else _decode_step_keys(step_keys),
        plan_snapshot_id=plan_snapshot_id,
        job_snapshot_id=job_snapshot_id,
        steps_planned=steps_planned,
        parent_run_id=parent_run_id,
        root_run_id=root_run_id,
        requested_by=requested_by,
    )
    record = _new(RunRecord)
    record.__dict__.update(
        storage_id=storage_id,
        run=run,
        status=_STATUSES[status],
        log_id=log_id,
        created_at=created_at,
        updated_at=updated_at,
        started_at=started_at,
        ended_at=ended_at,
        enqueued_at=enqueued_at,
        launched_at=launched_at,
        worker_epoch=worker_epoch,
        resume_attempts=resume_attempts,
        applied_position=applied_position,
        failure=None if failure is None else _failure(failure),
        counts=_decode_counts(counts),
    )
    return record


_new = object.__new__
_STATUSES = {status.value: status for status in RunStatus}


def _failure(text: str) -> RunFailure:
    try:
        return _decode_failure(text)
    except msgspec.ValidationError:  # a reason that this version does not know
        stored = json.loads(text)
        return RunFailure(
            reason=RunFailureReason.RUN_EXCEPTION, message=str(stored.get("message", ""))
        )


# ---------------------------------------------------------------- the instance-wide log


def entry_values(entry: InstanceLogRecord) -> dict[str, Any]:
    """An entry of the instance-wide log as a row."""
    event = entry.event
    values = {
        "position": entry.position,
        "kind": entry.kind.value,
        "run_id": entry.run_id,
        "job_name": entry.job_name,
        "timestamp": entry.timestamp,
    }
    if event is None:
        return values
    asset = event.data if isinstance(event.data, AssetEventData) else None
    return values | {
        "run_position": event.position,
        "level": int(event.level),
        "event_type": event.stored_type,
        "step_key": event.step_key,
        "message": event.message,
        "applied": event.applied,
        "epoch": event.epoch,
        "body": event.body,
        "asset_key": None if asset is None else as_json(asset.asset_key),
        "partition": None
        if asset is None or asset.partition is None
        else storable_text(asset.partition),
    }


def instance_log_record(row: Row[Any]) -> InstanceLogRecord:
    """A row of `instance_log`, with all its columns, as a record."""
    kind = InstanceEventKind(row.kind)
    return InstanceLogRecord(
        position=row.position,
        kind=kind,
        run_id=row.run_id,
        job_name=row.job_name,
        timestamp=row.timestamp,
        event=_mirrored_event(row) if kind is InstanceEventKind.EVENT else None,
    )


def _mirrored_event(row: Row[Any]) -> EventLogRecord:
    columns = (
        row.run_position,
        row.timestamp,
        row.level,
        row.event_type,
        row.step_key,
        row.message,
        row.applied,
        row.epoch,
        row.body,
    )
    return event_record(row.run_id, columns)


# ---------------------------------------------------------------- daemons


def heartbeat_values(heartbeat: DaemonHeartbeat) -> dict[str, Any]:
    """A heartbeat as a row."""
    return {**asdict(heartbeat), "errors": as_json(heartbeat.errors)}


def heartbeat_record(row: Row[Any]) -> DaemonHeartbeat:
    """A row of `daemon_heartbeats` as a heartbeat."""
    return DaemonHeartbeat(
        daemon_type=row.daemon_type,
        daemon_id=row.daemon_id,
        hostname=row.hostname,
        timestamp=row.timestamp,
        progress_at=row.progress_at,
        errors=_decode_errors(row.errors),
        stopped=row.stopped,
    )


def lease_record(row: Row[Any]) -> DaemonLease:
    """A row of `daemon_leases` as a lease."""
    return DaemonLease(
        daemon_type=row.daemon_type, daemon_id=row.daemon_id, expires_at=row.expires_at
    )
