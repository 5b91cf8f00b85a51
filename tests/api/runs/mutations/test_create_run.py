"""`createRun`: every way in which it can end."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.documents import load_document
from runwire.runs import RunStatus
from tests.api.conftest import Api


async def create(api: Api, *, managed: bool = False, **new_run: Any) -> Any:
    document = load_document("CreateRun")
    variables = {"newRun": {"job": {"jobName": "etl"}, **new_run}, "managed": managed}
    return (await api.ask(document, input=variables))["createRun"]


async def nothing_was_made(api: Api) -> bool:
    answer = await api.ask("{ runs { totalCount } }")
    return bool(answer == {"runs": {"totalCount": 0}})


async def test_a_run_is_made_and_left(api: Api) -> None:
    answer = await create(
        api,
        runId="r1",
        runConfig={"ops": {"load": {}}},
        tags=[{"key": "who", "value": "ada"}],
        stepKeys=["load"],
    )
    assert (answer["__typename"], answer["created"]) == ("CreateRunSuccess", True)
    assert (answer["run"]["runId"], answer["run"]["status"]) == ("r1", "NOT_STARTED")
    run = api.record("r1").run
    assert run.run_config == {"ops": {"load": {}}}
    assert run.tags == {"team": "a", "kind": "etl", "who": "ada"}
    assert (run.step_keys, run.requested_by) == (("load",), "ada")
    assert (run.location_name, run.repository_name) == ("here", "main")
    assert api.launcher.launched == []


async def test_a_run_gets_an_id_of_its_own(api: Api) -> None:
    ids = {(await create(api))["run"]["runId"] for _ in range(2)}
    assert len(ids) == 2


async def test_a_managed_run_needs_no_job(api: Api) -> None:
    answer = await create(api, managed=True, runId="r1", job={"jobName": "of another system"})
    assert answer["run"]["status"] == "MANAGED"
    assert answer["run"]["jobName"] == "of another system"
    assert api.record("r1").run.managed


async def test_a_repeated_request_gives_the_run_that_it_made(api: Api) -> None:
    first = await create(api, idempotencyKey="k", tags=[{"key": "a", "value": "1"}])
    again = await create(api, idempotencyKey="k", tags=[{"key": "a", "value": "1"}])
    assert (first["created"], again["created"]) == (True, False)
    assert again["run"]["runId"] == first["run"]["runId"]


async def test_another_request_with_the_key_of_a_run_is_refused(api: Api) -> None:
    first = await create(api, idempotencyKey="k")
    other = await create(api, idempotencyKey="k", tags=[{"key": "a", "value": "2"}])
    assert other["__typename"] == "RunAlreadyExists"
    assert other["run"]["runId"] == first["run"]["runId"]
    assert "use a new key" in other["message"]


async def test_a_taken_run_id_is_refused(api: Api) -> None:
    await create(api, runId="r1")
    answer = await create(api, runId="r1")
    assert answer == {
        "__typename": "RunAlreadyExists",
        "message": "run 'r1' exists already; choose another id",
        "run": {"id": answer["run"]["id"], "runId": "r1", "status": "NOT_STARTED"},
    }
    assert api.record("r1").status is RunStatus.NOT_STARTED


async def test_an_unknown_job_is_refused(api: Api) -> None:
    answer = await create(api, job={"jobName": "gone"})
    assert answer == {
        "__typename": "JobNotFound",
        "message": "there is no job 'gone' in a loaded code location; there are: both, etl",
    }
    assert await nothing_was_made(api)


async def test_the_name_that_was_asked_for_is_told(api: Api) -> None:
    document = """mutation { createRun(input: {newRun: {job: {jobName: "gone"}}}) {
      ... on JobNotFound { jobName } } }"""
    assert await api.ask(document) == {"createRun": {"jobName": "gone"}}


async def test_a_job_in_two_places_is_refused_with_both(api: Api) -> None:
    answer = await create(api, job={"jobName": "both"})
    assert answer["__typename"] == "JobAmbiguous"
    assert [job["repository"]["codeLocation"]["name"] for job in answer["candidates"]] == [
        "here",
        "there",
    ]
    assert {job["name"] for job in answer["candidates"]} == {"both"}
    assert await nothing_was_made(api)
    answer = await create(api, job={"jobName": "both", "locationName": "there"})
    assert answer["__typename"] == "CreateRunSuccess"


async def test_a_location_that_failed_to_load_is_told_with_its_error(api: Api) -> None:
    api.workspace.get_location("here").fail()
    document = """mutation($input: CreateRunInput!) { createRun(input: $input) {
      __typename
      ... on CodeLocationUnavailable { message codeLocation { name status loadError { message } } }
    } }"""
    job = {"jobName": "etl", "locationName": "here"}
    answer = await api.ask(document, input={"newRun": {"job": job}})
    assert answer["createRun"] == {
        "__typename": "CodeLocationUnavailable",
        "message": "code location 'here' is not available: it is FAILED (no such module)",
        "codeLocation": {
            "name": "here",
            "status": "FAILED",
            "loadError": {"message": "no such module"},
        },
    }
    assert await nothing_was_made(api)


async def test_a_run_config_that_does_not_fit_is_refused_with_every_problem(api: Api) -> None:
    answer = await create(api, runConfig={"bad": 1})
    assert answer["__typename"] == "RunConfigInvalid"
    assert answer["errors"] == [
        {"path": ["bad"], "message": "not expected", "code": "extra_forbidden"}
    ]
    assert await nothing_was_made(api)


SURROGATE = "\ud800"


@pytest.mark.parametrize(
    ("new_run", "path"),
    [
        ({"runId": "../x"}, ["runId"]),
        ({"runId": SURROGATE}, ["runId"]),
        ({"runId": ""}, ["runId"]),
        ({"job": {"jobName": ""}}, ["job", "jobName"]),
        ({"job": {"jobName": SURROGATE}}, ["job", "jobName"]),
        ({"job": {"jobName": "etl", "repositoryName": SURROGATE}}, ["job", "repositoryName"]),
        ({"job": {"jobName": "etl", "locationName": SURROGATE}}, ["job", "locationName"]),
        ({"runConfig": [1]}, ["runConfig"]),
        ({"runConfig": "text"}, ["runConfig"]),
        ({"runConfig": 0}, ["runConfig"]),
        ({"runConfig": {"ops": SURROGATE}}, ["runConfig"]),
        ({"runConfig": {SURROGATE: 1}}, ["runConfig"]),
        ({"tags": [{"key": "a", "value": "1"}, {"key": "", "value": ""}]}, ["tags", "1", "key"]),
        ({"tags": [{"key": "runwire/x", "value": ""}]}, ["tags", "0", "key"]),
        ({"tags": [{"key": "a", "value": SURROGATE}]}, ["tags", "0", "value"]),
        ({"tags": [{"key": SURROGATE, "value": ""}]}, ["tags", "0", "key"]),
        ({"stepKeys": ["load", SURROGATE]}, ["stepKeys", "1"]),
        ({"idempotencyKey": ""}, ["idempotencyKey"]),
        ({"idempotencyKey": SURROGATE}, ["idempotencyKey"]),
    ],
)
@pytest.mark.parametrize("managed", [True, False])
async def test_a_value_that_is_refused_is_told_with_the_way_to_it(
    api: Api, new_run: dict[str, Any], path: list[str], managed: bool
) -> None:
    answer = await create(api, managed=managed, **new_run)
    assert answer["__typename"] == "InputInvalid"
    assert answer["path"] == ["input", "newRun", *path]
    assert await nothing_was_made(api)
