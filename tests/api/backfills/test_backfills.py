"""Backfills over the API: made, listed, canceled, resumed, and how far their partitions are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runwire.api.opaque import pack
from runwire.control import BackfillRunner
from runwire.documents import load_document
from runwire.error_info import ErrorInfo
from runwire.errors import PartitionConfigError
from runwire.events import EventType
from runwire.partitions import PartitionsKind, PartitionsSnapshot
from runwire.storage import BackfillStatus
from tests.api.conftest import Api

CREATE, CANCEL, RESUME = map(load_document, ("CreateBackfill", "CancelBackfill", "ResumeBackfill"))
PAGE, DETAIL = load_document("BackfillsPage"), load_document("BackfillDetail")
REGIONS = PartitionsSnapshot(PartitionsKind.STATIC, keys=("eu", "us", "asia"))
DAYS = PartitionsSnapshot(PartitionsKind.DAILY, "2026-01-01", "2026-01-06")


@pytest.fixture(autouse=True)
def a_job_has_partitions(api: Api) -> None:
    api.workspace.get_location("here").partition("etl", REGIONS)


async def create(api: Api, **members: Any) -> Any:
    wanted = {"job": {"jobName": "etl"}, "partitions": {"range": {}}, **members}
    answer = (await api.ask(CREATE, input=wanted))["createBackfill"]
    assert answer["__typename"] == "CreateBackfillSuccess", answer
    return answer


def advance(api: Api, backfill_id: str) -> None:
    """Does a step of a backfill, as the daemon does."""
    BackfillRunner(
        api.instance.storage,
        api.workspace,
        lambda run_id: api.instance.submit_run(run_id, api.workspace),
        lambda run_id: api.instance.terminate_run(run_id, api.workspace),
    ).advance(backfill_id)


def progress(backfill: Any) -> dict[str, int]:
    counts = {key: value for key, value in backfill["progress"].items() if key != "id"}
    return {key: count for key, count in counts.items() if count}


async def test_one_is_made_as_it_is_asked_for(api: Api) -> None:
    api.workspace.get_location("here").partition("etl", DAYS)
    answer = await create(
        api,
        partitions={"range": {"first": "2026-01-02", "last": "2026-01-04"}},
        scope="MISSING",
        runsAtOnce=2,
        runConfig={"a": 1},
        tags=[{"key": "why", "value": "late"}],
        idempotencyKey="k",
    )
    made = answer["backfill"]
    found = (await api.ask(DETAIL, backfillId=made["backfillId"]))["backfill"]
    assert (found["jobName"], found["status"], found["actions"]) == ("etl", "REQUESTED", ["CANCEL"])
    assert (found["partitionCount"], found["attempts"], found["endedAt"]) == (3, 1, None)
    origin = {key: value for key, value in found["origin"].items() if key != "id"}
    assert origin == {
        "repositoryName": "main",
        "locationName": "here",
        "firstPartitionKey": "2026-01-02",
        "lastPartitionKey": "2026-01-04",
        "scope": "MISSING",
        "runsAtOnce": 2,
        "requestedBy": "ada",
        "runConfig": {"a": 1},
        "tags": [{"key": "why", "value": "late"}],
    }
    assert (answer["created"], progress(found)) == (True, {"requested": 3})
    for each in (found, found["origin"], found["progress"]):
        node = await api.ask("query($id: ID!) { node(id: $id) { id } }", id=each["id"])
        assert node == {"node": {"id": each["id"]}}


async def test_a_request_that_is_repeated_makes_one(api: Api) -> None:
    first, again = [await create(api, idempotencyKey="k") for _ in range(2)]
    assert (first["created"], again["created"]) == (True, False)
    assert first["backfill"]["id"] == again["backfill"]["id"]


async def test_its_partitions_are_told_by_how_far_they_are(api: Api) -> None:
    backfill_id = (await create(api))["backfill"]["backfillId"]
    advance(api, backfill_id)
    runs = api.instance.storage.run_storage.get_run_records(limit=9).records
    api.store(runs[0].run_id, EventType.RUN_START, EventType.RUN_SUCCESS)
    found = (await api.ask(DETAIL, backfillId=backfill_id))["backfill"]
    assert (found["status"], progress(found)) == ("IN_PROGRESS", {"inProgress": 2, "succeeded": 1})

    document = """query($filter: RunsFilter!) { runs(filter: $filter) { totalCount nodes {
      origin { partitionKey backfill { backfillId } } } } }"""
    listed = (await api.ask(document, filter={"backfillId": backfill_id}))["runs"]
    assert [each["origin"] for each in listed["nodes"]] == [
        {"partitionKey": key, "backfill": {"backfillId": backfill_id}}
        for key in ("asia", "us", "eu")
    ]
    one = await api.ask(document, filter={"backfillId": backfill_id, "partitionKey": "us"})
    assert one["runs"]["totalCount"] == 1
    assert (await api.ask(document, filter={"backfillId": "gone"}))["runs"]["totalCount"] == 0


async def test_a_run_of_nothing_of_the_kind_has_neither(api: Api) -> None:
    api.create_run("r1")
    document = '{ run(runId: "r1") { origin { partitionKey backfill { id } } } }'
    assert (await api.ask(document))["run"]["origin"] == {"partitionKey": None, "backfill": None}


async def test_it_is_canceled_and_resumed(api: Api) -> None:
    backfill_id = (await create(api))["backfill"]["backfillId"]
    wanted = {"backfillId": backfill_id, "terminateRuns": True}
    canceled = (await api.ask(CANCEL, input=wanted))["cancelBackfill"]["backfill"]
    assert (canceled["status"], canceled["actions"]) == ("CANCELING", ["CANCEL"])
    assert api.instance.storage.backfill_storage.get_backfill(backfill_id).terminates_runs
    advance(api, backfill_id)
    found = (await api.ask(DETAIL, backfillId=backfill_id))["backfill"]
    assert (found["status"], found["actions"]) == ("CANCELED", ["RESUME"])
    assert found["endedAt"] is not None
    resumed = (await api.ask(RESUME, input={"backfillId": backfill_id}))["resumeBackfill"]
    assert (resumed["backfill"]["status"], resumed["backfill"]["attempts"]) == ("REQUESTED", 2)
    refused = (await api.ask(RESUME, input={"backfillId": backfill_id}))["resumeBackfill"]
    assert refused["backfill"]["status"] == "REQUESTED"
    assert refused["expectedBackfillStatuses"] == ["COMPLETED", "FAILED", "CANCELED"]


async def test_what_it_waits_for_and_why_it_failed_is_told(api: Api) -> None:
    backfill_id = (await create(api))["backfill"]["backfillId"]
    storage = api.instance.storage.backfill_storage
    stored = storage.update_backfill(
        replace(storage.get_backfill(backfill_id), waiting="it is gone")
    )
    found = (await api.ask(DETAIL, backfillId=backfill_id))["backfill"]
    assert (found["waitingFor"], found["error"]) == ("it is gone", None)
    storage.update_backfill(
        replace(stored, waiting=None, status=BackfillStatus.FAILED, error=ErrorInfo("no", "E"))
    )
    found = (await api.ask(DETAIL, backfillId=backfill_id))["backfill"]
    assert (found["waitingFor"], found["error"]["message"]) == (None, "no")


async def test_those_whose_run_cannot_be_made_come_page_by_page(api: Api) -> None:
    location = api.workspace.get_location("here")
    location.partition("etl", PartitionsSnapshot(REGIONS.kind, keys=REGIONS.keys, has_config=True))
    info = ErrorInfo("it raised", "KeyError", ("a line",))
    location.configuration = PartitionConfigError("it raised", info=info)
    backfill_id = (await create(api))["backfill"]["backfillId"]
    advance(api, backfill_id)
    told, after = [], None
    while True:
        found = (await api.ask(DETAIL, backfillId=backfill_id, failures=2, after=after))["backfill"]
        told.append([each["partitionKey"] for each in found["failures"]["nodes"]])
        after = found["failures"]["pageInfo"]["endCursor"]
        if not found["failures"]["pageInfo"]["hasNextPage"]:
            break
    assert (told, progress(found)) == ([["eu", "us"], ["asia"]], {"failed": 3})
    assert found["failures"]["nodes"][0]["error"]["className"] == "KeyError"
    for cursor in (
        "x",
        pack(1, "backfillFailures", "other", 0),
        pack(1, "backfillFailures", backfill_id, -1),
    ):
        assert (await api.refusal(DETAIL, backfillId=backfill_id, after=cursor))[
            0
        ] == "CURSOR_INVALID"
    assert (await api.refusal(DETAIL, backfillId=backfill_id, failures=0))[0] == "INVALID_ARGUMENT"
    edges = """query($id: ID!) { backfill(backfillId: $id) { failures(first: 1) {
      edges { cursor node { partitionKey failedAt } } pageInfo { startCursor hasPreviousPage } } } }"""
    page = (await api.ask(edges, id=backfill_id))["backfill"]["failures"]
    assert page["edges"][0]["cursor"] == page["pageInfo"]["startCursor"]
    assert page["edges"][0]["node"]["partitionKey"] == "eu"


async def test_they_are_listed_newest_first_and_filtered(api: Api) -> None:
    ids = [(await create(api))["backfill"]["backfillId"] for _ in range(5)]
    api.instance.cancel_backfill(ids[1])
    listed, after = [], None
    while True:
        page = (await api.ask(PAGE, first=2, after=after))["backfills"]
        assert page["totalCount"] == 5
        listed.append([each["backfillId"] for each in page["nodes"]])
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert listed == [ids[:2:-1], ids[2:0:-1], ids[:1]]

    async def filtered(**wanted: Any) -> list[str]:
        found = (await api.ask(PAGE, filter=wanted))["backfills"]
        return [each["backfillId"] for each in found["nodes"]]

    assert await filtered(statuses=["CANCELING"]) == [ids[1]]
    assert await filtered(jobName="etl", repositoryName="main", locationName="here") == ids[::-1]
    assert await filtered(jobName="other") == await filtered(statuses=[]) == []
    for cursor in ("x", pack(1, "backfills", -1), pack(1, "pools", 1)):
        assert (await api.refusal(PAGE, after=cursor))[0] == "CURSOR_INVALID"
    assert (await api.refusal(PAGE, first=101))[0] == "INVALID_ARGUMENT"
    counted = "{ backfills(first: 1) { totalCount(limit: 3) edges { cursor node { id } } } }"
    assert (await api.ask(counted))["backfills"]["totalCount"] == 3


async def test_one_that_is_not_there_is_null(api: Api) -> None:
    for backfill_id in ("gone", "\udc80"):
        assert (await api.ask(DETAIL, backfillId=backfill_id))["backfill"] is None


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"partitions": {"keys": []}}, ["partitions", "keys"]),
        ({"partitions": {"keys": ["eu", "eu"]}}, ["partitions", "keys", "1"]),
        ({"partitions": {"keys": ["eu", "\udc80"]}}, ["partitions", "keys", "1"]),
        ({"partitions": {"range": {"last": "\udc80"}}}, ["partitions", "range", "last"]),
        ({"partitions": {"range": {"first": "us", "last": "eu"}}}, ["partitions", "range", "last"]),
        ({"runsAtOnce": 1001}, ["runsAtOnce"]),
        ({"tags": [{"key": "runwire/partition", "value": "eu"}]}, ["tags", "0", "key"]),
        ({"idempotencyKey": "runwire/x"}, ["idempotencyKey"]),
    ],
)
async def test_what_is_refused_is_told_with_its_place(
    api: Api, members: dict[str, Any], path: list[str]
) -> None:
    wanted = {"job": {"jobName": "etl"}, "partitions": {"range": {}}, **members}
    answer = (await api.ask(CREATE, input=wanted))["createBackfill"]
    assert (answer["__typename"], answer["path"]) == ("InputInvalid", ["input", *path])
    assert (await api.ask(PAGE))["backfills"]["nodes"] == []
