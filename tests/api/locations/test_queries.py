"""Code locations and jobs as they are loaded."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.documents import load_document
from runwire.runs import Run
from tests.api.conftest import Api, FakeLocation


async def test_code_locations_show_what_they_have_loaded(api: Api) -> None:
    api.workspace.get_location("there").fail()
    document = """{ codeLocations {
      name status updatedAt
      loadError { message className stack }
      server { serverId address pythonVersion executablePath version startedAt }
      repositories { name codeLocation { name } jobs { name repository { name } } }
    } }"""
    assert await api.ask(document) == {
        "codeLocations": [
            {
                "name": "here",
                "status": "LOADED",
                "updatedAt": "2023-11-14T22:13:20.250000Z",
                "loadError": None,
                "server": {
                    "serverId": "server-1",
                    "address": "unix:here",
                    "pythonVersion": "3.11.7",
                    "executablePath": "/usr/bin/python3",
                    "version": "0.1.0",
                    "startedAt": "2023-11-14T22:13:20.500000Z",
                },
                "repositories": [
                    {
                        "name": "main",
                        "codeLocation": {"name": "here"},
                        "jobs": [
                            {"name": "both", "repository": {"name": "main"}},
                            {"name": "etl", "repository": {"name": "main"}},
                        ],
                    }
                ],
            },
            {
                "name": "there",
                "status": "FAILED",
                "updatedAt": "2023-11-14T22:13:20.250000Z",
                "loadError": {
                    "message": "no such module",
                    "className": "ImportError",
                    "stack": ["line 1"],
                },
                "server": None,
                "repositories": [],
            },
        ]
    }


async def test_a_job_shows_its_graph_its_plan_and_its_config(api: Api) -> None:
    document = """{ job(selector: {jobName: "etl"}) {
      name description tags { key value } runConfigSchema defaultRunConfig
      graph {
        handle parentHandle opName isGraph description tags { key value }
        inputs { name typeName sources { handle outputName } }
        outputs { name typeName required dynamic }
      }
      plan { stepKey opHandle kind level upstreamStepKeys }
    } }"""
    assert await api.ask(document) == {
        "job": {
            "name": "etl",
            "description": "The job etl.",
            "tags": [{"key": "kind", "value": "etl"}, {"key": "team", "value": "a"}],
            "runConfigSchema": {"type": "object"},
            "defaultRunConfig": {"ops": {}},
            "graph": [
                {
                    "handle": "load",
                    "parentHandle": None,
                    "opName": "load_rows",
                    "isGraph": False,
                    "description": "Loads rows.",
                    "tags": [{"key": "kind", "value": "io"}],
                    "inputs": [],
                    "outputs": [
                        {"name": "result", "typeName": "list", "required": True, "dynamic": False}
                    ],
                },
                {
                    "handle": "report",
                    "parentHandle": None,
                    "opName": "report",
                    "isGraph": False,
                    "description": None,
                    "tags": [],
                    "inputs": [
                        {
                            "name": "rows",
                            "typeName": "list",
                            "sources": [{"handle": "load", "outputName": "result"}],
                        }
                    ],
                    "outputs": [
                        {"name": "result", "typeName": "Any", "required": False, "dynamic": True}
                    ],
                },
            ],
            "plan": [
                {
                    "stepKey": "load",
                    "opHandle": "load",
                    "kind": "SINGLE",
                    "level": 0,
                    "upstreamStepKeys": [],
                },
                {
                    "stepKey": "report",
                    "opHandle": "report",
                    "kind": "SINGLE",
                    "level": 1,
                    "upstreamStepKeys": ["load"],
                },
            ],
        }
    }


JOB = """query($selector: JobSelector!) {
  job(selector: $selector) { name repository { name codeLocation { name } } }
}"""


@pytest.mark.parametrize(
    "selector",
    [
        {"jobName": "both", "locationName": "there"},
        {"jobName": "both", "locationName": "there", "repositoryName": "main"},
    ],
)
async def test_a_job_is_found_by_what_makes_it_unambiguous(
    api: Api, selector: dict[str, str]
) -> None:
    assert await api.ask(JOB, selector=selector) == {
        "job": {"name": "both", "repository": {"name": "main", "codeLocation": {"name": "there"}}}
    }


@pytest.mark.parametrize(
    "selector",
    [
        {"jobName": "gone"},
        {"jobName": "\ud800"},
        {"jobName": "etl", "locationName": "there"},
        {"jobName": "etl", "locationName": "gone"},
        {"jobName": "etl", "repositoryName": "gone"},
    ],
)
async def test_a_job_that_is_not_loaded_is_null(api: Api, selector: dict[str, str]) -> None:
    assert await api.ask(JOB, selector=selector) == {"job": None}


async def test_an_ambiguous_name_is_refused(api: Api) -> None:
    assert await api.refusal(JOB, selector={"jobName": "both"}) == (
        "INVALID_ARGUMENT",
        "job 'both' is in here/main, there/main; name its repository or its code location as well",
    )


RECENT = """query($first: Int) {
  job(selector: {jobName: "etl", repositoryName: "main"}) { recentRuns(first: $first) { runId } }
}"""


async def recent(api: Api, first: int | None = None) -> list[str]:
    answer = await api.ask(RECENT, first=first)
    return [run["runId"] for run in answer["job"]["recentRuns"]]


async def test_the_newest_runs_of_a_job_come_first(api: Api) -> None:
    for number in range(30):
        api.create_run(f"r{number:02}")
    api.add_run("other", job_name="both", location_name="here", repository_name="main")
    api.add_run("elsewhere", job_name="etl", location_name="there", repository_name="main")
    assert await recent(api) == ["r29", "r28", "r27", "r26", "r25"]
    assert await recent(api, 25) == [f"r{number:02}" for number in range(29, 4, -1)]


async def test_runs_of_a_namesake_in_another_repository_are_passed_over(api: Api) -> None:
    api.workspace.locations["here"] = FakeLocation("here", main=["etl"], copy=["etl"])
    for number in range(3):
        api.add_run(f"mine{number}", location_name="here", repository_name="main")
        for copy in range(20):
            run = Run(
                run_id=f"copy{number}-{copy}",
                job_name="etl",
                location_name="here",
                repository_name="copy",
            )
            api.instance.storage.run_storage.add_run(run, created_at=1.0)
    assert await recent(api) == ["mine2", "mine1", "mine0"]
    assert await recent(api, 2) == ["mine2", "mine1"]


@pytest.mark.parametrize("first", [0, 26])
async def test_a_number_of_runs_out_of_bounds_is_refused(api: Api, first: int) -> None:
    assert await api.refusal(RECENT, first=first) == (
        "INVALID_ARGUMENT",
        f"`first` is {first}; give 1 to 25",
    )


async def test_the_document_of_the_launchpad_shows_all_of_it(api: Api) -> None:
    api.create_run("r1")
    answer: dict[str, Any] = await api.ask(load_document("Launchpad"), job={"jobName": "etl"})
    assert [location["name"] for location in answer["codeLocations"]] == ["here", "there"]
    assert [run["runId"] for run in answer["job"]["recentRuns"]] == ["r1"]
