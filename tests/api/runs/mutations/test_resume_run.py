"""`resumeRun`: every way in which it can end."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.documents import load_document
from runwire.events import EventType
from runwire.runs import RunStatus
from tests.api.conftest import Api


async def resume(api: Api, run_id: str, **input: Any) -> Any:
    answer = await api.ask(load_document("ResumeRun"), input={"runId": run_id, **input})
    return answer["resumeRun"]


@pytest.fixture
def started(api: Api) -> str:
    """A run whose worker is gone."""
    api.create_run("r1")
    api.instance.launch_run("r1", api.workspace)
    api.store("r1", EventType.RUN_START)
    api.launcher.alive = False
    return "r1"


def facts(api: Api, run_id: str) -> tuple[Any, ...]:
    """What a refusal leaves as it was."""
    record = api.record(run_id)
    return record, len(api.log(run_id)), list(api.launcher.resumed)


async def test_a_run_gets_a_new_worker(api: Api, started: str) -> None:
    epoch = api.record(started).worker_epoch
    answer = await resume(api, started)
    assert answer["__typename"] == "ResumeRunSuccess"
    assert (answer["run"]["runId"], answer["run"]["status"]) == ("r1", "STARTED")
    assert answer["run"]["stats"]["resumeAttempts"] == 1
    assert api.launcher.resumed == [("r1", 1)]
    assert api.record(started).worker_epoch == epoch + 1


async def test_attempts_are_counted_and_may_be_numbered(api: Api, started: str) -> None:
    for attempt in (1, 2, 3):
        answer = await resume(api, started, attemptNumber=attempt)
        assert answer["run"]["stats"]["resumeAttempts"] == attempt
    assert api.launcher.resumed == [("r1", 1), ("r1", 2), ("r1", 3)]


@pytest.mark.parametrize("attempt", [-1, 0, 1, 3])
async def test_an_attempt_that_is_not_the_next_is_refused(
    api: Api, started: str, attempt: int
) -> None:
    await resume(api, started, attemptNumber=1)
    before = facts(api, started)
    answer = await resume(api, started, attemptNumber=attempt)
    assert answer["__typename"] == "RunStateConflict"
    assert answer["expectedStatuses"] == ["STARTING", "STARTED", "CANCELING"]
    assert answer["run"]["status"] == "STARTED"
    assert "the next attempt is 2" in answer["message"]
    assert facts(api, started) == before


async def test_a_run_that_nobody_launched_is_refused(api: Api) -> None:
    api.create_run("r1")
    before = facts(api, "r1")
    answer = await resume(api, "r1")
    assert answer["__typename"] == "RunStateConflict"
    assert answer["run"]["actions"] == ["SUBMIT", "LAUNCH", "TERMINATE", "DELETE"]
    assert facts(api, "r1") == before


async def test_a_worker_that_was_only_just_started_is_not_replaced_unasked(
    api: Api, started: str
) -> None:
    await resume(api, started)
    api.launcher.alive = True
    before = facts(api, started)
    answer = await resume(api, started)
    assert answer["__typename"] == "RunStateConflict"
    assert "attempt 1 is running" in answer["message"]
    assert facts(api, started) == before


@pytest.mark.parametrize("run_id", ["gone", "\ud800", ""])
async def test_an_unknown_run_is_refused(api: Api, run_id: str) -> None:
    assert (await resume(api, run_id))["__typename"] == "RunNotFound"


async def test_a_location_that_is_not_loaded_is_told_of(api: Api, started: str) -> None:
    api.workspace.get_location("here").fail()
    before = facts(api, started)
    answer = await resume(api, started)
    assert answer["__typename"] == "CodeLocationUnavailable"
    assert "code location 'here' is not available" in answer["message"]
    assert facts(api, started) == before


@pytest.mark.parametrize("alive", [False, True], ids=["dead", "alive"])
@pytest.mark.parametrize("gone", ["location", "job"])
async def test_a_run_whose_job_is_gone_is_refused(
    api: Api, started: str, gone: str, alive: bool
) -> None:
    if gone == "location":
        api.workspace.remove("here")
    else:
        api.workspace.get_location("here").change(repositories=())
    api.launcher.alive = alive
    before = facts(api, started)
    assert await resume(api, started) == {
        "__typename": "JobNotFound",
        "message": "there is no job 'etl' in repository 'main' of code location 'here';"
        " no job is loaded there",
    }
    assert facts(api, started) == before


async def test_a_worker_that_cannot_be_started_fails_the_run(api: Api, started: str) -> None:
    api.launcher.broken = OSError("no space left")
    answer = await resume(api, started)
    assert answer["__typename"] == "LaunchFailed"
    assert answer["run"]["status"] == "FAILURE"
    assert (answer["error"]["message"], answer["error"]["className"]) == (
        "no space left",
        "OSError",
    )
    assert api.record(started).status is RunStatus.FAILURE
