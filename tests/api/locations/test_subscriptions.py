"""`codeLocationChanges`: every location at once, then each change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from runwire.api.nodes import global_id
from runwire.documents import load_document
from runwire.snapshots import RepositorySnapshot
from tests.api.conftest import Api, FakeLocation, job

WATCH = load_document("WatchCodeLocations")


async def next_of(results: AsyncIterator[Any]) -> Any:
    """The next message of a stream."""
    async with asyncio.timeout(30):
        result = await anext(results)
    assert result.errors is None, result.errors
    return result.data["codeLocationChanges"]


async def test_every_location_comes_at_once_then_each_change(api: Api) -> None:
    async with api.subscription(WATCH) as results:
        first, second = await next_of(results), await next_of(results)
        assert [(each["type"], each["name"]) for each in (first, second)] == [
            ("CREATED", "here"),
            ("CREATED", "there"),
        ]
        assert first["deletedId"] is None
        assert first["changedAt"] == "2023-11-14T22:13:20.250000Z"
        assert first["codeLocation"]["id"] == global_id("CodeLocation", "here")
        assert first["codeLocation"]["status"] == "LOADED"

        api.workspace.get_location("there").fail()
        changed = await next_of(results)
        assert (changed["type"], changed["name"]) == ("UPDATED", "there")
        assert changed["codeLocation"]["loadError"]["message"] == "no such module"


async def test_locations_that_come_and_go_are_told(api: Api) -> None:
    async with api.subscription(WATCH) as results:
        for _ in range(2):
            await next_of(results)
        api.workspace.add(FakeLocation("new", main=["etl"]))
        created = await next_of(results)
        assert (created["type"], created["name"]) == ("CREATED", "new")
        assert created["codeLocation"]["status"] == "LOADED"

        api.workspace.remove("here")
        deleted = await next_of(results)
        assert (deleted["type"], deleted["name"]) == ("DELETED", "here")
        assert deleted["codeLocation"] is None
        assert deleted["deletedId"] == global_id("CodeLocation", "here")


async def test_what_was_loaded_for_one_message_is_not_shown_in_the_next(api: Api) -> None:
    document = """subscription { codeLocationChanges { codeLocation {
      repositories { jobs { recentRuns { origin { job { name } } } } } } } }"""
    api.create_run("r1")

    def jobs(change: Any) -> list[Any]:
        (repository,) = change["codeLocation"]["repositories"]
        return [run["origin"]["job"] for job in repository["jobs"] for run in job["recentRuns"]]

    async with api.subscription(document) as results:
        assert jobs(await next_of(results)) == [{"name": "etl"}]
        await next_of(results)
        api.add_run("r2", job_name="new", location_name="here", repository_name="main")
        main = RepositorySnapshot("main", (job("new"),))
        api.workspace.get_location("here").change(repositories=(main,))
        assert jobs(await next_of(results)) == [{"name": "new"}]


async def test_a_stream_that_is_left_ends_its_watch(api: Api) -> None:
    async with api.subscription(WATCH) as results:
        await next_of(results)
        assert len(api.workspace.watchers) == 1
    assert api.workspace.watchers == []
