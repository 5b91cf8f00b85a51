"""`runEvents`: every position once and in order, the cursors of every batch, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from runwire.documents import load_document
from runwire.errors import CursorExpiredError, StorageUnavailableError
from runwire.events import Cursor, CursorScope, EventType
from runwire.events.payloads import AssetEventData, ExpectationData
from runwire.feed import RunFeed
from runwire.runs import RunRecord
from tests.api.conftest import Api

FOLLOW = load_document("FollowRun")

BARE = """
subscription($runId: ID!, $after: String, $filter: EventFilter) {
  runEvents(runId: $runId, after: $after, filter: $filter) {
    __typename
    ... on RunEventBatch {
      fromPosition toPosition endCursor headCursor caughtUp records { position } run { status }
    }
  }
}
"""


async def data_of(results: AsyncIterator[Any]) -> Any:
    """The next message of a stream."""
    async with asyncio.timeout(30):
        result = await anext(results)
    assert result.errors is None, result.errors
    return result.data["runEvents"]


async def messages(api: Api, document: str = FOLLOW, **variables: Any) -> list[Any]:
    """All messages of a stream that ends by itself."""
    async with asyncio.timeout(30), api.subscription(document, runId="r1", **variables) as results:
        found = [result async for result in results]
    assert [result.errors for result in found] == [None] * len(found)
    return [result.data["runEvents"] for result in found]


def positions(batches: list[Any]) -> list[int]:
    return [record["position"] for batch in batches for record in batch["records"]]


def assert_contiguous(batches: list[Any], after: int, until: int) -> None:
    """Every batch begins where the one before ended."""
    assert [batch["__typename"] for batch in batches] == ["RunEventBatch"] * len(batches)
    begins = [batch["fromPosition"] for batch in batches]
    ends = [batch["toPosition"] for batch in batches]
    assert begins == [after, *ends[:-1]]
    assert ends[-1] == until


def cursor(run: RunRecord, position: int) -> str:
    return str(Cursor(CursorScope.RUN, run.log_id, position))


async def test_a_finished_run_is_told_from_the_start_and_the_stream_completes(api: Api) -> None:
    run = api.add_managed_run("r1")
    api.store("r1", EventType.RUN_START, None, None, EventType.RUN_SUCCESS)
    batches = await messages(api)
    assert_contiguous(batches, 0, 4)
    assert positions(batches) == [1, 2, 3, 4]
    last = batches[-1]
    assert (last["endCursor"], last["headCursor"]) == (cursor(run, 4), cursor(run, 4))
    assert last["caughtUp"] is True
    assert last["run"]["status"] == "SUCCESS"


async def test_what_happens_is_told_as_it_happens(api: Api) -> None:
    run = api.add_managed_run("r1")
    api.store("r1", EventType.RUN_START)
    async with api.subscription(BARE, runId="r1") as results:
        first = await data_of(results)
        assert first == {
            "__typename": "RunEventBatch",
            "fromPosition": 0,
            "toPosition": 1,
            "endCursor": cursor(run, 1),
            "headCursor": cursor(run, 1),
            "caughtUp": True,
            "records": [{"position": 1}],
            "run": {"status": "MANAGED"},
        }
        api.store("r1", None)
        assert (await data_of(results))["records"] == [{"position": 2}]
        api.store("r1", EventType.RUN_FAILURE)
        last = await data_of(results)
        assert (last["records"], last["run"]) == ([{"position": 3}], {"status": "FAILURE"})
        with pytest.raises(StopAsyncIteration):
            await anext(results)


async def test_a_long_log_comes_in_batches_that_follow_each_other(api: Api) -> None:
    api.add_managed_run("r1")
    api.store("r1", *[None] * 2500)
    api.store("r1", EventType.RUN_SUCCESS)
    batches = await messages(api, BARE)
    assert_contiguous(batches, 0, 2501)
    assert positions(batches) == list(range(1, 2502))
    assert max(len(batch["records"]) for batch in batches) <= 1000
    assert [batch["caughtUp"] for batch in batches] == [False] * (len(batches) - 1) + [True]


async def test_a_stream_goes_on_after_a_cursor(api: Api) -> None:
    run = api.add_managed_run("r1")
    api.store("r1", None, None, None, EventType.RUN_SUCCESS)
    for position in range(5):
        batches = await messages(api, after=cursor(run, position))
        assert_contiguous(batches, position, 4)
        assert positions(batches) == list(range(position + 1, 5))


async def test_a_stream_that_is_broken_off_goes_on_where_it_was(api: Api) -> None:
    api.add_managed_run("r1")
    seen: list[int] = []
    after = None
    for _ in range(4):
        api.store("r1", *[None] * 30)
        async with api.subscription(BARE, runId="r1", after=after) as results:
            batch = await data_of(results)
        seen += [record["position"] for record in batch["records"]]
        after = batch["endCursor"]
    assert seen == list(range(1, 121))


async def test_head_means_only_what_is_new(api: Api) -> None:
    run = api.add_managed_run("r1")
    api.store("r1", None, None)
    async with api.subscription(BARE, runId="r1", after="HEAD") as results:
        first = await data_of(results)
        assert (first["records"], first["endCursor"]) == ([], cursor(run, 2))
        assert first["caughtUp"] is True
        api.store("r1", EventType.RUN_SUCCESS)
        assert (await data_of(results))["records"] == [{"position": 3}]


async def test_head_of_a_run_without_events_is_before_its_first_one(api: Api) -> None:
    run = api.add_managed_run("r1")
    async with api.subscription(BARE, runId="r1", after="HEAD") as results:
        first = await data_of(results)
        assert (first["toPosition"], first["endCursor"]) == (0, cursor(run, 0))
        api.store("r1", EventType.RUN_SUCCESS)
        assert (await data_of(results))["records"] == [{"position": 1}]


@pytest.mark.parametrize(
    ("filter", "wanted"),
    [
        ({"typed": False}, [2, 3]),
        ({"eventTypes": ["RUN_SUCCESS"]}, [4]),
        ({"text": "nothing like it"}, []),
    ],
)
async def test_a_filtered_stream_still_proves_that_it_missed_nothing(
    api: Api, filter: dict[str, Any], wanted: list[int]
) -> None:
    api.add_managed_run("r1")
    api.store("r1", EventType.RUN_START, None, None, EventType.RUN_SUCCESS)
    batches = await messages(api, filter=filter)
    assert_contiguous(batches, 0, 4)
    assert positions(batches) == wanted
    assert batches[-1]["run"]["status"] == "SUCCESS"


async def test_an_empty_batch_carries_the_cursors_while_nothing_happens(api: Api) -> None:
    run = api.add_managed_run("r1")
    api.store("r1", None)
    await api.feed.close()
    api.feed = RunFeed(api.instance.storage, api.lanes, checkpoint_seconds=0.01)
    await api.feed.start()
    async with api.subscription(BARE, runId="r1") as results:
        await data_of(results)
        for _ in range(2):
            assert await data_of(results) == {
                "__typename": "RunEventBatch",
                "fromPosition": 1,
                "toPosition": 1,
                "endCursor": cursor(run, 1),
                "headCursor": cursor(run, 1),
                "caughtUp": True,
                "records": [],
                "run": {"status": "MANAGED"},
            }


# ------------------------------------------------------------ the run in each batch


STATS = """
subscription($after: String) { runEvents(runId: "r1", after: $after) { ... on RunEventBatch {
  toPosition
  run { stats {
    stepsPlanned stepsInProgress stepsSucceeded stepsFailed stepsSkipped materializations expectations
  } }
  records { run { stats { stepsSucceeded } } }
} } }
"""


def stats(api: Api) -> dict[str, int]:
    """The statistics as the storage counts them."""
    counts = api.instance.storage.event_log_storage.get_run_stats(api.record("r1"))
    return {
        "stepsPlanned": counts.planned,
        "stepsInProgress": counts.in_progress,
        "stepsSucceeded": counts.succeeded,
        "stepsFailed": counts.failed,
        "stepsSkipped": counts.skipped,
        "materializations": counts.materializations,
        "expectations": counts.expectations,
    }


LIFE: list[tuple[EventType | None, dict[str, Any]]] = [
    (EventType.RUN_STARTING, {}),
    (EventType.RUN_START, {}),
    (EventType.STEP_START, {"step_key": "load"}),
    (None, {"step_key": "named by a line only"}),
    (EventType.STEP_UP_FOR_RETRY, {"step_key": "load"}),
    (EventType.STEP_RESTARTED, {"step_key": "load"}),
    (EventType.ASSET_MATERIALIZATION, {"step_key": "load", "data": AssetEventData(("a",))}),
    (EventType.ASSET_MATERIALIZATION, {"data": AssetEventData(("b",))}),
    (EventType.STEP_EXPECTATION_RESULT, {"step_key": "load", "data": ExpectationData(True)}),
    (EventType.STEP_SUCCESS, {"step_key": "load"}),
    (EventType.STEP_START, {"step_key": "x"}),
    (EventType.STEP_FAILURE, {"step_key": "x"}),
    (EventType.STEP_SKIPPED, {"step_key": "y"}),
    (EventType.STEP_START, {"step_key": "report"}),
    (EventType.RUN_FAILURE, {}),
]


@pytest.mark.parametrize("start", [0, 3, 6, 12])
async def test_statistics_go_along_with_the_stream(
    api: Api, monkeypatch: pytest.MonkeyPatch, start: int
) -> None:
    """They are those that the storage would count, without asking it for each batch."""
    run = api.create_run("r1")
    for event_type, values in LIFE[:start]:
        api.store("r1", event_type, **values)
    after = cursor(run, start) if start else None
    async with api.subscription(STATS, after=after) as results:
        batch = await data_of(results)
        assert batch["run"]["stats"] == stats(api)
        for position, (event_type, values) in enumerate(LIFE[start:], start + 1):
            api.store("r1", event_type, **values)
            wanted = stats(api)
            with monkeypatch.context() as patch:
                patch.setattr(api.instance.storage.event_log_storage, "get_run_stats", None)
                batch = await data_of(results)
            assert batch["toPosition"] == position
            assert batch["run"]["stats"] == wanted
            (record,) = batch["records"]
            assert record["run"]["stats"]["stepsSucceeded"] == wanted["stepsSucceeded"]


async def test_a_stream_without_statistics_counts_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = api.add_managed_run("r1")
    api.store("r1", *[None] * 10)
    logs = api.instance.storage.event_log_storage
    reads: list[int] = []
    original = logs.get_records

    def get_records(*args: Any, **kwargs: Any) -> Any:
        reads.append(kwargs.get("after", 0))
        return original(*args, **kwargs)

    monkeypatch.setattr(logs, "get_records", get_records)
    async with api.subscription(BARE, runId="r1", after=cursor(run, 10)) as results:
        await data_of(results)
    assert reads == []


async def test_what_was_loaded_for_one_batch_is_not_shown_in_the_next(api: Api) -> None:
    document = """subscription { runEvents(runId: "r1") { ... on RunEventBatch {
      run { origin { job { name } } } } } }"""
    api.create_run("r1")
    async with api.subscription(document) as results:
        assert (await data_of(results))["run"]["origin"] == {"job": {"name": "etl"}}
        api.workspace.get_location("here").fail()
        api.store("r1", None)
        assert (await data_of(results))["run"]["origin"] == {"job": None}


# ------------------------------------------------------------ refusals


@pytest.mark.parametrize("run_id", ["gone", "\ud800"])
async def test_an_unknown_run_is_told_of_and_ends_the_stream(api: Api, run_id: str) -> None:
    document = """subscription($runId: ID!) { runEvents(runId: $runId) {
      __typename ... on RunNotFound { message runId } } }"""
    async with asyncio.timeout(30), api.subscription(document, runId=run_id) as results:
        (result,) = [result async for result in results]
    shown = run_id.encode("utf-8", "backslashreplace").decode()
    assert result.data["runEvents"]["__typename"] == "RunNotFound"
    assert result.data["runEvents"]["runId"] == shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a cursor"),
        ("head", "'head' is not a cursor"),
        ("\ud800", "is not a cursor"),
        (str(Cursor(CursorScope.INSTANCE, "log", 1)), "belongs to the instance scope"),
        (str(Cursor(CursorScope.RUN, "log", 1)), "belongs to another log"),
        ("ahead", "the cursor is at 3, the log ends at 2"),
    ],
)
async def test_a_cursor_that_is_not_of_this_log_ends_the_stream(
    api: Api, text: str, message: str
) -> None:
    run = api.add_managed_run("r1")
    api.store("r1", None, None)
    (refusal,) = await messages(api, after=cursor(run, 3) if text == "ahead" else text)
    assert refusal["__typename"] == "CursorInvalid"
    assert message in refusal["message"]


async def test_a_cursor_of_a_run_that_was_made_again_ends_the_stream(api: Api) -> None:
    old = cursor(api.add_managed_run("r1"), 1)
    api.instance.terminate_run("r1", api.workspace)
    api.instance.delete_run("r1", api.workspace)
    api.add_managed_run("r1")
    api.store("r1", None, None)
    (refusal,) = await messages(api, after=old)
    assert refusal["__typename"] == "CursorInvalid"


async def test_an_expired_cursor_is_told_with_the_earliest_one(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def expired(*args: Any) -> None:
        raise CursorExpiredError("earliest")

    api.add_managed_run("r1")
    monkeypatch.setattr(Cursor, "position_in", expired)
    assert await messages(api, after="any") == [
        {
            "__typename": "CursorExpired",
            "earliestCursor": "earliest",
            "message": "what follows the cursor is deleted; start from the earliest cursor",
        }
    ]


async def test_a_run_that_is_deleted_while_it_is_followed_ends_the_stream(api: Api) -> None:
    api.create_run("r1")
    api.store("r1", None)
    async with api.subscription(FOLLOW, runId="r1") as results:
        assert (await data_of(results))["__typename"] == "RunEventBatch"
        api.instance.delete_run("r1", api.workspace)
        assert (await data_of(results))["__typename"] == "RunNotFound"
        with pytest.raises(StopAsyncIteration):
            await anext(results)


async def test_a_filter_that_is_refused_is_an_invalid_argument(api: Api) -> None:
    api.add_managed_run("r1")
    async with api.subscription(BARE, runId="r1", filter={"text": "\ud800"}) as results:
        (result,) = [result async for result in results]
    assert result.errors[0].extensions == {
        "code": "INVALID_ARGUMENT",
        "argument": ["filter", "text"],
    }


async def test_a_storage_that_does_not_answer_ends_the_stream_with_an_error(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(run_id: str) -> None:
        raise StorageUnavailableError("the file is locked")

    monkeypatch.setattr(api.instance.storage, "get_run_record", locked)
    async with api.subscription(BARE, runId="r1") as results:
        (result,) = [result async for result in results]
    assert result.errors[0].message == "the file is locked"
    assert result.errors[0].extensions == {"code": "UNAVAILABLE"}


async def test_a_stream_that_is_left_frees_its_tail(api: Api) -> None:
    api.add_managed_run("r1")
    api.store("r1", None)
    async with api.subscription(BARE, runId="r1") as results:
        await data_of(results)
        assert len(api.feed._tails) == 1
    assert len(api.feed._tails) == 0
