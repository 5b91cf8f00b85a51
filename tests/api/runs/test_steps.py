"""The timeline of a run: its steps as plan and log tell of them."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.api.nodes import global_id
from runwire.api.opaque import pack
from runwire.error_info import ErrorInfo
from runwire.errors import StorageUnavailableError
from runwire.events import EventType
from runwire.events.payloads import EngineEventData
from runwire.runs import RunsFilter
from tests.api.conftest import Api

STEPS = """
query($stepKeys: [String!], $statuses: [StepStatus!], $first: Int, $after: String) {
  run(runId: "r1") {
    steps(stepKeys: $stepKeys, statuses: $statuses, first: $first, after: $after) {
      totalCount
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      edges { cursor node { stepKey } }
      nodes { stepKey status }
    }
  }
}
"""


async def steps(api: Api, **variables: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await api.ask(STEPS, **variables))["run"]["steps"]
    return found


def keys(found: dict[str, Any]) -> list[str]:
    return [node["stepKey"] for node in found["nodes"]]


async def test_a_step_shows_its_place_and_its_history(api: Api) -> None:
    api.create_run("r1")
    at = {"step_key": "report"}
    marker = EngineEventData(marker_start="process_start")
    api.store("r1", EventType.STEP_WORKER_STARTING, data=marker, timestamp=1.0, **at)
    api.store("r1", EventType.STEP_START, timestamp=2.0, **at)
    error = ErrorInfo("no", "ValueError", ("line",))
    api.store("r1", EventType.STEP_UP_FOR_RETRY, timestamp=3.0, error=error, **at)
    api.store("r1", EventType.STEP_RESTARTED, timestamp=4.0, **at)
    document = """{ run(runId: "r1") { steps { nodes {
      stepKey opHandle status level upstreamStepKeys startedAt endedAt
      attempts { number status startedAt endedAt } markers { name startedAt endedAt }
      materializations expectations error { message className stack }
    } } } }"""
    answer = await api.ask(document)
    assert answer["run"]["steps"]["nodes"] == [
        {
            "stepKey": "load",
            "opHandle": "load",
            "status": "NOT_STARTED",
            "level": 0,
            "upstreamStepKeys": [],
            "startedAt": None,
            "endedAt": None,
            "attempts": [],
            "markers": [],
            "materializations": 0,
            "expectations": 0,
            "error": None,
        },
        {
            "stepKey": "report",
            "opHandle": "report",
            "status": "IN_PROGRESS",
            "level": 1,
            "upstreamStepKeys": ["load"],
            "startedAt": "1970-01-01T00:00:02Z",
            "endedAt": None,
            "attempts": [
                {
                    "number": 1,
                    "status": "UP_FOR_RETRY",
                    "startedAt": "1970-01-01T00:00:02Z",
                    "endedAt": "1970-01-01T00:00:03Z",
                },
                {
                    "number": 2,
                    "status": "IN_PROGRESS",
                    "startedAt": "1970-01-01T00:00:04Z",
                    "endedAt": None,
                },
            ],
            "markers": [
                {
                    "name": "process_start",
                    "startedAt": "1970-01-01T00:00:01Z",
                    "endedAt": None,
                }
            ],
            "materializations": 0,
            "expectations": 0,
            "error": {"message": "no", "className": "ValueError", "stack": ["line"]},
        },
    ]


async def test_steps_of_a_run_that_ended_are_abandoned(api: Api) -> None:
    api.create_run("r1")
    api.store("r1", EventType.STEP_START, step_key="load")
    api.store("r1", EventType.RUN_CANCELED)
    assert (await steps(api))["nodes"] == [
        {"stepKey": "load", "status": "ABANDONED"},
        {"stepKey": "report", "status": "ABANDONED"},
    ]


async def test_steps_of_an_external_system_stand_side_by_side(api: Api) -> None:
    api.add_managed_run("r1")
    for key in ("zip", "fetch"):
        api.store("r1", EventType.STEP_START, EventType.STEP_SUCCESS, step_key=key)
    found = await steps(api)
    assert found["nodes"] == [
        {"stepKey": "fetch", "status": "SUCCESS"},
        {"stepKey": "zip", "status": "SUCCESS"},
    ]


async def test_steps_can_be_walked_and_filtered(api: Api) -> None:
    api.create_run("r1")
    for key in ("x3", "x1", "x2"):
        api.store("r1", EventType.STEP_START, step_key=key)
    walked: list[str] = []
    after, has_next = None, True
    while has_next:
        found = await steps(api, first=2, after=after)
        assert found["totalCount"] == 5
        assert found["pageInfo"]["hasPreviousPage"] == bool(walked)
        assert [edge["node"]["stepKey"] for edge in found["edges"]] == keys(found)
        assert found["pageInfo"]["startCursor"] == found["edges"][0]["cursor"]
        walked += keys(found)
        after, has_next = found["pageInfo"]["endCursor"], found["pageInfo"]["hasNextPage"]
    assert walked == ["load", "x1", "x2", "x3", "report"]
    assert keys(await steps(api, after=after)) == []
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"stepKeys": ["x1", "report", "gone"]}, ["x1", "report"]),
        ({"stepKeys": []}, []),
        ({"statuses": ["NOT_STARTED"]}, ["load", "report"]),
        ({"statuses": []}, []),
        ({"statuses": ["IN_PROGRESS"], "stepKeys": ["x2", "load"]}, ["x2"]),
    ]
    for variables, wanted in cases:
        found = await steps(api, **variables)
        assert (keys(found), found["totalCount"]) == (wanted, len(wanted))


async def test_a_step_is_found_by_its_id_with_what_becomes_of_it(api: Api) -> None:
    api.create_run("r1")
    api.store("r1", EventType.STEP_START, step_key="load")
    found = (await api.ask('{ run(runId: "r1") { steps { nodes { id stepKey } } } }'))["run"]
    ids = {node["stepKey"]: node["id"] for node in found["steps"]["nodes"]}
    document = "query($id: ID!) { node(id: $id) { ... on RunStep { stepKey status } } }"

    async def status_of(key: str) -> str | None:
        node = (await api.ask(document, id=ids[key]))["node"]
        return None if node is None else str(node["status"])

    assert (await status_of("load"), await status_of("report")) == ("IN_PROGRESS", "NOT_STARTED")
    api.store("r1", EventType.STEP_FAILURE, step_key="load")
    assert (await status_of("load"), await status_of("report")) == ("FAILURE", "ABANDONED")
    api.store("r1", EventType.STEP_START, step_key="extra")
    ids["extra"] = global_id("RunStep", "r1", "extra")
    ids["gone"] = global_id("RunStep", "r1", "gone")
    assert (await status_of("extra"), await status_of("gone")) == ("IN_PROGRESS", None)


async def test_a_log_of_many_pages_is_told_in_full(api: Api) -> None:
    api.create_run("r1")
    api.store("r1", EventType.STEP_START, step_key="load")
    api.store("r1", *[None] * 2500, step_key="load")
    api.store("r1", EventType.STEP_SUCCESS, step_key="load")
    assert (await steps(api))["nodes"] == [
        {"stepKey": "load", "status": "SUCCESS"},
        {"stepKey": "report", "status": "NOT_STARTED"},
    ]


@pytest.mark.parametrize(
    "cursor", ["", "HEAD", "\ud800", pack(1, "runs", 0, "load"), pack(1, "steps", "0", "load")]
)
async def test_a_malformed_cursor_is_refused(api: Api, cursor: str) -> None:
    api.create_run("r1")
    code, message = await api.refusal(STEPS, after=cursor)
    assert code == "CURSOR_INVALID"
    assert "is not a cursor of a list of steps" in message


@pytest.mark.parametrize("first", [0, 1001])
async def test_a_page_out_of_bounds_is_refused(api: Api, first: int) -> None:
    api.create_run("r1")
    assert await api.refusal(STEPS, first=first) == (
        "INVALID_ARGUMENT",
        f"`first` is {first}; give 1 to 1,000",
    )


async def test_a_log_that_cannot_be_read_leaves_the_run(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise StorageUnavailableError("the file is damaged")

    api.create_run("r1")
    monkeypatch.setattr(api.instance.storage.event_log_storage, "get_step_stats", broken)
    result = await api.execute('{ run(runId: "r1") { status steps { totalCount } } }')
    assert result.data == {"run": {"status": "NOT_STARTED", "steps": None}}
    assert api.instance.storage.run_storage.get_runs_count(RunsFilter()) == 1
