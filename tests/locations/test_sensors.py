"""Sensors in a code server: what their functions are shown, and what they give."""

from __future__ import annotations

from functools import partial

import pytest

from runwire.error_info import ErrorInfo
from runwire.errors import SensorNotFoundError, TickEvaluationError
from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.metadata import MetadataEntry, TextMetadata
from runwire.events.payloads import AssetEventData
from runwire.events.types import EventType, LogLevel
from runwire.locations.workspace import LocalWorkspace
from runwire.runs.run import Run
from runwire.testing.left_behind import GENEROUS_SECONDS
from runwire.ticks.evaluation import SensorInput, TickEvaluation
from runwire.ticks.tick import RunRequest
from tests.locations.conftest import Open, Write

SENSORS = """
    import os
    import signal
    import time
    from runwire import (
        RunRequest, RunStatus, SensorResult, SkipReason, asset_sensor, job, op, run_status_sensor, sensor
    )

    @op
    def load() -> None: ...

    @job
    def etl():
        load()

    @sensor(job=etl)
    def files(context):
        return SensorResult(
            run_requests=[RunRequest(run_key=f"after {context.last_run_key}")],
            cursor=f"{context.cursor} {context.last_tick_at:%Y-%m-%d}",
        )

    @run_status_sensor(RunStatus.FAILURE, job=etl)
    def alert(context):
        run, error = context.run, context.event.error
        return RunRequest(tags={"why": f"{run.job_name} {run.tags['team']} {error.message} {error.class_name}"})

    @asset_sensor(["sales", "daily"], job=etl)
    def fresh(context):
        asset = context.asset
        return SkipReason(f"{'/'.join(asset.asset_key)} {asset.partition} {asset.metadata[0].label} {context.run}")

    @sensor(job=etl)
    def broken(context):
        context.update_cursor("lost")
        raise KeyError("no such file")

    @sensor(job=etl)
    def hangs():
        time.sleep(3600)

    @sensor(job=etl)
    def dies():
        os.kill(os.getpid(), signal.SIGKILL)
"""


def record(entry: EventLogEntry) -> EventLogRecord:
    return EventLogRecord(
        run_id=entry.run_id,
        position=7,
        timestamp=1.5,
        level=LogLevel.ERROR,
        stored_type=entry.event_type and entry.event_type.value,
        message=entry.message,
        body=entry.encode_body(),
    )


def test_a_sensor_is_evaluated_where_its_code_is(open_workspace: Open, write: Write) -> None:
    workspace: LocalWorkspace = open_workspace(write(SENSORS), evaluate_seconds=2.0)
    (location,) = workspace.list_locations()
    assert location.wait_until_settled(GENEROUS_SECONDS)
    (repository,) = location.state.repositories
    assert [each.name for each in repository.sensors] == [
        "alert", "broken", "dies", "files", "fresh", "hangs",
    ]  # fmt: skip
    evaluate = partial(location.evaluate_sensor, repository.name)

    given = SensorInput(cursor="ü\u0000", last_run_key="k", last_tick_at=86_400.0)
    assert evaluate("files", given) == TickEvaluation(
        requests=(RunRequest(job_name="etl", run_key="after k"),), cursor="ü\\x00 1970-01-02"
    )

    error = ErrorInfo("disk full", "OSError")
    event = EventLogEntry(run_id="r", message="no", event_type=EventType.RUN_FAILURE, error=error)
    run = Run(job_name="etl", run_id="r", tags={"team": "a"}, run_config={"ops": {"n": [1.5]}})
    told = evaluate("alert", SensorInput(cursor="c", event=record(event), run=run))
    assert [each.tags for each in told.requests] == [{"why": "etl a disk full OSError"}]
    assert told.cursor == "c"

    rows = MetadataEntry("rows", TextMetadata("3"))
    data = AssetEventData(("sales", "daily"), "2026-01-01", metadata=(rows,))
    happened = EventLogEntry(
        run_id="r", message="made", event_type=EventType.ASSET_MATERIALIZATION, data=data
    )
    told = evaluate("fresh", SensorInput(event=record(happened)))
    assert told.skip_reason == "sales/daily 2026-01-01 rows None"

    with pytest.raises(TickEvaluationError, match="the function of sensor 'broken' raised"):
        evaluate("broken", SensorInput())
    with pytest.raises(TickEvaluationError, match=r"sensor 'hangs' did not end within 2 s"):
        evaluate("hangs", SensorInput())
    with pytest.raises(TickEvaluationError, match="sensor 'dies' ended its process"):
        evaluate("dies", SensorInput())
    with pytest.raises(SensorNotFoundError, match="there are: alert, broken, dies, files"):
        evaluate("gone", SensorInput())
