"""`stopSchedule`."""

from __future__ import annotations

from typing import Any

from runwire.documents import load_document
from runwire.ticks import TickSourceStatus
from tests.api.conftest import Api

NOON = 1_699_963_200.0


async def stop(api: Api, name: str = "nightly") -> dict[str, Any]:
    wanted = {"schedule": {"scheduleName": name}}
    answer: dict[str, Any] = await api.ask(load_document("StopSchedule"), input=wanted)
    return dict(answer["stopSchedule"])


async def test_a_stopped_schedule_keeps_its_ticks(api: Api) -> None:
    tick = api.tick("nightly", NOON)
    stopped = await stop(api)
    assert (stopped["schedule"]["status"], stopped["schedule"]["runningSince"]) == ("STOPPED", None)
    assert await stop(api) == stopped
    ticks = api.instance.storage.schedule_storage.get_ticks(tick.source_id, limit=9).ticks
    assert ticks == [tick]


async def test_one_that_runs_by_default_and_was_never_started_stays_stopped(api: Api) -> None:
    origin = api.schedule("nightly", starts_running=True)
    assert (await stop(api))["schedule"]["status"] == "STOPPED"
    state = api.instance.storage.schedule_storage.get_tick_source(origin.source_id)
    assert (state.status, state.by_default) == (TickSourceStatus.STOPPED, False)


async def test_one_that_runs_though_it_is_not_loaded_is_stopped(api: Api) -> None:
    api.tick("nightly", NOON)
    api.workspace.remove("here")
    assert (await stop(api))["schedule"]["status"] == "STOPPED"


async def test_one_that_is_nowhere_is_told_with_those_that_there_are(api: Api) -> None:
    api.schedule("nightly")
    refused = await stop(api, "nigthly")
    assert refused == {
        "__typename": "ScheduleNotFound",
        "message": "there is no schedule 'nigthly'; there are: nightly",
    }
