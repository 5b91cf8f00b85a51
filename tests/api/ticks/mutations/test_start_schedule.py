"""`startSchedule`."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.documents import load_document
from runwire.ticks import TickSourceStatus
from runwire.workspace import CodeLocationStatus
from tests.api.conftest import Api

NIGHTLY = {"schedule": {"scheduleName": "nightly"}}


async def start(api: Api, input: dict[str, Any] = NIGHTLY) -> dict[str, Any]:
    answer: dict[str, Any] = await api.ask(load_document("StartSchedule"), input=input)
    return dict(answer["startSchedule"])


async def test_a_schedule_that_is_started_twice_runs_since_the_first_time(api: Api) -> None:
    origin = api.schedule("nightly")
    first = await start(api)
    assert first["schedule"]["status"] == "RUNNING"
    state = api.instance.storage.schedule_storage.get_tick_source(origin.source_id)
    assert (state.status, state.by_default) == (TickSourceStatus.RUNNING, False)
    assert await start(api) == first
    assert api.instance.storage.schedule_storage.get_tick_source(origin.source_id) == state


async def test_one_that_its_default_started_stays_when_the_default_changes(api: Api) -> None:
    origin = api.schedule("nightly", starts_running=True)
    schedules = api.instance.storage.schedule_storage
    schedules.add_tick_source(origin, TickSourceStatus.RUNNING, at=5.0, by_default=True)
    assert (await start(api))["schedule"]["runningSince"] == "1970-01-01T00:00:05Z"
    assert not schedules.get_tick_source(origin.source_id).by_default


async def test_one_that_is_kept_and_defined_no_more_is_not_found(api: Api) -> None:
    api.tick("nightly", 1_700_000_000.0)
    api.workspace.get_location("here").schedule()
    assert await start(api) == {
        "__typename": "ScheduleNotFound",
        "message": "there is no schedule 'nightly'; no schedule is loaded there",
    }


@pytest.mark.parametrize(
    "input", [NIGHTLY, {"schedule": {"scheduleName": "nightly", "locationName": "here"}}]
)
async def test_one_that_may_be_in_what_is_not_loaded_is_unavailable(
    api: Api, input: dict[str, Any]
) -> None:
    api.workspace.get_location("here").fail()
    refused = await start(api, input)
    assert refused["__typename"] == "CodeLocationUnavailable"
    assert (
        refused["message"] == "code location 'here' is not available: it is FAILED (no such module)"
    )


async def test_what_a_location_had_loaded_before_it_failed_is_not_started(api: Api) -> None:
    origin = api.schedule("nightly")
    api.workspace.get_location("here").change(status=CodeLocationStatus.FAILED)
    assert (await start(api))["__typename"] == "CodeLocationUnavailable"
    assert api.instance.storage.schedule_storage.find_tick_source(origin.source_id) is None


async def test_an_ambiguous_name_is_refused_with_its_places(api: Api) -> None:
    api.schedule("nightly")
    there = api.workspace.get_location("there")
    there.schedule(*api.workspace.get_location("here").state.repositories[0].schedules)
    refused = await start(api)
    assert (refused["__typename"], refused["path"]) == ("InputInvalid", ["input", "schedule"])
    assert "here/main, there/main" in refused["message"]
    named = {"scheduleName": "nightly", "locationName": "there", "repositoryName": "main"}
    assert (await start(api, {"schedule": named}))["schedule"]["locationName"] == "there"
