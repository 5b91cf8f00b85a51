"""A run and what belongs to it, and how often the storages are asked for a page of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from runwire.documents import load_document
from runwire.error_info import ErrorInfo
from runwire.errors import StorageUnavailableError
from runwire.events import EventType
from runwire.events.payloads import (
    AssetEventData,
    ExpectationData,
    RunFailureData,
    RunFailureReason,
)
from tests.api.conftest import Api

STATS = """stats {
  stepsPlanned stepsInProgress stepsSucceeded stepsFailed stepsSkipped materializations expectations
  enqueuedAt launchedAt resumeAttempts
}"""


async def run(api: Api, selection: str, run_id: str = "r1") -> Any:
    document = f"query($runId: ID!) {{ run(runId: $runId) {{ {selection} }} }}"
    return (await api.ask(document, runId=run_id))["run"]


def counted(
    api: Api, monkeypatch: pytest.MonkeyPatch, part: object, method: str
) -> list[tuple[Any, ...]]:
    """The calls of a method from now on."""
    calls: list[tuple[Any, ...]] = []
    original: Callable[..., Any] = getattr(part, method)

    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(part, method, call)
    return calls


async def test_a_run_that_was_just_made(api: Api) -> None:
    record = api.create_run(
        "r1",
        tags=[("who", "ada")],
        run_config={"ops": {}},
        step_keys=["load"],
        requested_by="ada",
    )
    made_at = (await run(api, "createdAt"))["createdAt"]
    assert await run(
        api,
        """runId jobName status actions tags { key value } runConfig createdAt updatedAt startedAt endedAt
        failure { message }
        origin { repositoryName locationName stepKeys requestedBy job { name repository { name } } }""",
    ) == {
        "runId": "r1",
        "jobName": "etl",
        "status": "NOT_STARTED",
        "actions": ["SUBMIT", "LAUNCH", "TERMINATE", "DELETE"],
        "tags": [
            {"key": "kind", "value": "etl"},
            {"key": "team", "value": "a"},
            {"key": "who", "value": "ada"},
        ],
        "runConfig": {"ops": {}},
        "createdAt": made_at,
        "updatedAt": made_at,
        "startedAt": None,
        "endedAt": None,
        "failure": None,
        "origin": {
            "repositoryName": "main",
            "locationName": "here",
            "stepKeys": ["load"],
            "requestedBy": "ada",
            "job": {"name": "etl", "repository": {"name": "main"}},
        },
    }
    assert record.run.plan_snapshot_id is not None


async def test_a_run_of_an_external_system_has_no_place_and_no_job(api: Api) -> None:
    api.add_managed_run("r1")
    assert await run(
        api,
        "jobName status actions origin { repositoryName locationName stepKeys requestedBy job { name } }",
    ) == {
        "jobName": "nightly",
        "status": "MANAGED",
        "actions": ["TERMINATE", "REPORT_EVENTS"],
        "origin": {
            "repositoryName": None,
            "locationName": None,
            "stepKeys": None,
            "requestedBy": None,
            "job": None,
        },
    }


async def test_a_job_that_is_not_loaded_any_more_is_null(api: Api) -> None:
    api.create_run("r1")
    api.workspace.get_location("here").fail()
    assert await run(api, "origin { job { name } }") == {"origin": {"job": None}}


async def test_an_unknown_run_is_null(api: Api) -> None:
    assert await run(api, "runId", "gone") is None
    assert await run(api, "runId", "\ud800") is None
    assert await run(api, "runId", "") is None


async def test_a_failed_run_tells_why(api: Api) -> None:
    api.add_managed_run("r1")
    api.store(
        "r1",
        EventType.RUN_FAILURE,
        message="Steps failed: load.",
        timestamp=1795280703.0,
        error=ErrorInfo("no", "ValueError"),
        data=RunFailureData(RunFailureReason.STEP_FAILURE, ("load",)),
    )
    assert await run(
        api,
        "status actions endedAt failure { reason message error { message className } failedStepKeys }",
    ) == {
        "status": "FAILURE",
        "actions": ["REEXECUTE", "REEXECUTE_FROM_FAILURE", "DELETE"],
        "endedAt": "2026-11-21T17:05:03Z",
        "failure": {
            "reason": "STEP_FAILURE",
            "message": "Steps failed: load.",
            "error": {"message": "no", "className": "ValueError"},
            "failedStepKeys": ["load"],
        },
    }


def add_steps(api: Api) -> None:
    """A run with a step of each kind."""
    api.create_run("r1")
    api.store("r1", EventType.RUN_STARTING, timestamp=1795280700.0)
    api.store("r1", EventType.RUN_START, timestamp=1795280701.0)
    for step_key, end in [
        ("ok", EventType.STEP_SUCCESS),
        ("bad", EventType.STEP_FAILURE),
        ("open", None),
    ]:
        api.store("r1", EventType.STEP_START, *([end] if end else []), step_key=step_key)
    api.store("r1", EventType.STEP_SKIPPED, step_key="skipped")
    api.store("r1", EventType.ASSET_MATERIALIZATION, step_key="ok", data=AssetEventData(("a",)))
    api.store("r1", EventType.STEP_EXPECTATION_RESULT, step_key="ok", data=ExpectationData(True))


COUNTS = {
    "stepsPlanned": 4,
    "stepsInProgress": 1,
    "stepsSucceeded": 1,
    "stepsFailed": 1,
    "stepsSkipped": 1,
    "materializations": 1,
    "expectations": 1,
    "enqueuedAt": None,
    "launchedAt": "2026-11-21T17:05:00Z",
    "resumeAttempts": 0,
}


async def test_statistics_of_a_run_that_has_not_ended_come_from_its_log(api: Api) -> None:
    add_steps(api)
    assert await run(api, STATS) == {"stats": COUNTS}


async def test_statistics_of_a_run_that_has_ended_come_from_its_record(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_steps(api)
    api.store("r1", EventType.RUN_FAILURE)
    calls = counted(api, monkeypatch, api.instance.storage.event_log_storage, "get_run_stats")
    assert await run(api, STATS) == {"stats": COUNTS | {"stepsInProgress": 0}}
    assert calls == []


async def test_a_log_that_cannot_be_counted_leaves_the_page_of_runs(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    api.create_run("r1")
    api.create_run("r2")
    logs = api.instance.storage.event_log_storage
    original = logs.get_run_stats

    def damaged(record: Any) -> Any:
        if record.run_id == "r1":
            raise StorageUnavailableError("the file is damaged")
        return original(record)

    monkeypatch.setattr(logs, "get_run_stats", damaged)
    with caplog.at_level(logging.WARNING):
        answer = await api.ask("{ runs { nodes { runId stats { stepsPlanned } } } }")
    assert answer["runs"]["nodes"] == [
        {"runId": "r2", "stats": {"stepsPlanned": 2}},
        {"runId": "r1", "stats": {"stepsPlanned": 2}},
    ]
    assert [record.getMessage() for record in caplog.records] == [
        "the log of run r1 cannot be counted"
    ]


async def test_a_page_of_25_runs_asks_for_all_it_shows_at_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(25):
        api.create_run(f"r{number}")
    reads = counted(api, monkeypatch, api.lanes, "read")
    calls = counted(api, monkeypatch, api.lanes, "call")
    api.workspace.listed = 0
    answer = await api.ask(
        "{ runs { totalCount nodes { runId stats { stepsPlanned } origin { job { name } } } } }"
    )
    assert len(answer["runs"]["nodes"]) == 25
    # the page, the count, and one for all statistics; the jobs are looked up once
    assert len(reads) == 3
    assert (len(calls), api.workspace.listed) == (1, 1)


async def test_linked_runs_are_read_at_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for run_id in ("a", "b", "c"):
        api.add_run(run_id)
    document = "{ " + " ".join(f'{i}: run(runId: "{i}") {{ runId }}' for i in "abcx") + " }"
    reads = counted(api, monkeypatch, api.lanes, "read")
    assert await api.ask(document) == {
        **{run_id: {"runId": run_id} for run_id in "abc"},
        "x": None,
    }
    assert len(reads) == 1


async def test_two_operations_share_nothing(api: Api) -> None:
    assert await run(api, "status") is None
    api.add_managed_run("r1")
    assert await run(api, "status") == {"status": "MANAGED"}
    api.store("r1", EventType.RUN_SUCCESS)
    assert await run(api, "status") == {"status": "SUCCESS"}


async def test_the_document_of_a_run_shows_all_of_it(api: Api) -> None:
    add_steps(api)
    answer = await api.ask(load_document("RunDetail"), runId="r1")
    shown = answer["run"]
    assert shown["stats"] == {"id": shown["stats"]["id"], **COUNTS}
    assert [step["stepKey"] for step in shown["steps"]["nodes"]] == [
        "bad",
        "load",
        "ok",
        "open",
        "skipped",
        "report",
    ]
    assert shown["events"]["totalCount"] == len(api.log("r1"))
    without = await api.ask(load_document("RunDetail"), runId="r1", withSteps=False)
    assert "steps" not in without["run"]
