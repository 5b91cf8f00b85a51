"""`deleteRun`: every way in which it can end."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.api.nodes import global_id
from runwire.documents import load_document
from runwire.events import EventType
from tests.api.conftest import Api


async def delete(api: Api, run_id: str, **input: Any) -> Any:
    answer = await api.ask(load_document("DeleteRun"), input={"runId": run_id, **input})
    return answer["deleteRun"]


async def test_a_run_is_deleted(api: Api) -> None:
    api.create_run("r1")
    assert await delete(api, "r1") == {
        "__typename": "DeleteRunSuccess",
        "runId": "r1",
        "deletedId": global_id("Run", "r1"),
    }
    assert api.instance.get_run_by_id("r1") is None


async def test_a_run_that_has_not_ended_is_refused(api: Api) -> None:
    api.create_run("r1")
    api.store("r1", EventType.RUN_STARTING, EventType.RUN_START)
    answer = await delete(api, "r1")
    assert answer["__typename"] == "RunStateConflict"
    assert answer["run"]["status"] == "STARTED"
    assert answer["expectedStatuses"] == ["NOT_STARTED", "SUCCESS", "FAILURE", "CANCELED"]
    assert len(api.log("r1")) == 2


async def test_a_run_that_has_not_ended_is_deleted_by_force(api: Api) -> None:
    api.create_run("r1")
    api.store("r1", EventType.RUN_STARTING, EventType.RUN_START)
    assert (await delete(api, "r1", force=True))["__typename"] == "DeleteRunSuccess"
    assert api.instance.get_run_by_id("r1") is None


@pytest.mark.parametrize("run_id", ["gone", "\ud800"])
async def test_an_unknown_run_is_refused(api: Api, run_id: str) -> None:
    assert (await delete(api, run_id))["__typename"] == "RunNotFound"
