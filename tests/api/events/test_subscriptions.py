"""`eventRecords`: what the instance-wide log gets, live, and how the stream is resumed and refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from runwire.documents import load_document
from runwire.errors import StorageUnavailableError
from runwire.events import Cursor, CursorScope, EventType
from runwire.events.payloads import AssetEventData
from runwire.feed import InstanceFeed
from tests.api.conftest import Api

E = EventType

FOLLOW = """subscription ($filter: EventRecordsFilter!, $after: String) {
  eventRecords(filter: $filter, after: $after) {
    __typename
    ... on StreamBatch { endCursor headCursor caughtUp }
    ... on EventRecordBatch {
      fromPosition toPosition
      records { runId position eventType cursor jobName run { status } }
    }
    ... on CursorExpired { earliestCursor }
    ... on InputInvalid { path }
    ... on UserError { message }
  }
}"""

RUNS = {"eventTypes": ["RUN_STARTING", "RUN_START", "RUN_SUCCESS"]}


def at(api: Api, position: int) -> str:
    log_id = api.instance.storage.event_log_storage.get_instance_log_id()
    return str(Cursor(CursorScope.INSTANCE, log_id, position))


async def message_of(results: AsyncIterator[Any]) -> dict[str, Any]:
    async with asyncio.timeout(30):
        result = await anext(results)
    assert result.errors is None, result.errors
    message: dict[str, Any] = result.data["eventRecords"]
    return message


async def refusals(api: Api, **variables: Any) -> list[dict[str, Any]]:
    """The messages of a stream that ends by itself."""
    async with asyncio.timeout(30), api.subscription(FOLLOW, **variables) as results:
        return [result.data["eventRecords"] async for result in results]


def told(message: dict[str, Any]) -> list[str]:
    return [f"{record['runId']}:{record['eventType']}" for record in message["records"]]


def span(message: dict[str, Any]) -> tuple[int, int]:
    return message["fromPosition"], message["toPosition"]


async def test_history_comes_first_and_what_is_new_follows(api: Api) -> None:
    run = api.create_run("r1")
    api.store("r1", E.RUN_STARTING, None, E.ENGINE_EVENT)
    async with api.subscription(FOLLOW, filter=RUNS) as results:
        first = await message_of(results)
        assert first == {
            "__typename": "EventRecordBatch",
            "fromPosition": 0,
            "toPosition": 2,
            "endCursor": at(api, 2),
            "headCursor": at(api, 2),
            "caughtUp": True,
            "records": [
                {
                    "runId": "r1",
                    "position": 1,
                    "eventType": "RUN_STARTING",
                    "cursor": str(Cursor(CursorScope.RUN, run.log_id, 1)),
                    "jobName": "etl",
                    "run": {"status": "STARTING"},
                }
            ],
        }
        api.create_run("r2")
        api.store("r1", E.RUN_START)
        second = await message_of(results)
        assert (span(second), told(second)) == ((2, 4), ["r1:RUN_START"])
        assert second["records"][0]["run"] == {"status": "STARTED"}


async def test_a_client_resumes_by_its_last_cursor_and_gets_each_position_once(api: Api) -> None:
    for number in range(1, 31):
        api.add_managed_run(f"r{number}")
    got: list[str] = []
    cursor, position = None, 0
    for number in range(1, 31):
        api.store(f"r{number}", E.RUN_SUCCESS)
        if number % 10 == 0:
            async with api.subscription(FOLLOW, filter=RUNS, after=cursor) as results:
                while position < 30 + number:
                    message = await message_of(results)
                    assert message["fromPosition"] == position
                    got += told(message)
                    cursor, position = message["endCursor"], message["toPosition"]
    assert got == [f"r{number}:RUN_SUCCESS" for number in range(1, 31)]


async def test_from_the_head_only_what_is_new_comes(api: Api) -> None:
    api.add_managed_run("r1")
    api.store("r1", E.RUN_SUCCESS)
    api.add_managed_run("r2")
    async with api.subscription(FOLLOW, filter=RUNS, after="HEAD") as results:
        first = await message_of(results)
        assert (span(first), told(first), first["caughtUp"]) == ((3, 3), [], True)
        api.store("r2", E.RUN_SUCCESS)
        second = await message_of(results)
        assert (span(second), told(second)) == ((3, 4), ["r2:RUN_SUCCESS"])


async def test_what_does_not_match_is_covered_without_a_message_of_its_own(api: Api) -> None:
    api.add_managed_run("r1")
    wanted = {"eventTypes": ["ASSET_MATERIALIZATION"], "assetKeys": [["sales"]]}
    async with api.subscription(FOLLOW, filter=wanted) as results:
        assert span(await message_of(results)) == (0, 1)
        for key in ("stock", "other", "sales"):
            api.store("r1", E.ASSET_MATERIALIZATION, data=AssetEventData((key,)))
            await asyncio.sleep(0.02)
        message = await message_of(results)
        assert (span(message), told(message)) == ((1, 4), ["r1:ASSET_MATERIALIZATION"])


async def test_an_empty_batch_carries_the_cursors_from_time_to_time(api: Api) -> None:
    api.add_managed_run("r1")
    await api.instance_feed.close()
    api.instance_feed = InstanceFeed(api.instance.storage, api.lanes, checkpoint_seconds=0.01)
    await api.instance_feed.start()
    async with api.subscription(FOLLOW, filter=RUNS) as results:
        spans = [span(await message_of(results)) for _ in range(3)]
    assert spans == [(0, 1), (1, 1), (1, 1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a cursor"),
        ("\ud800", "is not a cursor"),
        (str(Cursor(CursorScope.RUN, "log", 1)), "belongs to the run scope"),
        (str(Cursor(CursorScope.INSTANCE, "log", 1)), "belongs to another log"),
        ("ahead", "the cursor is at 2, the log ends at 1"),
    ],
)
async def test_a_cursor_that_is_not_of_this_log_ends_the_stream(
    api: Api, text: str, message: str
) -> None:
    api.add_managed_run("r1")
    after = at(api, 2) if text == "ahead" else text
    (refusal,) = await refusals(api, filter=RUNS, after=after)
    assert refusal["__typename"] == "CursorInvalid"
    assert message in refusal["message"]


async def test_an_expired_cursor_is_told_with_the_earliest_one(api: Api) -> None:
    for number in range(1, 6):
        api.add_managed_run(f"r{number}")
    api.instance.storage.event_log_storage.purge_instance_log(3)
    (refusal,) = await refusals(api, filter=RUNS, after=at(api, 2))
    assert refusal["__typename"] == "CursorExpired"
    assert refusal["earliestCursor"] == at(api, 3)
    for after in (None, refusal["earliestCursor"]):
        async with api.subscription(FOLLOW, filter=RUNS, after=after) as results:
            assert span(await message_of(results)) == (3, 5)


async def test_an_event_type_outside_of_the_instance_wide_log_is_refused_by_name(api: Api) -> None:
    (refusal,) = await refusals(api, filter={"eventTypes": ["RUN_START", "LOGS_CAPTURED"]})
    assert refusal["__typename"] == "InputInvalid"
    assert refusal["path"] == ["filter", "eventTypes", "1"]
    assert refusal["message"].startswith("LOGS_CAPTURED is not in the instance-wide log")


async def test_a_storage_that_does_not_answer_ends_the_stream_with_an_error(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked() -> None:
        raise StorageUnavailableError("the file is locked")

    await api.instance_feed.close()
    api.instance_feed = InstanceFeed(api.instance.storage, api.lanes, give_up_seconds=0.05)
    await api.instance_feed.start()
    logs = api.instance.storage.event_log_storage
    monkeypatch.setattr(logs, "get_instance_log_span", locked)
    async with api.subscription(FOLLOW, filter=RUNS) as results:
        (result,) = [result async for result in results]
    assert result.errors[0].message == "the file is locked"
    assert result.errors[0].extensions == {"code": "UNAVAILABLE"}


async def test_a_stream_that_is_left_frees_the_tail(api: Api) -> None:
    async with api.subscription(FOLLOW, filter=RUNS) as results:
        await message_of(results)
        assert api.instance_feed._tail is not None
    assert api.instance_feed._tail is None


async def test_the_document_goes_on_from_a_page(api: Api) -> None:
    api.add_managed_run("r1")
    api.store("r1", E.RUN_SUCCESS)
    found = await api.ask(load_document("EventsPage"), filter=RUNS)
    after = found["eventRecords"]["pageInfo"]["endCursor"]
    api.add_managed_run("r2")
    api.store("r2", E.RUN_SUCCESS)
    async with api.subscription(load_document("WatchEvents"), filter=RUNS, after=after) as results:
        message = await message_of(results)
    assert (span(message), told(message)) == ((2, 4), ["r2:RUN_SUCCESS"])
