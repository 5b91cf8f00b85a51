"""Every member of every mutation's result union is reached: what the schema promises, somebody gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from graphql import GraphQLUnionType, build_schema, get_named_type

from runwire.api.access import Principal, Role
from runwire.api.schema import print_schema
from runwire.control import NewBackfill
from runwire.documents import load_document
from runwire.error_info import ErrorInfo
from runwire.errors import PartitionConfigError
from runwire.events import EventType
from runwire.instance.settings import Settings
from runwire.partitions import PartitionsKind, PartitionsSnapshot
from runwire.snapshots import ScheduleSnapshot, SensorSnapshot
from runwire.storage import BackfillStatus
from runwire.workspace import JobSelector
from tests.api.conftest import Api
from tests.webhooks.receiver import SECRET

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


def failed(api: Api) -> str:
    """A run whose worker has failed, none of its steps done."""
    api.instance.launch_run(made(api), api.workspace)
    api.store("r1", EventType.RUN_START, EventType.RUN_FAILURE)
    return "r1"


def of_ambiguous_job(api: Api) -> str:
    """A run of an external system that has ended, of a job that two code locations have."""
    api.add_run("r1", job_name="both", managed=True)
    api.store("r1", EventType.RUN_SUCCESS)
    return "r1"


def with_key_taken(api: Api, run_id: str) -> str:
    api.create_run("r2", idempotency_key="k")
    return run_id


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


def with_pool_limit(api: Api) -> Input:
    api.instance.storage.pool_storage.set_pool_limit("db", 2)
    return {"name": "db"}


# ------------------------------------------------------------ what is asked

NO_KEY = [{"key": "", "value": ""}]


def new_run(job: str = "etl", **members: Any) -> Input:
    return {"newRun": {"job": {"jobName": job}, **members}}


REGIONS = PartitionsSnapshot(PartitionsKind.STATIC, keys=("eu", "us"), has_config=True)


def partitioned(api: Api, job: str = "etl") -> str:
    """A job that has partitions."""
    api.workspace.get_location("here").partition(job, REGIONS)
    return job


def with_config_broken(api: Api, job: str) -> str:
    error = PartitionConfigError("it raised", info=ErrorInfo("no such key", "KeyError"))
    api.workspace.get_location("here").configuration = error
    return job


def backfill(job: str = "etl", **members: Any) -> Input:
    return {"job": {"jobName": job}, "partitions": {"keys": ["eu"]}, **members}


def backfilled(api: Api, **changes: Any) -> Input:
    """A backfill that was made."""
    wanted = NewBackfill(job=JobSelector(partitioned(api)), idempotency_key="k")
    made, _ = api.instance.create_backfill(wanted, api.workspace)
    api.instance.storage.backfill_storage.update_backfill(replace(made, **changes))
    return {"backfillId": made.backfill_id}


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
        "StepNotFound": lambda _: wrap(new_run(stepKeys=["lode"])),
        "JobNotPartitioned": lambda _: wrap(new_run(partitionKey="eu")),
        "PartitionNotFound": lambda api: wrap(new_run(partitioned(api), partitionKey="asia")),
        "PartitionConfigFailed": lambda api: wrap(
            new_run(with_config_broken(api, partitioned(api)), partitionKey="eu")
        ),
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


def again(prepare: Callable[[Api], str], **members: Any) -> Way:
    """The re-execution of a run; of all steps, if nothing else is asked."""
    return lambda api: {"runId": prepare(api), "scope": {"strategy": "ALL_STEPS"}, **members}


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


def with_webhook(api: Api) -> str:
    """A webhook that is configured."""
    webhook = {"name": "hook", "url": "https://example.org", "secret": SECRET}
    api.instance.settings = Settings.model_validate({"webhooks": [webhook]})
    return "hook"


def of_webhook(name: str) -> dict[str, Way]:
    return {
        f"{name}Success": lambda api: {"name": with_webhook(api)},
        "WebhookNotFound": lambda api: {"name": with_webhook(api) + "s"},
        "Forbidden": lambda api: {"name": with_webhook(api)},
    }


LINE = [{"message": "hello"}]
NIGHTLY = ScheduleSnapshot("nightly", "etl", "0 2 * * *")


def scheduled(api: Api) -> Input:
    """A schedule that is loaded."""
    api.workspace.get_location("here").schedule(NIGHTLY)
    return {"scheduleName": "nightly"}


def twice_scheduled(api: Api) -> Input:
    """The name of two schedules."""
    api.workspace.get_location("there").schedule(NIGHTLY)
    return scheduled(api)


def schedule_not_loaded(api: Api) -> Input:
    return {"scheduleName": "nightly", "locationName": with_location_failed(api, "here")}


def of_schedule(**ways: Callable[[Api], Input]) -> dict[str, Way]:
    """The ways to ask something of one schedule; each gives its selector."""

    def way(prepare: Callable[[Api], Input]) -> Way:
        return lambda api: {"schedule": prepare(api)}

    all_ways = {
        "ScheduleNotFound": lambda _: {"scheduleName": "gone"},
        "InputInvalid": twice_scheduled,
        "Forbidden": scheduled,
        **ways,
    }
    return {member: way(prepare) for member, prepare in all_ways.items()}


FILES = SensorSnapshot("files", job_names=("etl",))


def watching(api: Api) -> Input:
    """A sensor that is loaded."""
    api.workspace.get_location("here").watch(FILES)
    return {"sensorName": "files"}


def twice_watching(api: Api) -> Input:
    """The name of two sensors."""
    api.workspace.get_location("there").watch(FILES)
    return watching(api)


def sensor_not_loaded(api: Api) -> Input:
    return {"sensorName": "files", "locationName": with_location_failed(api, "here")}


def of_sensor(**ways: Callable[[Api], Input]) -> dict[str, Way]:
    """The ways to ask something of one sensor; each gives its selector."""

    def way(prepare: Callable[[Api], Input]) -> Way:
        return lambda api: {"sensor": prepare(api)}

    all_ways = {
        "SensorNotFound": lambda _: {"sensorName": "gone"},
        "InputInvalid": twice_watching,
        "Forbidden": watching,
        **ways,
    }
    return {member: way(prepare) for member, prepare in all_ways.items()}


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
    "reexecuteRun": {
        "ReexecuteRunSuccess": again(failed),
        "RunNotFound": again(lambda _: "gone"),
        "RunStateConflict": again(made),
        "JobNotFound": again(lambda api: with_job_gone(api, failed(api))),
        "JobAmbiguous": again(of_ambiguous_job),
        "CodeLocationUnavailable": again(lambda api: with_location_failed(api, failed(api))),
        "RunConfigInvalid": again(failed, runConfig={"bad": 1}),
        "StepNotFound": again(failed, scope={"opSelection": ["*repot"]}),
        "OutputNotFound": again(failed, scope={"stepKeys": ["report"]}),
        "RunAlreadyExists": again(lambda api: with_key_taken(api, failed(api)), idempotencyKey="k"),
        "LaunchFailed": again(lambda api: with_launcher_broken(api, failed(api))),
        "InputInvalid": again(failed, tags=NO_KEY),
        "Forbidden": again(failed),
    },
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
    "setPoolLimit": {
        "SetPoolLimitSuccess": lambda _: {"name": "db", "limit": 2},
        "InputInvalid": lambda _: {"name": "db", "limit": -1},
        "Forbidden": lambda _: {"name": "db", "limit": 2},
    },
    "deletePoolLimit": {
        "DeletePoolLimitSuccess": with_pool_limit,
        "PoolNotFound": lambda _: {"name": "db"},
        "Forbidden": lambda _: {"name": "db"},
    },
    "createBackfill": {
        "CreateBackfillSuccess": lambda api: backfill(partitioned(api)),
        "JobNotFound": lambda _: backfill("nothing"),
        "JobAmbiguous": lambda _: backfill("both"),
        "CodeLocationUnavailable": lambda api: {
            "job": {"jobName": "etl", "locationName": with_location_failed(api, "here")},
            "partitions": {"range": {}},
        },
        "JobNotPartitioned": lambda _: backfill(),
        "PartitionNotFound": lambda api: backfill(
            partitioned(api), partitions={"range": {"first": "asia"}}
        ),
        "BackfillAlreadyExists": lambda api: backfill(
            idempotencyKey="k", runsAtOnce=len(backfilled(api))
        ),
        "InputInvalid": lambda api: backfill(partitioned(api), runsAtOnce=0),
        "Forbidden": lambda _: backfill(),
    },
    "cancelBackfill": {
        "CancelBackfillSuccess": backfilled,
        "BackfillNotFound": lambda _: {"backfillId": "gone"},
        "BackfillStateConflict": lambda api: backfilled(api, status=BackfillStatus.COMPLETED),
        "Forbidden": backfilled,
    },
    "resumeBackfill": {
        "ResumeBackfillSuccess": lambda api: backfilled(api, status=BackfillStatus.CANCELED),
        "BackfillNotFound": lambda _: {"backfillId": "gone"},
        "BackfillStateConflict": backfilled,
        "Forbidden": backfilled,
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
    "startSchedule": of_schedule(
        StartScheduleSuccess=scheduled, CodeLocationUnavailable=schedule_not_loaded
    ),
    "stopSchedule": of_schedule(StopScheduleSuccess=scheduled),
    "startSensor": of_sensor(
        StartSensorSuccess=watching, CodeLocationUnavailable=sensor_not_loaded
    ),
    "stopSensor": of_sensor(StopSensorSuccess=watching),
    "setSensorCursor": of_sensor(SetSensorCursorSuccess=watching),
    "evaluateTick": {
        member: lambda api, way=way: {"source": way(api)}  # type: ignore[misc]
        for member, way in {
            **of_schedule(
                EvaluateTickSuccess=scheduled, CodeLocationUnavailable=schedule_not_loaded
            ),
            "SensorNotFound": of_sensor()["SensorNotFound"],
        }.items()
    },
    "reloadCodeLocation": {
        "ReloadCodeLocationSuccess": lambda _: {"name": "here"},
        "CodeLocationNotFound": lambda _: {"name": "gone"},
        "Forbidden": lambda _: {"name": "here"},
    },
    "pauseWebhook": of_webhook("PauseWebhook"),
    "resumeWebhook": of_webhook("ResumeWebhook"),
    "redeliverWebhook": {
        **of_webhook("RedeliverWebhook"),
        "InputInvalid": lambda api: {"name": with_webhook(api), "eventIds": []},
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
