"""Partitions of a job over the API: which there are, and the last run of each."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.api.opaque import pack
from runwire.documents import load_document
from runwire.partitions import PartitionsKind, PartitionsSnapshot
from tests.api.conftest import Api

PAGE = load_document("PartitionsPage")
DAYS = PartitionsSnapshot(PartitionsKind.DAILY, "2026-03-27", "2026-04-01", "Europe/Berlin")
KEYS = ["2026-03-27", "2026-03-28", "2026-03-29", "2026-03-30", "2026-03-31"]


@pytest.fixture(autouse=True)
def a_job_has_partitions(api: Api) -> None:
    api.workspace.get_location("here").partition("etl", DAYS)


async def page(api: Api, **variables: Any) -> Any:
    return (await api.ask(PAGE, job={"jobName": "etl"}, **variables))["job"]["partitions"]


async def test_they_are_told_with_their_windows_and_last_runs(api: Api) -> None:
    for run_id, key in (("r1", KEYS[2]), ("r2", KEYS[2]), ("r3", KEYS[0])):
        api.create_run(run_id, partition_key=key)
    found = await page(api)
    assert found["definition"] == {
        "kind": "DAILY",
        "start": "2026-03-27",
        "end": "2026-04-01",
        "timezone": "Europe/Berlin",
        "hasConfig": False,
    }
    assert [each["key"] for each in found["nodes"]] == KEYS
    assert found["totalCount"] == 5
    short = found["nodes"][2]
    assert short["windowStart"] == "2026-03-28T23:00:00Z"
    assert short["windowEnd"] == "2026-03-29T22:00:00Z"
    last = [each["lastRun"] and each["lastRun"]["runId"] for each in found["nodes"]]
    assert last == ["r3", None, "r2", None, None]
    assert short["lastRun"]["status"] == "NOT_STARTED"
    document = "query($id: ID!) { node(id: $id) { ... on Partition { key lastRun { runId } } } }"
    node = (await api.ask(document, id=short["id"]))["node"]
    assert node == {"key": KEYS[2], "lastRun": {"runId": "r2"}}


async def test_they_come_in_pages_in_both_directions(api: Api) -> None:
    first = await page(api, first=2)
    then = await page(api, first=2, after=first["pageInfo"]["endCursor"])
    assert [each["key"] for each in first["nodes"] + then["nodes"]] == KEYS[:4]
    last = await page(api, last=2)
    before = await page(api, last=9, before=last["pageInfo"]["startCursor"])
    assert [each["key"] for each in before["nodes"] + last["nodes"]] == KEYS
    told = [
        (each["pageInfo"]["hasPreviousPage"], each["pageInfo"]["hasNextPage"])
        for each in (first, then, last, before)
    ]
    assert told == [(False, True), (True, True), (True, False), (False, True)]
    edges = """{ job(selector: {jobName: "etl"}) { partitions(first: 1) {
      edges { cursor node { key } } pageInfo { startCursor } } } }"""
    listed = (await api.ask(edges))["job"]["partitions"]
    assert listed["edges"][0]["cursor"] == listed["pageInfo"]["startCursor"]


async def test_static_ones_stand_for_no_time(api: Api) -> None:
    regions = PartitionsSnapshot(PartitionsKind.STATIC, keys=("eu", "us"), has_config=True)
    api.workspace.get_location("here").partition("etl", regions)
    found = await page(api)
    assert found["definition"] == {
        "kind": "STATIC", "start": None, "end": None, "timezone": None, "hasConfig": True,
    }  # fmt: skip
    assert [(each["key"], each["windowStart"]) for each in found["nodes"]] == [
        ("eu", None),
        ("us", None),
    ]


async def test_a_job_without_any_has_null(api: Api) -> None:
    api.workspace.get_location("here").partition("etl", None)
    assert await page(api) is None


async def test_what_cannot_be_asked_is_refused(api: Api) -> None:
    job = {"jobName": "etl"}
    for cursor in ("x", pack(1, "partitions", "here", "main", "etl", "2020-01-01")):
        assert (await api.refusal(PAGE, job=job, after=cursor))[0] == "CURSOR_INVALID"
    foreign = pack(1, "partitions", "here", "main", "other", KEYS[0])
    code, message = await api.refusal(PAGE, job=job, after=foreign)
    assert (code, "belongs to the partitions of another job" in message) == ("CURSOR_INVALID", True)
    assert (await api.refusal(PAGE, job=job, first=101))[0] == "INVALID_ARGUMENT"
    assert (await api.refusal(PAGE, job=job, first=1, last=1))[0] == "INVALID_ARGUMENT"


async def test_a_partition_that_is_gone_is_no_node(api: Api) -> None:
    document = "query($id: ID!) { node(id: $id) { id } }"
    found = (await page(api))["nodes"][0]
    api.workspace.get_location("here").partition("etl", None)
    assert (await api.ask(document, id=found["id"]))["node"] is None
    api.workspace.remove("here")
    assert (await api.ask(document, id=found["id"]))["node"] is None
