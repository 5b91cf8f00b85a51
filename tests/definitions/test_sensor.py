"""Sensors as users define them: what is refused, and what their functions may give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from runwire import (
    AssetSensorContext,
    DefaultSensorStatus,
    RunRequest,
    RunStatus,
    RunStatusSensorContext,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    asset_sensor,
    job,
    op,
    repository,
    run_status_sensor,
    sensor,
)
from runwire.errors import InvalidDefinitionError
from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.payloads import AssetEventData
from runwire.events.types import EventType, LogLevel
from runwire.runs.run import Run
from runwire.snapshots import SensorKind, SensorSnapshot
from runwire.ticks.evaluation import SensorInput, TickEvaluation
from runwire.ticks.tick import RunRequest as AskedRun


@op
def load() -> None:
    """Does nothing."""


@job
def etl() -> None:
    load()


@job
def report() -> None:
    load()


def asks() -> RunRequest:
    return RunRequest()


def evaluated(fn: Any, given: SensorInput | None = None, **options: Any) -> TickEvaluation:
    made = sensor(**{"job": etl, "name": "s", "tags": {"by": "sensor"}, **options})(fn)
    return made.evaluate(given or SensorInput())


def test_a_function_gives_what_to_run_and_its_cursor() -> None:
    def one(context: SensorEvaluationContext) -> RunRequest:
        context.update_cursor(str(int(context.cursor or 0) + 1))
        return RunRequest(run_key="a", tags={"n": "1"})

    def many(context: SensorEvaluationContext) -> Iterator[RunRequest]:
        yield RunRequest()
        context.update_cursor("later")
        yield RunRequest(run_key="b", run_config={"ops": {}})

    tags = {"by": "sensor"}
    asked = AskedRun(job_name="etl", run_key="a", tags={**tags, "n": "1"})
    assert evaluated(one) == TickEvaluation(requests=(asked,), cursor="1")
    assert evaluated(one, SensorInput(cursor="41")).cursor == "42"
    assert evaluated(many) == TickEvaluation(
        requests=(
            AskedRun(job_name="etl", tags=tags),
            AskedRun(job_name="etl", run_key="b", run_config={"ops": {}}, tags=tags),
        ),
        cursor="later",
    )
    kept = SensorInput(cursor="kept")
    assert evaluated(lambda: None, kept) == TickEvaluation(cursor="kept")
    skipped = TickEvaluation(skip_reason="nothing new", cursor="kept")
    assert evaluated(lambda: SkipReason("nothing new"), kept) == skipped


def test_a_result_has_runs_or_a_reason_and_a_cursor() -> None:
    result = SensorResult(run_requests=[RunRequest(run_key="a")], cursor="2")
    found = evaluated(lambda: result)
    assert ([each.run_key for each in found.requests], found.cursor) == (["a"], "2")
    for reason in ("none", SkipReason("none")):
        given = SensorResult(skip_reason=reason, cursor="3")
        told = TickEvaluation(skip_reason="none", cursor="3")
        assert evaluated(lambda: given) == told  # noqa: B023 - it is called at once


def test_a_cursor_is_begun_anew_with_none() -> None:
    def reset(context: SensorEvaluationContext) -> None:
        context.update_cursor(None)

    assert evaluated(reset, SensorInput(cursor="9")).cursor is None


def test_the_context_tells_of_what_was_before() -> None:
    seen: list[SensorEvaluationContext] = []

    def look(context: SensorEvaluationContext) -> None:
        seen.append(context)

    evaluated(look, SensorInput(last_run_key="k", last_tick_at=0.0))
    evaluated(look)
    (before, first) = seen
    assert (before.sensor_name, before.last_run_key) == ("s", "k")
    assert str(before.last_tick_at) == "1970-01-01 00:00:00+00:00"
    assert (first.cursor, first.last_run_key, first.last_tick_at) == (None, None, None)


def test_of_several_jobs_a_request_names_one() -> None:
    options: dict[str, Any] = {"job": None, "jobs": [etl, report]}
    found = evaluated(lambda: RunRequest(job_name="report"), **options)
    assert [each.job_name for each in found.requests] == ["report"]
    with pytest.raises(InvalidDefinitionError, match=r"does not say which job; give job_name, one"):
        evaluated(asks, **options)
    with pytest.raises(InvalidDefinitionError, match=r"asks for job 'other'; its jobs are: etl"):
        evaluated(lambda: RunRequest(job_name="other"), **options)
    with pytest.raises(InvalidDefinitionError, match=r"it has no job; give it job="):
        evaluated(asks, job=None)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("etl", "gave 'etl', a str; return RunRequest"),
        (RunRequest(run_key=""), "gave the run_key ''; give a text of 1 to 512 characters"),
        (RunRequest(run_key="k" * 513), "give a text of 1 to 512 characters"),
        (RunRequest(run_key=7), "gave the run_key 7"),  # type: ignore[arg-type]
        (RunRequest(run_key="\udc80"), "valid Unicode"),
        (SensorResult(cursor=3), "its cursor is a int; give a text"),  # type: ignore[arg-type]
        (SensorResult(cursor="c" * 1_000_001), "its cursor has 1,000,001 characters"),
        (SensorResult(run_requests=3), "gave 3, a int"),  # type: ignore[arg-type]
        (SensorResult(run_requests=[RunRequest()], skip_reason="no"), "runs and a skip_reason"),
        (SkipReason(3), "its skip_message is a int"),  # type: ignore[arg-type]
        ([RunRequest()] * 1001, "more than 1000 runs"),
    ],
)
def test_what_a_function_may_not_give_is_told_with_its_place(given: object, problem: str) -> None:
    with pytest.raises(InvalidDefinitionError) as refused:
        evaluated(lambda: given)
    assert problem in str(refused.value)
    assert "sensor 's'" in str(refused.value)


def test_what_a_sensor_is_goes_into_its_snapshot() -> None:
    @sensor(job=etl, minimum_interval_seconds=5, default_status=DefaultSensorStatus.RUNNING)
    def files() -> None:
        """Looks for files."""

    @run_status_sensor([RunStatus.FAILURE, RunStatus.CANCELED], monitored_jobs=[etl, "report"])
    def alert() -> None: ...

    @run_status_sensor(RunStatus.SUCCESS, monitor_all=True, job=report)
    def after() -> None: ...

    @asset_sensor(["sales", "daily"], job_name="report")
    def fresh() -> None: ...

    assert files.snapshot() == SensorSnapshot(
        name="files",
        job_names=("etl",),
        minimum_interval_seconds=5,
        starts_running=True,
        description="Looks for files.",
    )
    assert alert.snapshot() == SensorSnapshot(
        name="alert",
        kind=SensorKind.RUN_STATUS,
        minimum_interval_seconds=0,
        event_types=(EventType.RUN_CANCELED, EventType.RUN_FAILURE),
        monitored_jobs=("etl", "report"),
    )
    assert (after.snapshot().monitors_all, after.job_names) == (True, ("report",))
    assert fresh.snapshot() == SensorSnapshot(
        name="fresh",
        kind=SensorKind.ASSET,
        job_names=("report",),
        minimum_interval_seconds=0,
        event_types=(EventType.ASSET_MATERIALIZATION,),
        asset_key=("sales", "daily"),
    )


def event(event_type: EventType, data: AssetEventData | None = None) -> EventLogRecord:
    entry = EventLogEntry(run_id="r", message="it happened", event_type=event_type, data=data)
    return EventLogRecord(
        run_id="r",
        position=3,
        timestamp=1.0,
        level=LogLevel.INFO,
        stored_type=event_type.value,
        message=entry.message,
        body=entry.encode_body(),
    )


def test_a_run_status_sensor_is_told_of_the_run() -> None:
    @run_status_sensor([RunStatus.FAILURE, RunStatus.SUCCESS], job=etl)
    def told(context: RunStatusSensorContext) -> RunRequest:
        told_of = (context.run.run_id, context.status.value, context.event.message)
        return RunRequest(tags={"told": " ".join(told_of)})

    run = Run(job_name="report", run_id="r")
    given = SensorInput(cursor="c", event=event(EventType.RUN_SUCCESS), run=run)
    found = told.evaluate(given)
    assert [each.tags for each in found.requests] == [{"told": "r SUCCESS it happened"}]
    assert found.cursor == "c"


def test_an_asset_sensor_is_told_of_the_materialization() -> None:
    @asset_sensor("sales", job=etl)
    def fresh(context: AssetSensorContext) -> RunRequest:
        asset, run = context.asset, context.run
        return RunRequest(run_key=f"{asset.partition}/{run and run.run_id}")

    data = AssetEventData(("sales",), "2026-01-01")
    happened = event(EventType.ASSET_MATERIALIZATION, data)
    for run, key in ((None, "2026-01-01/None"), (Run(job_name="j", run_id="r"), "2026-01-01/r")):
        (asked,) = fresh.evaluate(SensorInput(event=happened, run=run)).requests
        assert asked.run_key == key


def test_a_sensor_that_watches_events_sets_no_cursor() -> None:
    @asset_sensor("sales", job=etl)
    def fresh(context: AssetSensorContext) -> SensorResult:
        return SensorResult(cursor="1")

    happened = event(EventType.ASSET_MATERIALIZATION, AssetEventData(("sales",)))
    with pytest.raises(InvalidDefinitionError, match=r"gave a cursor; leave it out"):
        fresh.evaluate(SensorInput(event=happened))


def takes_other(context: SensorEvaluationContext) -> None: ...


async def is_async() -> None: ...


def takes_more(context: Any, more: int) -> None: ...


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: sensor(job=etl, jobs=[report]), "more than one of job, jobs and job_name"),
        (lambda: sensor(job="etl"), "job is a str; give what @job makes"),  # type: ignore[arg-type]
        (lambda: sensor(jobs=["etl"]), "give a list of what @job makes"),  # type: ignore[list-item]
        (lambda: sensor(job_name="1"), "this cannot be a name"),
        (lambda: sensor(minimum_interval_seconds=0), "give a whole number from 1 to"),
        (lambda: sensor(minimum_interval_seconds=1.5), "is 1.5"),  # type: ignore[arg-type]
        (lambda: sensor(name="a b"), "this cannot be a name"),
        (lambda: sensor(tags={"runwire/x": "y"}), "is the system's"),
        (lambda: sensor(default_status="RUNNING"), "give DefaultSensorStatus"),  # type: ignore[arg-type]
        (lambda: run_status_sensor("FAILURE"), "give a RunStatus, or a list"),  # type: ignore[arg-type]
        (lambda: run_status_sensor([]), "give a RunStatus, or a list"),
        (lambda: run_status_sensor(RunStatus.NOT_STARTED), "give a RunStatus, or a list"),
        (
            lambda: run_status_sensor(RunStatus.FAILURE, monitored_jobs=[etl], monitor_all=True),
            "monitored_jobs and monitor_all",
        ),
        (
            lambda: run_status_sensor(RunStatus.FAILURE, monitored_jobs="etl"),
            "monitored_jobs is 'etl'; give a list",
        ),
        (lambda: asset_sensor(""), "is no asset key"),
    ],
)
def test_a_wrong_sensor_is_refused_with_its_place(make: Any, problem: str) -> None:
    def fn() -> None: ...

    with pytest.raises(InvalidDefinitionError) as refused:
        make()(fn)
    assert problem in str(refused.value)
    assert "test_sensor.py:" in str(refused.value)


@pytest.mark.parametrize(
    ("decorate", "fn", "problem"),
    [
        (sensor(job=etl), is_async, "its function is async; write it with def"),
        (sensor(job=etl), takes_more, "takes more; a sensor takes only context, or nothing"),
        (asset_sensor("a"), takes_other, "but is given the AssetSensorContext"),
        (run_status_sensor(RunStatus.FAILURE), takes_other, "is given the RunStatusSensorContext"),
        (sensor(job=etl), "text", "@sensor: it was given the text 'text'"),
    ],
)
def test_a_function_that_cannot_be_one_is_refused(decorate: Any, fn: Any, problem: str) -> None:
    with pytest.raises(InvalidDefinitionError) as refused:
        decorate(fn)
    assert problem in str(refused.value)


def test_a_repository_has_the_jobs_of_its_sensors_and_refuses_those_that_it_lacks() -> None:
    files = sensor(jobs=[etl, report], name="files")(lambda: None)
    watches = run_status_sensor(RunStatus.FAILURE, monitored_jobs=["gone"], name="w")(lambda: None)

    def shop(*members: SensorDefinition) -> Any:
        @repository
        def made() -> list[SensorDefinition]:
            return list(members)

        return made

    found = shop(files)
    assert (sorted(found.jobs), sorted(found.sensors)) == (["etl", "report"], ["files"])
    assert [each.name for each in found.snapshot().sensors] == ["files"]
    with pytest.raises(InvalidDefinitionError, match=r"sensor 'w': repository 'made' has no job"):
        shop(files, watches)
    twin = sensor(job=etl, name="files")(lambda: None)
    with pytest.raises(InvalidDefinitionError, match=r"two sensors are named 'files'"):
        shop(files, twin)
