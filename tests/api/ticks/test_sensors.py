"""Sensors as the API shows them, and what is done with them."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.control import TickRunner
from runwire.documents import load_document
from runwire.errors import TickEvaluationError
from runwire.events.types import EventType
from runwire.snapshots import SensorKind, SensorSnapshot
from runwire.ticks import (
    RunRequest,
    Tick,
    TickEvaluation,
    TickSourceOrigin,
    TickSourceStatus,
    TickSourceType,
)
from runwire.ticks.evaluation import SensorInput
from tests.api.conftest import Api

FILES = SensorSnapshot(
    "files", job_names=("etl",), minimum_interval_seconds=5, description="Looks for files."
)
FAILED = SensorSnapshot(
    "failed",
    kind=SensorKind.RUN_STATUS,
    minimum_interval_seconds=0,
    event_types=(EventType.RUN_FAILURE,),
)
SELECT = {"sensor": {"sensorName": "files"}}
ALL = """query($filter: TickSourceFilter, $first: Int, $after: String) {
  sensors(filter: $filter, first: $first, after: $after) {
    totalCount nodes { name } edges { cursor } pageInfo { hasNextPage endCursor }
  }
}"""


@pytest.fixture
def watching(api: Api) -> Api:
    api.workspace.get_location("here").watch(FAILED, FILES)
    return api


def origin(name: str) -> TickSourceOrigin:
    return TickSourceOrigin(
        source_type=TickSourceType.SENSOR,
        location_name="here",
        repository_name="main",
        name=name,
    )


def tick(api: Api, name: str, at: float, evaluation: TickEvaluation) -> Tick:
    """A tick of a sensor, which is started if need be."""
    schedules = api.instance.storage.schedule_storage
    schedules.set_tick_source_status(origin(name), TickSourceStatus.RUNNING, at=1.0)
    api.workspace.get_location("here").evaluation = evaluation
    runner = TickRunner(
        api.instance.storage,
        api.workspace,
        lambda run_id: api.instance.submit_run(run_id, api.workspace),
        lambda: at,
    )
    latest = schedules.get_ticks(origin(name).source_id, limit=1).ticks
    return runner.run_next(origin(name), latest[0] if latest else None)


async def change(api: Api, mutation: str, **input: Any) -> Any:
    answer = await api.ask(load_document(mutation), input={**SELECT, **input})
    return answer[mutation[0].lower() + mutation[1:]]


async def test_a_sensor_shows_its_definition_and_its_ticks(watching: Api) -> None:
    asked = RunRequest(job_name="etl", run_key="a")
    made = tick(watching, "files", 1000.0, TickEvaluation(requests=(asked,), cursor="7"))
    found = (await watching.ask(load_document("SensorDetail"), selector={"sensorName": "files"}))[
        "sensor"
    ]
    (shown,) = found.pop("ticks")["nodes"]
    assert (shown["status"], shown["runs"]["nodes"][0]["runId"]) == ("SUCCESS", made.run_ids[0])
    assert found.pop("codeLocation")["status"] == "LOADED"
    assert found.pop("jobs")[0]["name"] == "etl"
    node_id = found.pop("id")
    assert found == {
        "name": "files",
        "repositoryName": "main",
        "locationName": "here",
        "description": "Looks for files.",
        "status": "RUNNING",
        "defaultStatus": "STOPPED",
        "runningSince": "1970-01-01T00:00:01Z",
        "kind": "STANDARD",
        "minimumIntervalSeconds": 5,
        "cursor": "7",
        "nextTickAt": "1970-01-01T00:16:45Z",
    }
    node = "query($id: ID!) { node(id: $id) { __typename ... on Sensor { name } } }"
    again = (await watching.ask(node, id=node_id))["node"]
    assert again == {"__typename": "Sensor", "name": "files"}
    document = """query($r: ID!) { run(runId: $r) {
      tick { cursor runKeys source { __typename name } } tags { key value } } }"""
    run = (await watching.ask(document, r=made.run_ids[0]))["run"]
    source = {"__typename": "Sensor", "name": "files"}
    assert run["tick"] == {"cursor": "7", "runKeys": ["a"], "source": source}
    assert {"key": "runwire/run_key", "value": "a"} in run["tags"]


async def test_sensors_are_listed_by_name_page_by_page(watching: Api) -> None:
    first = (await watching.ask(ALL, first=1))["sensors"]
    assert ([each["name"] for each in first["nodes"]], first["totalCount"]) == (["failed"], 2)
    after = first["pageInfo"]["endCursor"]
    second = (await watching.ask(ALL, after=after))["sensors"]
    assert [each["name"] for each in second["nodes"]] == ["files"]
    assert second["pageInfo"]["hasNextPage"] is False
    of_job = (await watching.ask(ALL, filter={"jobName": "etl"}))["sensors"]
    assert [each["name"] for each in of_job["nodes"]] == ["files"]
    schedules = "query($after: String) { schedules(after: $after) { totalCount } }"
    refused = await watching.execute(schedules, after=after)
    assert refused.errors is not None
    assert "is not a cursor of a list of schedules" in refused.errors[0].message


async def test_a_job_tells_of_its_sensors_and_runs_are_found_by_them(watching: Api) -> None:
    watching.schedule("nightly")
    watching.workspace.get_location("here").watch(FILES)
    made = tick(watching, "files", 9.0, TickEvaluation(requests=(RunRequest(job_name="etl"),)))
    document = """{ jobs: codeLocations { repositories { jobs { name tickSources { __typename name } } } }
      runs(filter: {sensorName: "files"}) { nodes { runId } }
      others: runs(filter: {sensorName: "other"}) { totalCount } }"""
    found = await watching.ask(document)
    jobs = {
        job["name"]: [(each["__typename"], each["name"]) for each in job["tickSources"]]
        for location in found["jobs"]
        for repository in location["repositories"]
        for job in repository["jobs"]
        if location["repositories"]
    }
    assert ("Sensor", "files") in jobs["etl"]
    assert [run["runId"] for run in found["runs"]["nodes"]] == list(made.run_ids)
    assert found["others"]["totalCount"] == 0


async def test_a_sensor_is_started_and_stopped_and_its_cursor_set(watching: Api) -> None:
    started = await change(watching, "StartSensor")
    assert started["sensor"]["status"] == "RUNNING"
    assert (await change(watching, "SetSensorCursor", cursor="9"))["sensor"]["cursor"] == "9"
    stopped = (await change(watching, "StopSensor"))["sensor"]
    assert (stopped["status"], stopped["cursor"], stopped["nextTickAt"]) == ("STOPPED", "9", None)
    assert (await change(watching, "SetSensorCursor", cursor=None))["sensor"]["cursor"] is None


async def test_one_that_watches_events_has_a_place_in_their_log(watching: Api) -> None:
    select = {"sensor": {"sensorName": "failed"}}
    started = (await change(watching, "StartSensor", **select))["sensor"]
    assert (started["kind"], started["nextTickAt"]) == ("RUN_STATUS", None)
    assert started["cursor"] is not None
    refused = await change(watching, "SetSensorCursor", **select, cursor="9")
    assert (refused["__typename"], refused["path"]) == ("InputInvalid", ["input", "cursor"])
    again = await change(watching, "SetSensorCursor", **select, cursor=started["cursor"])
    assert again["sensor"]["cursor"] == started["cursor"]


async def test_an_evaluation_that_is_tried_tells_runs_that_are_there_and_stores_nothing(
    watching: Api,
) -> None:
    requests = (
        RunRequest(job_name="etl", run_key="a"),
        RunRequest(job_name="etl", tags={"n": "1"}),
    )
    evaluation = TickEvaluation(requests=requests, cursor="8")
    made = tick(watching, "files", 1000.0, TickEvaluation(requests=requests[:1], cursor="7"))
    here = watching.workspace.get_location("here")
    here.evaluation = evaluation
    tried = (await watching.ask(load_document("EvaluateTick"), input={"source": SELECT}))[
        "evaluateTick"
    ]
    first, second = tried["runRequests"]
    assert (first["runKey"], first["existingRun"]["runId"]) == ("a", made.run_ids[0])
    assert (second["runKey"], second["existingRun"]) == (None, None)
    assert tried["cursor"] == "8"
    assert here.given[-1] == SensorInput(cursor="7", last_run_key="a", last_tick_at=1000.0)
    state = watching.instance.storage.schedule_storage.get_tick_source(origin("files").source_id)
    assert state.cursor == "7"
    await watching.ask(load_document("EvaluateTick"), input={"source": SELECT, "cursor": "other"})
    assert here.given[-1].cursor == "other"
    here.evaluation = TickEvaluationError("it raised")
    raised = (await watching.ask(load_document("EvaluateTick"), input={"source": SELECT}))[
        "evaluateTick"
    ]
    assert (raised["error"]["message"], raised["cursor"]) == ("it raised", None)
    wrong = {"source": {"sensor": {"sensorName": "failed"}}, "cursor": "x"}
    refused = (await watching.ask(load_document("EvaluateTick"), input=wrong))["evaluateTick"]
    assert (refused["__typename"], refused["path"]) == ("InputInvalid", ["input", "cursor"])


async def test_a_sensor_that_is_not_loaded_shows_what_is_kept(watching: Api) -> None:
    await change(watching, "StartSensor")
    watching.workspace.get_location("here").watch()
    document = """{ sensor(selector: {sensorName: "files"}) { status kind minimumIntervalSeconds jobs { name } } }"""
    found = (await watching.ask(document))["sensor"]
    assert found == {"status": "RUNNING", "kind": None, "minimumIntervalSeconds": None, "jobs": []}
    missing = """{ sensor(selector: {sensorName: "gone"}) { name } }"""
    assert (await watching.ask(missing))["sensor"] is None
