"""Every member of every mutation's result union is reached: what the schema promises, somebody gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from graphql import GraphQLUnionType, build_schema, get_named_type

from runwire.api.access import Principal, Role
from runwire.api.schema import print_schema
from runwire.documents import load_document
from runwire.events import EventType
from tests.api.conftest import Api

Input = dict[str, Any]
Way = Callable[[Api], Input]
"""Prepares what is needed for a member, and gives the input of the mutation that is answered with it."""


def unions() -> dict[str, list[str]]:
    """The members of the result of each mutation, as published."""
    mutations = build_schema(print_schema()).mutation_type
    assert mutations is not None
    found = {}
    for name, field in mutations.fields.items():
        union = get_named_type(field.type)
        assert isinstance(union, GraphQLUnionType), f"{name} answers with no union"
        found[name] = [member.name for member in union.types]
    return found


# ------------------------------------------------------------ what is there


def made(api: Api, run_id: str = "r1") -> str:
    """A run that was not started."""
    api.create_run(run_id)
    return run_id


def started(api: Api) -> str:
    """A run that was launched, and whose worker is gone."""
    api.instance.launch_run(made(api), api.workspace)
    api.store("r1", EventType.RUN_START)
    api.launcher.alive = False
    return "r1"


def ended(api: Api) -> str:
    """A run of an external system that has ended."""
    api.add_managed_run("r1")
    api.store("r1", EventType.RUN_SUCCESS)
    return "r1"


def with_job_gone(api: Api, run_id: str) -> str:
    del api.workspace.locations["here"]
    return run_id


def with_location_failed(api: Api, run_id: str) -> str:
    api.workspace.get_location("here").fail()
    return run_id


def with_launcher_broken(api: Api, run_id: str) -> str:
    api.launcher.broken = OSError("no space left")
    return run_id


def with_launcher_away(api: Api, run_id: str) -> str:
    api.launcher.reachable = False
    return run_id


# ------------------------------------------------------------ what is asked

NO_KEY = [{"key": "", "value": ""}]


def new_run(job: str = "etl", **members: Any) -> Input:
    return {"newRun": {"job": {"jobName": job}, **members}}


def making(wrap: Callable[[Input], Input]) -> dict[str, Way]:
    """The ways to make a run."""
    return {
        "JobNotFound": lambda api: wrap(new_run("nothing")),
        "JobAmbiguous": lambda api: wrap(new_run("both")),
        "CodeLocationUnavailable": lambda api: wrap(
            {
                "newRun": {
                    "job": {
                        "jobName": "etl",
                        "repositoryName": "main",
                        "locationName": with_location_failed(api, "here"),
                    }
                }
            }
        ),
        "RunConfigInvalid": lambda api: wrap(new_run(runConfig={"bad": 1})),
        "RunAlreadyExists": lambda api: wrap(new_run(runId=made(api))),
        "InputInvalid": lambda api: wrap(new_run(tags=NO_KEY)),
        "Forbidden": lambda api: wrap(new_run()),
    }


def of_run(**ways: Callable[[Api], str]) -> dict[str, Way]:
    """The ways to ask something of one run; each gives its id."""

    def way(prepare: Callable[[Api], str]) -> Way:
        return lambda api: {"runId": prepare(api)}

    found = {member: way(prepare) for member, prepare in ways.items()}
    return {"RunNotFound": lambda _: {"runId": "gone"}, **found}


def to_target(input: Input) -> Input:
    return {"target": input}


def handing_over(name: str) -> dict[str, Way]:
    """The ways to hand a run over, be it there or made for it."""
    targets = of_run(
        RunStateConflict=ended, LaunchFailed=lambda api: with_launcher_broken(api, made(api))
    )
    return {
        f"{name}Success": lambda _: to_target(new_run()),
        **making(to_target),
        **{
            member: lambda api, way=way: to_target(way(api))  # type: ignore[misc]
            for member, way in targets.items()
        },
    }


def of_many(name: str) -> dict[str, Way]:
    return {
        f"{name}Success": lambda api: {"filter": {"jobNames": ["etl"]}},
        "InputInvalid": lambda api: {"filter": {}},
        "Forbidden": lambda api: {"filter": {"jobNames": ["etl"]}},
    }


LINE = [{"message": "hello"}]

WAYS: Mapping[str, Mapping[str, Way]] = {
    "createRun": {"CreateRunSuccess": lambda _: new_run(), **making(dict)},
    "submitRun": handing_over("SubmitRun"),
    "launchRun": handing_over("LaunchRun"),
    "resumeRun": of_run(
        ResumeRunSuccess=started,
        RunStateConflict=made,
        JobNotFound=lambda api: with_job_gone(api, started(api)),
        CodeLocationUnavailable=lambda api: with_location_failed(api, started(api)),
        LaunchFailed=lambda api: with_launcher_broken(api, started(api)),
        Forbidden=started,
    ),
    "terminateRun": of_run(
        TerminateRunSuccess=made,
        RunStateConflict=ended,
        TerminateFailed=lambda api: with_launcher_away(api, started(api)),
        Forbidden=made,
    ),
    "terminateRuns": of_many("TerminateRuns"),
    "deleteRun": of_run(DeleteRunSuccess=made, RunStateConflict=started, Forbidden=made),
    "deleteRuns": of_many("DeleteRuns"),
    "addRunTags": {
        "AddRunTagsSuccess": lambda api: {"runId": made(api), "tags": []},
        "RunNotFound": lambda _: {"runId": "gone", "tags": []},
        "InputInvalid": lambda api: {"runId": made(api), "tags": NO_KEY},
        "Forbidden": lambda api: {"runId": made(api), "tags": []},
    },
    "reportEvents": {
        "ReportEventsSuccess": lambda api: {
            "runId": api.add_managed_run("r1").run_id,
            "events": LINE,
        },
        "RunNotFound": lambda _: {"runId": "gone", "events": LINE},
        "RunStateConflict": lambda api: {"runId": made(api), "events": LINE},
        "InputInvalid": lambda api: {
            "runId": api.add_managed_run("r1").run_id,
            "events": [],
        },
        "Forbidden": lambda _: {"runId": "gone", "events": LINE},
    },
    "reloadCodeLocation": {
        "ReloadCodeLocationSuccess": lambda _: {"name": "here"},
        "CodeLocationNotFound": lambda _: {"name": "gone"},
        "Forbidden": lambda _: {"name": "here"},
    },
}

MEMBERS = [(mutation, member) for mutation, members in unions().items() for member in members]


def test_the_table_has_every_member_and_no_other() -> None:
    assert {name: set(ways) for name, ways in WAYS.items()} == {
        name: set(members) for name, members in unions().items()
    }


@pytest.mark.parametrize(("mutation", "member"), MEMBERS, ids=str)
async def test_it_is_reached(api: Api, mutation: str, member: str) -> None:
    given = WAYS[mutation][member](api)
    if member == "Forbidden":
        api.viewer = Principal("eve", True, Role.VIEWER)
    operation = mutation[0].upper() + mutation[1:]
    answer = (await api.ask(load_document(operation), input=given))[mutation]
    assert answer["__typename"] == member
    assert member.endswith("Success") or answer["message"]
