"""`submitRun` and `launchRun`: every way in which handing a run over can end."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.documents import load_document
from runwire.errors import LaunchFailedError
from runwire.events import EventType
from runwire.runs import RunStatus
from tests.api.conftest import Api

FIELDS = {"SubmitRun": "submitRun", "LaunchRun": "launchRun"}


@pytest.fixture(params=FIELDS)
def operation(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


async def hand_over(api: Api, operation: str, **target: Any) -> Any:
    answer = await api.ask(load_document(operation), input={"target": target})
    return answer[FIELDS[operation]]


async def make(api: Api, operation: str, **new_run: Any) -> Any:
    return await hand_over(api, operation, newRun={"job": {"jobName": "etl"}, **new_run})


async def count(api: Api) -> int:
    total: int = (await api.ask("{ runs { totalCount } }"))["runs"]["totalCount"]
    return total


async def test_a_run_that_exists_is_handed_over(api: Api, operation: str) -> None:
    api.create_run("r1")
    answer = await hand_over(api, operation, runId="r1")
    assert (answer["__typename"], answer["created"]) == (f"{operation}Success", False)
    assert (answer["run"]["runId"], answer["run"]["status"]) == ("r1", "STARTING")
    assert api.launcher.launched == ["r1"]


async def test_a_run_is_made_and_handed_over(api: Api, operation: str) -> None:
    answer = await make(api, operation, runId="r1", tags=[{"key": "a", "value": "1"}])
    assert (answer["__typename"], answer["created"]) == (f"{operation}Success", True)
    assert answer["run"]["status"] == "STARTING"
    assert api.record("r1").run.requested_by == "ada"
    assert api.launcher.launched == ["r1"]


async def test_a_repeated_request_starts_one_worker(api: Api, operation: str) -> None:
    first = await make(api, operation, idempotencyKey="k")
    again = await make(api, operation, idempotencyKey="k")
    assert (again["__typename"], again["created"]) == (f"{operation}Success", False)
    assert again["run"]["runId"] == first["run"]["runId"]
    assert api.launcher.launched == [first["run"]["runId"]]


async def test_a_repeated_request_hands_over_what_the_first_only_made(
    api: Api, operation: str
) -> None:
    new_run = {"job": {"jobName": "etl"}, "idempotencyKey": "k"}
    made = await api.ask(load_document("CreateRun"), input={"newRun": new_run})
    assert made["createRun"]["run"]["status"] == "NOT_STARTED"
    answer = await make(api, operation, idempotencyKey="k")
    assert (answer["created"], answer["run"]["status"]) == (False, "STARTING")
    assert api.launcher.launched == [made["createRun"]["run"]["runId"]]


async def test_a_repeated_request_that_comes_second_is_answered_with_the_run(
    api: Api, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first request hands the run over after the second one looked at it."""
    new_run = {"job": {"jobName": "etl"}, "idempotencyKey": "k"}
    await api.ask(load_document("CreateRun"), input={"newRun": new_run})
    method = "submit_run" if operation == "SubmitRun" else "launch_run"
    original = getattr(api.instance, method)

    def overtaken(run_id: str, workspace: Any) -> Any:
        api.store(run_id, EventType.RUN_STARTING)
        return original(run_id, workspace)

    monkeypatch.setattr(api.instance, method, overtaken)
    answer = await make(api, operation, idempotencyKey="k")
    assert (answer["__typename"], answer["created"]) == (f"{operation}Success", False)
    assert answer["run"]["status"] == "STARTING"
    assert api.launcher.launched == []


@pytest.mark.parametrize("run_id", ["gone", "\ud800", ""])
async def test_an_unknown_run_is_refused(api: Api, operation: str, run_id: str) -> None:
    answer = await hand_over(api, operation, runId=run_id)
    assert answer["__typename"] == "RunNotFound"


async def test_the_id_that_was_asked_for_is_told(api: Api) -> None:
    document = """mutation { submitRun(input: {target: {runId: "gone"}}) {
      ... on RunNotFound { runId message } } }"""
    assert await api.ask(document) == {
        "submitRun": {
            "runId": "gone",
            "message": "there is no run 'gone'; list runs to see what there is",
        }
    }


async def test_a_run_in_another_status_is_refused(api: Api, operation: str) -> None:
    api.create_run("r1")
    await hand_over(api, operation, runId="r1")
    answer = await hand_over(api, operation, runId="r1")
    assert answer["__typename"] == "RunStateConflict"
    assert answer["run"] == {
        "id": answer["run"]["id"],
        "status": "STARTING",
        "actions": ["RESUME", "TERMINATE"],
    }
    wanted = ["NOT_STARTED"] if operation == "SubmitRun" else ["NOT_STARTED", "QUEUED"]
    assert answer["expectedStatuses"] == wanted
    assert api.launcher.launched == ["r1"]


async def test_a_run_whose_job_is_gone_is_refused(api: Api, operation: str) -> None:
    api.create_run("r1")
    del api.workspace.locations["here"]
    answer = await hand_over(api, operation, runId="r1")
    assert answer["__typename"] == "JobNotFound"
    assert api.record("r1").status is RunStatus.NOT_STARTED


async def test_a_location_that_is_not_loaded_is_told_of(api: Api, operation: str) -> None:
    api.create_run("r1")
    api.workspace.get_location("here").fail()
    answer = await hand_over(api, operation, runId="r1")
    assert answer["__typename"] == "CodeLocationUnavailable"
    assert api.record("r1").status is RunStatus.NOT_STARTED


async def test_a_job_in_two_places_is_refused(api: Api, operation: str) -> None:
    answer = await make(api, operation, job={"jobName": "both"})
    assert answer["__typename"] == "JobAmbiguous"
    assert len(answer["candidates"]) == 2
    assert await count(api) == 0


async def test_a_run_config_that_does_not_fit_is_refused(api: Api, operation: str) -> None:
    answer = await make(api, operation, runConfig={"bad": 1})
    assert answer["__typename"] == "RunConfigInvalid"
    assert await count(api) == 0


async def test_a_taken_run_id_is_refused(api: Api, operation: str) -> None:
    api.create_run("r1")
    answer = await make(api, operation, runId="r1")
    assert answer["__typename"] == "RunAlreadyExists"
    assert api.record("r1").status is RunStatus.NOT_STARTED


async def test_a_value_that_is_refused_is_told_with_the_way_to_it(api: Api, operation: str) -> None:
    answer = await make(api, operation, tags=[{"key": "", "value": ""}])
    assert (answer["__typename"], answer["path"]) == (
        "InputInvalid",
        ["input", "target", "newRun", "tags", "0", "key"],
    )
    assert await count(api) == 0


async def test_a_worker_that_cannot_be_started_fails_the_run(api: Api, operation: str) -> None:
    api.launcher.broken = OSError("no space left")
    answer = await make(api, operation, runId="r1")
    assert answer["__typename"] == "LaunchFailed"
    assert answer["run"] == {
        "id": answer["run"]["id"],
        "status": "FAILURE",
        "actions": ["REEXECUTE", "REEXECUTE_FROM_FAILURE", "DELETE"],
    }
    assert (answer["error"]["message"], answer["error"]["className"]) == (
        "no space left",
        "OSError",
    )
    assert api.record("r1").status is RunStatus.FAILURE


async def test_a_launcher_may_refuse_in_its_own_words(api: Api, operation: str) -> None:
    api.launcher.broken = LaunchFailedError("r1", "the pool is full")
    answer = await make(api, operation, runId="r1")
    assert answer["message"] == "no worker could be started for run 'r1': the pool is full"
    assert answer["error"] is None


async def test_a_refusal_whose_run_is_deleted_meanwhile_is_told_as_not_found(
    api: Api, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.create_run("r1")
    await hand_over(api, operation, runId="r1")
    runs = api.instance.storage.run_storage
    find = runs.find_run_record
    lookups = iter([find])

    def find_once(run_id: str) -> Any:
        return next(lookups, lambda _: None)(run_id)

    monkeypatch.setattr(runs, "find_run_record", find_once)
    answer = await hand_over(api, operation, runId="r1")
    assert answer["__typename"] == "RunNotFound"


async def test_a_location_that_goes_while_it_is_told_of_is_an_error_of_the_edge(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.create_run("r1")
    api.workspace.get_location("here").fail()
    monkeypatch.setattr(api.workspace, "list_locations", list)
    code, message = await api.refusal(load_document("SubmitRun"), input={"target": {"runId": "r1"}})
    assert code == "UNAVAILABLE"
    assert "code location 'here' is not available" in message


async def test_mutations_of_one_operation_see_each_other(api: Api) -> None:
    api.create_run("r1")
    document = """mutation {
      first: submitRun(input: {target: {runId: "r1"}}) {
        ... on SubmitRunSuccess { run { status stats { stepsInProgress } } } }
      second: terminateRun(input: {runId: "r1", policy: MARK_AS_CANCELED_IMMEDIATELY}) {
        ... on TerminateRunSuccess { run { status } } }
      third: deleteRun(input: {runId: "r1"}) { ... on DeleteRunSuccess { runId } }
      fourth: deleteRun(input: {runId: "r1"}) { __typename }
    }"""
    assert await api.ask(document) == {
        "first": {"run": {"status": "STARTING", "stats": {"stepsInProgress": 0}}},
        "second": {"run": {"status": "CANCELED"}},
        "third": {"runId": "r1"},
        "fourth": {"__typename": "RunNotFound"},
    }
