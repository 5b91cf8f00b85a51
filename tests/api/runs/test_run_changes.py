"""`runs`: the runs that match a filter as they come, change and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from runwire.api.nodes import global_id
from runwire.documents import load_document
from runwire.events import Cursor, CursorScope, EventType
from tests.api.conftest import Api

E = EventType

FOLLOW = """subscription ($filter: RunsFilter, $after: String) {
  runs(filter: $filter, after: $after) {
    __typename
    ... on StreamBatch { endCursor headCursor caughtUp }
    ... on RunChangeBatch {
      fromPosition toPosition
      changes {
        type runId deletedId matchesFilter
        record { eventType position run { runId } }
        run { runId status tags { key value } }
      }
    }
    ... on CursorExpired { earliestCursor }
    ... on InputInvalid { path }
    ... on UserError { message }
  }
}"""


def at(api: Api, position: int) -> str:
    log_id = api.instance.storage.event_log_storage.get_instance_log_id()
    return str(Cursor(CursorScope.INSTANCE, log_id, position))


async def message_of(results: AsyncIterator[Any]) -> dict[str, Any]:
    async with asyncio.timeout(30):
        result = await anext(results)
    assert result.errors is None, result.errors
    message: dict[str, Any] = result.data["runs"]
    return message


async def changes_to(results: AsyncIterator[Any], position: int) -> list[dict[str, Any]]:
    """The changes up to a position, whose ranges must follow one another."""
    changes: list[dict[str, Any]] = []
    end: int | None = None
    while end is None or end < position:
        message = await message_of(results)
        assert end is None or message["fromPosition"] == end
        end = message["toPosition"]
        changes += message["changes"]
    return changes


def told(changes: list[dict[str, Any]]) -> list[tuple[str, str, bool]]:
    return [(change["type"], change["runId"], change["matchesFilter"]) for change in changes]


async def refusals(api: Api, **variables: Any) -> list[dict[str, Any]]:
    async with asyncio.timeout(30), api.subscription(FOLLOW, **variables) as results:
        return [result.data["runs"] async for result in results]


async def test_every_change_of_a_run_is_told_with_the_run_as_it_is(api: Api) -> None:
    async with api.subscription(FOLLOW) as results:
        first = await message_of(results)
        assert (first["fromPosition"], first["toPosition"], first["changes"]) == (0, 0, [])
        assert (first["endCursor"], first["headCursor"]) == (at(api, 0), at(api, 0))
        api.create_run("r1")
        (made,) = await changes_to(results, 1)
        assert made == {
            "type": "CREATED",
            "runId": "r1",
            "deletedId": None,
            "matchesFilter": True,
            "record": None,
            "run": {"runId": "r1", "status": "NOT_STARTED", "tags": made["run"]["tags"]},
        }
        api.store("r1", E.RUN_STARTING)
        (started,) = await changes_to(results, 2)
        assert started["type"] == "UPDATED"
        assert started["record"] == {
            "eventType": "RUN_STARTING",
            "position": 1,
            "run": {"runId": "r1"},
        }
        assert started["run"]["status"] == "STARTING"
        api.instance.add_run_tags("r1", [("team", "a")])
        (tagged,) = await changes_to(results, 3)
        assert (tagged["type"], tagged["record"]) == ("UPDATED", None)
        assert {"key": "team", "value": "a"} in tagged["run"]["tags"]
        api.store("r1", None, E.STEP_FAILURE, step_key="load")
        api.instance.storage.delete_run("r1")
        (gone,) = await changes_to(results, 5)
        assert gone == {
            "type": "DELETED",
            "runId": "r1",
            "deletedId": global_id("Run", "r1"),
            "matchesFilter": False,
            "record": None,
            "run": None,
        }


async def test_a_run_comes_into_a_filter_and_leaves_it(api: Api) -> None:
    api.add_run("other", job_name="other")
    wanted = {"jobNames": ["etl"], "statuses": ["STARTED"]}
    async with api.subscription(FOLLOW, filter=wanted, after="HEAD") as results:
        assert (await message_of(results))["changes"] == []
        api.create_run("r1")
        api.store("other", E.RUN_STARTING, E.RUN_START, E.RUN_SUCCESS)
        api.store("r1", E.RUN_STARTING, E.RUN_START)
        changes = await changes_to(results, 7)
        assert {change["runId"] for change in changes} == {"r1"}
        assert told(changes)[-1] == ("UPDATED", "r1", True)
        api.store("r1", E.RUN_SUCCESS)
        (left,) = await changes_to(results, 8)
        assert told([left]) == [("UPDATED", "r1", False)]
        assert left["run"]["status"] == "SUCCESS"
        api.instance.add_run_tags("r1", [("team", "a")])
        api.create_run("r2")
        api.store("r2", E.RUN_STARTING, E.RUN_START)
        assert {change["runId"] for change in await changes_to(results, 12)} == {"r2"}


async def test_a_page_and_the_stream_after_its_head_cursor_leave_no_gap(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happens while the page is read, the stream tells of it."""
    api.create_run("before")
    storage = api.instance.storage.run_storage
    read = storage.get_run_records

    def reading(*args: Any, **options: Any) -> Any:
        page = read(*args, **options)
        if "between" not in seen:
            seen.append("between")
            api.create_run("between")
            api.store("before", E.RUN_STARTING)
        return page

    seen: list[str] = []
    monkeypatch.setattr(storage, "get_run_records", reading)
    page = (await api.ask("{ runs { headCursor nodes { runId status } } }"))["runs"]
    assert page["nodes"] == [{"runId": "before", "status": "NOT_STARTED"}]
    assert page["headCursor"] == at(api, 1)
    async with api.subscription(FOLLOW, after=page["headCursor"]) as results:
        changes = await changes_to(results, 3)
    assert told(changes) == [("CREATED", "between", True), ("UPDATED", "before", True)]


async def test_the_head_is_read_before_the_page(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    runs, logs = api.instance.storage.run_storage, api.instance.storage.event_log_storage
    page, span = runs.get_run_records, logs.get_instance_log_span

    def noted(name: str, call: Any) -> Any:
        def noting(*args: Any, **options: Any) -> Any:
            order.append(name)
            return call(*args, **options)

        return noting

    monkeypatch.setattr(runs, "get_run_records", noted("page", page))
    monkeypatch.setattr(logs, "get_instance_log_span", noted("head", span))
    await api.ask("query { runs { ...Head } } fragment Head on RunConnection { headCursor }")
    assert order == ["head", "page"]
    order.clear()
    await api.ask("{ runs { nodes { runId } } }")
    assert order == ["page"]


async def test_the_documents_of_the_list_and_its_changes_fit_together(api: Api) -> None:
    api.create_run("r1")
    page = await api.ask(load_document("RunsPage"))
    after = page["runs"]["headCursor"]
    api.store("r1", E.RUN_STARTING, E.RUN_START)
    async with api.subscription(load_document("WatchRuns"), after=after) as results:
        message = await message_of(results)
    assert (message["fromPosition"], message["toPosition"]) == (1, 3)
    assert [change["run"]["status"] for change in message["changes"]] == ["STARTED"] * 2
    (row,) = [edge["node"] for edge in page["runs"]["edges"]]
    assert set(message["changes"][0]["run"]) <= set(row)


async def test_a_client_resumes_by_its_last_cursor(api: Api) -> None:
    api.create_run("r1")
    async with api.subscription(FOLLOW) as results:
        cursor = (await message_of(results))["endCursor"]
    api.create_run("r2")
    async with api.subscription(FOLLOW, after=cursor) as results:
        message = await message_of(results)
    assert (message["fromPosition"], message["toPosition"]) == (1, 2)
    assert told(message["changes"]) == [("CREATED", "r2", True)]


async def test_a_cursor_of_another_log_ends_the_stream(api: Api) -> None:
    run = api.create_run("r1")
    for cursor in ("nonsense", str(Cursor(CursorScope.RUN, run.log_id, 0)), at(api, 2)):
        (refusal,) = await refusals(api, after=cursor)
        assert refusal["__typename"] == "CursorInvalid"


async def test_an_expired_cursor_ends_the_stream(api: Api) -> None:
    for number in range(3):
        api.create_run(f"r{number}")
    api.instance.storage.event_log_storage.purge_instance_log(2)
    (refusal,) = await refusals(api, after=at(api, 1))
    assert refusal["__typename"] == "CursorExpired"
    assert refusal["earliestCursor"] == at(api, 2)


async def test_a_filter_that_is_refused_ends_the_stream(api: Api) -> None:
    (refusal,) = await refusals(api, filter={"jobNames": ["\ud800"]})
    assert refusal["__typename"] == "InputInvalid"
    assert refusal["path"] == ["filter", "jobNames", "0"]


async def test_a_stream_that_is_left_frees_the_tail(api: Api) -> None:
    async with api.subscription(FOLLOW) as results:
        await message_of(results)
        assert api.instance_feed._tail is not None
    assert api.instance_feed._tail is None
