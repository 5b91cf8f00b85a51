"""`eventRecords`: pages of the instance-wide log."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.documents import load_document
from runwire.events import Cursor, CursorScope, EventType
from runwire.events.payloads import AssetEventData
from tests.api.conftest import Api

E = EventType

ALL = ["RUN_STARTING", "RUN_START", "RUN_SUCCESS", "STEP_FAILURE", "ASSET_MATERIALIZATION"]

PAGE = """query ($filter: EventRecordsFilter!, $first: Int, $after: String, $last: Int, $before: String) {
  eventRecords(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
    totalCount
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    edges { cursor node { runId position eventType jobName } }
    nodes { runId }
  }
}"""


def at(api: Api, position: int) -> str:
    """The cursor of a position of the instance-wide log."""
    log_id = api.instance.storage.event_log_storage.get_instance_log_id()
    return str(Cursor(CursorScope.INSTANCE, log_id, position))


def fill(api: Api) -> None:
    """Three runs; positions 1 to 3 are their making, 4 to 12 their events."""
    for run_id in ("r1", "r2", "r3"):
        api.add_run(run_id, job_name="weekly" if run_id == "r2" else "daily")
    for run_id in ("r1", "r2", "r3"):
        api.store(run_id, E.RUN_STARTING, E.RUN_START, None, E.ENGINE_EVENT)
        data = AssetEventData(("sales", run_id), "mon" if run_id == "r1" else None)
        api.store(run_id, E.ASSET_MATERIALIZATION, data=data)


async def page(api: Api, **variables: Any) -> dict[str, Any]:
    variables.setdefault("filter", {"eventTypes": ALL})
    found: dict[str, Any] = (await api.ask(PAGE, **variables))["eventRecords"]
    return found


def told(found: dict[str, Any]) -> list[str]:
    return [f"{edge['node']['runId']}:{edge['node']['position']}" for edge in found["edges"]]


async def test_events_of_all_runs_come_in_commit_order_with_instance_wide_cursors(api: Api) -> None:
    fill(api)
    found = await page(api)
    assert told(found) == [f"{run}:{n}" for run in ("r1", "r2", "r3") for n in (1, 2, 5)]
    assert [edge["cursor"] for edge in found["edges"]] == [at(api, n) for n in range(4, 13)]
    assert [node["runId"] for node in found["nodes"]] == ["r1"] * 3 + ["r2"] * 3 + ["r3"] * 3
    assert [edge["node"]["jobName"] for edge in found["edges"]] == (
        ["daily"] * 3 + ["weekly"] * 3 + ["daily"] * 3
    )
    assert found["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": False,
        "startCursor": at(api, 4),
        "endCursor": at(api, 12),
    }
    assert found["totalCount"] == 9


@pytest.mark.parametrize(
    ("filter", "positions"),
    [
        ({"eventTypes": ["RUN_START"]}, [5, 8, 11]),
        ({"eventTypes": []}, []),
        ({"eventTypes": ALL, "jobNames": ["weekly"]}, [7, 8, 9]),
        ({"eventTypes": ALL, "assetKeys": [["sales", "r1"], ["sales", "r3"]]}, [6, 12]),
        ({"eventTypes": ALL, "assetKeys": [["sales", "r1"]], "partitions": ["mon"]}, [6]),
        ({"eventTypes": ALL, "assetKeys": [["sales", "r1"]], "partitions": ["tue"]}, []),
        ({"eventTypes": ALL, "timestamp": {"before": "2001-01-01T00:00:00Z"}}, []),
        ({"eventTypes": ["RUN_START"], "timestamp": {"after": "2001-01-01T00:00:00Z"}}, [5, 8, 11]),
    ],
)
async def test_a_filter_chooses_among_them(
    api: Api, filter: dict[str, Any], positions: list[int]
) -> None:
    fill(api)
    found = await page(api, filter=filter)
    assert [edge["cursor"] for edge in found["edges"]] == [at(api, n) for n in positions]
    assert found["totalCount"] == len(positions)


async def test_pages_go_forward_and_backward_and_meet(api: Api) -> None:
    fill(api)
    first = await page(api, first=4)
    assert told(first) == ["r1:1", "r1:2", "r1:5", "r2:1"]
    assert (first["pageInfo"]["hasNextPage"], first["pageInfo"]["hasPreviousPage"]) == (True, False)
    rest = await page(api, first=4, after=first["pageInfo"]["endCursor"])
    assert told(rest) == ["r2:2", "r2:5", "r3:1", "r3:2"]
    assert (rest["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasPreviousPage"]) == (True, True)
    last = await page(api, last=2)
    assert told(last) == ["r3:2", "r3:5"]
    assert (last["pageInfo"]["hasNextPage"], last["pageInfo"]["hasPreviousPage"]) == (False, True)
    back = await page(api, last=3, before=last["pageInfo"]["startCursor"])
    assert told(back) == ["r2:2", "r2:5", "r3:1"]
    assert (back["pageInfo"]["hasNextPage"], back["pageInfo"]["hasPreviousPage"]) == (True, True)


async def test_counting_stops_where_it_is_told_to(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(api)
    monkeypatch.setattr("runwire.api.events.pages.MAX_PAGE", 2)
    query = (
        "{ eventRecords(filter: {eventTypes: [RUN_STARTING, RUN_START]})"
        " { few: totalCount(limit: 5) all: totalCount } }"
    )
    assert await api.ask(query) == {"eventRecords": {"few": 5, "all": 6}}


async def test_events_of_a_deleted_run_stay_without_their_run(api: Api) -> None:
    api.create_run("r1")
    api.store("r1", E.RUN_STARTING)
    query = """{ eventRecords(filter: {eventTypes: [RUN_STARTING]}) {
      nodes { id cursor runId jobName run { runId } }
    } }"""
    (before,) = (await api.ask(query))["eventRecords"]["nodes"]
    assert before["run"] == {"runId": "r1"}
    api.instance.storage.delete_run("r1")
    (gone,) = (await api.ask(query))["eventRecords"]["nodes"]
    assert (gone["runId"], gone["jobName"], gone["run"]) == ("r1", "etl", None)
    assert await api.ask("query ($id: ID!) { node(id: $id) { id } }", id=gone["id"]) == {
        "node": None
    }
    # A run that is made anew under its id does not take over its events.
    api.create_run("r1")
    (still,) = (await api.ask(query))["eventRecords"]["nodes"]
    assert still == gone
    log = 'query ($after: String) { run(runId: "r1") { events(after: $after) { totalCount } } }'
    code, _ = await api.refusal(log, after=gone["cursor"])
    assert code == "CURSOR_INVALID"


@pytest.mark.parametrize(
    ("filter", "argument", "message"),
    [
        (
            {"eventTypes": ["RUN_START", "STEP_START"]},
            ["filter", "eventTypes", "1"],
            "STEP_START is not in the instance-wide log",
        ),
        (
            {"eventTypes": ALL, "partitions": ["mon"]},
            ["filter", "partitions"],
            "`partitions` needs `assetKeys`",
        ),
        ({"eventTypes": ALL, "jobNames": ["\ud800"]}, ["filter", "jobNames", "0"], "Unicode"),
        (
            {"eventTypes": ALL, "assetKeys": [["a"], ["b", "\ud800"]]},
            ["filter", "assetKeys", "1", "1"],
            "Unicode",
        ),
    ],
)
async def test_a_filter_that_makes_no_sense_is_refused_by_name(
    api: Api, filter: dict[str, Any], argument: list[str], message: str
) -> None:
    result = await api.execute(PAGE, filter=filter)
    assert result.errors is not None
    (error,) = result.errors
    assert message in error.message
    assert error.extensions == {"code": "INVALID_ARGUMENT", "argument": argument}


@pytest.mark.parametrize("name", ["after", "before"])
async def test_a_cursor_that_is_not_of_this_log_is_refused(api: Api, name: str) -> None:
    fill(api)
    run = api.record("r1")
    for cursor in ("HEAD", str(Cursor(CursorScope.RUN, run.log_id, 1)), at(api, 13)):
        code, _ = await api.refusal(PAGE, filter={"eventTypes": ALL}, **{name: cursor})
        assert code == "CURSOR_INVALID"


async def test_what_was_purged_is_not_there_and_older_cursors_have_expired(api: Api) -> None:
    fill(api)
    api.instance.storage.event_log_storage.purge_instance_log(6)
    found = await page(api)
    assert told(found) == ["r2:1", "r2:2", "r2:5", "r3:1", "r3:2", "r3:5"]
    assert not found["pageInfo"]["hasPreviousPage"]
    assert found["totalCount"] == 6
    assert told(await page(api, after=at(api, 6), first=1)) == ["r2:1"]
    result = await api.execute(PAGE, filter={"eventTypes": ALL}, after=at(api, 5))
    assert result.errors is not None
    assert result.errors[0].extensions == {"code": "CURSOR_EXPIRED", "earliestCursor": at(api, 6)}


async def test_a_page_has_a_thousand_records_at_most(api: Api) -> None:
    code, message = await api.refusal(PAGE, filter={"eventTypes": ALL}, first=1001)
    assert (code, message) == ("INVALID_ARGUMENT", "`first` is 1001; give 1 to 1,000")


async def test_the_document_of_the_page(api: Api) -> None:
    fill(api)
    data = await api.ask(load_document("EventsPage"), filter={"eventTypes": ["RUN_START"]}, last=2)
    assert [node["runId"] for node in data["eventRecords"]["nodes"]] == ["r2", "r3"]
