"""`terminateRun`: every way in which it can end."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.documents import load_document
from runwire.events import EventType
from runwire.runs import RunStatus
from tests.api.conftest import Api


async def terminate(api: Api, run_id: str, **input: Any) -> Any:
    answer = await api.ask(load_document("TerminateRun"), input={"runId": run_id, **input})
    return answer["terminateRun"]


async def test_a_run_without_a_worker_is_canceled(api: Api) -> None:
    api.create_run("r1")
    answer = await terminate(api, "r1")
    assert (answer["__typename"], answer["run"]["status"]) == ("TerminateRunSuccess", "CANCELED")


async def test_a_live_worker_is_asked(api: Api) -> None:
    api.create_run("r1")
    api.store("r1", EventType.RUN_STARTING, EventType.RUN_START)
    answer = await terminate(api, "r1")
    assert answer["run"]["status"] == "CANCELING"


async def test_a_run_is_marked_as_canceled_without_asking(api: Api) -> None:
    api.create_run("r1")
    api.store("r1", EventType.RUN_STARTING, EventType.RUN_START)
    api.launcher.reachable = False
    answer = await terminate(api, "r1", policy="MARK_AS_CANCELED_IMMEDIATELY")
    assert answer["run"]["status"] == "CANCELED"


async def test_a_worker_that_cannot_be_asked_is_told_of(api: Api) -> None:
    api.create_run("r1")
    api.store("r1", EventType.RUN_STARTING, EventType.RUN_START)
    api.launcher.reachable = False
    answer = await terminate(api, "r1")
    assert answer["__typename"] == "TerminateFailed"
    assert answer["message"] == (
        "the worker of run 'r1' could not be asked to stop: code location 'here' is not available: it is gone;"
        " MARK_AS_CANCELED_IMMEDIATELY ends the run without it"
    )
    assert answer["run"]["status"] == "STARTED"
    assert api.record("r1").status is RunStatus.STARTED


async def test_a_run_that_has_ended_is_refused(api: Api) -> None:
    api.add_managed_run("r1")
    api.store("r1", EventType.RUN_SUCCESS)
    answer = await terminate(api, "r1")
    assert answer["__typename"] == "RunStateConflict"
    assert answer["run"]["status"] == "SUCCESS"
    assert answer["expectedStatuses"] == [
        "NOT_STARTED",
        "QUEUED",
        "MANAGED",
        "STARTING",
        "STARTED",
        "CANCELING",
    ]
    assert len(api.log("r1")) == 1


@pytest.mark.parametrize("run_id", ["gone", "\ud800"])
async def test_an_unknown_run_is_refused(api: Api, run_id: str) -> None:
    assert (await terminate(api, run_id))["__typename"] == "RunNotFound"
