"""`terminateRuns`: which runs it takes, and every way in which it can end."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.api.runs import bulk
from runwire.documents import load_document
from runwire.errors import StorageDamagedError
from runwire.events import EventType
from runwire.runs.status import RunStatus
from tests.api.conftest import Api

T, S = EventType, RunStatus


async def terminate(api: Api, filter: dict[str, Any], **input: Any) -> Any:
    answer = await api.ask(load_document("TerminateRuns"), input={"filter": filter, **input})
    return answer["terminateRuns"]


def ids(answer: Any) -> list[str]:
    return [run["runId"] for run in answer["runs"]]


def statuses(api: Api, *run_ids: str) -> list[RunStatus]:
    return [api.record(run_id).status for run_id in run_ids]


async def test_runs_that_match_are_stopped_oldest_first_and_those_that_ended_passed_over(
    api: Api,
) -> None:
    for run_id in ("r1", "r2", "r3", "r4"):
        api.create_run(run_id)
    api.store("r1", T.RUN_FAILURE)
    api.store("r3", T.RUN_STARTING, T.RUN_START)
    answer = await terminate(api, {"runIds": ["r1", "r2", "r3"]})
    assert answer["__typename"] == "TerminateRunsSuccess"
    assert (answer["dryRun"], answer["failures"], answer["remainingCount"]) == (False, [], 0)
    assert [(run["runId"], run["status"]) for run in answer["runs"]] == [
        ("r2", "CANCELED"),
        ("r3", "CANCELING"),
    ]
    assert statuses(api, "r1", "r2", "r3", "r4") == [
        S.FAILURE,
        S.CANCELED,
        S.CANCELING,
        S.NOT_STARTED,
    ]


async def test_a_dry_run_tells_the_same_and_changes_nothing(api: Api) -> None:
    for run_id in ("r1", "r2", "r3"):
        api.create_run(run_id)
    api.store("r2", T.RUN_FAILURE)
    answer = await terminate(api, {"jobNames": ["etl"]}, dryRun=True, limit=1)
    assert (answer["dryRun"], ids(answer), answer["remainingCount"]) == (True, ["r1"], 1)
    assert statuses(api, "r1", "r2", "r3") == [S.NOT_STARTED, S.FAILURE, S.NOT_STARTED]


async def test_calls_with_a_limit_come_to_the_end_also_while_workers_end_slowly(api: Api) -> None:
    run_ids = [f"r{number}" for number in range(5)]
    for run_id in run_ids:
        api.create_run(run_id)
        api.store(run_id, T.RUN_STARTING, T.RUN_START)
    answers = [await terminate(api, {"jobNames": ["etl"]}, limit=2) for _ in range(4)]
    assert [ids(answer) for answer in answers] == [run_ids[:2], run_ids[2:4], run_ids[4:], []]
    assert [answer["remainingCount"] for answer in answers] == [3, 1, 0, 0]
    assert statuses(api, *run_ids) == [S.CANCELING] * 5


async def test_runs_that_are_canceling_are_marked_as_canceled_if_asked(api: Api) -> None:
    api.create_run("r1")
    api.store("r1", T.RUN_STARTING, T.RUN_START, T.RUN_CANCELING)
    wanted = {"statuses": ["CANCELING"]}
    assert ids(await terminate(api, wanted)) == []
    answer = await terminate(api, wanted, policy="MARK_AS_CANCELED_IMMEDIATELY")
    assert (ids(answer), statuses(api, "r1")) == (["r1"], [S.CANCELED])


async def test_a_worker_that_cannot_be_reached_is_told_and_keeps_no_other_run_from_it(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 1)
    for run_id in ("r1", "r2"):
        api.create_run(run_id)
    api.store("r1", T.RUN_STARTING, T.RUN_START)
    api.launcher.reachable = False
    answer = await terminate(api, {"jobNames": ["etl"]})
    (failure,) = answer["failures"]
    assert (failure["runId"], failure["error"]["__typename"]) == ("r1", "TerminateFailed")
    assert "could not be asked to stop" in failure["error"]["message"]
    assert (ids(answer), statuses(api, "r1", "r2")) == (["r2"], [S.STARTED, S.CANCELED])


async def test_a_run_that_is_damaged_is_told_and_keeps_no_other_run_from_it(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run_id in ("r1", "r2"):
        api.create_run(run_id)
    store = api.instance.storage.store_events

    def store_unless_damaged(run_id: str, *args: Any, **values: Any) -> Any:
        if run_id == "r1":
            raise StorageDamagedError("its log is torn")
        return store(run_id, *args, **values)

    monkeypatch.setattr(api.instance.storage, "store_events", store_unless_damaged)
    answer = await terminate(api, {"jobNames": ["etl"]})
    assert answer["failures"] == [
        {"runId": "r1", "error": {"__typename": "RunDamaged", "message": "its log is torn"}}
    ]
    assert (ids(answer), statuses(api, "r1", "r2")) == (["r2"], [S.NOT_STARTED, S.CANCELED])


async def test_a_run_that_ends_meanwhile_is_no_failure(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run_id in ("r1", "r2"):
        api.create_run(run_id)
    terminate_run = api.instance.terminate_run

    def end_before(run_id: str, *args: Any, **values: Any) -> Any:
        if run_id == "r1":
            api.store(run_id, T.RUN_FAILURE)
        return terminate_run(run_id, *args, **values)

    monkeypatch.setattr(api.instance, "terminate_run", end_before)
    answer = await terminate(api, {"jobNames": ["etl"]})
    assert (ids(answer), answer["failures"]) == (["r2"], [])


@pytest.mark.parametrize(
    "filter",
    [
        {},
        {"tags": []},
        {"runIdPrefix": ""},
        {"createdAt": {}},
        {"updatedAt": {"after": None}},
        {"statuses": None},
    ],
)
async def test_a_filter_that_leaves_no_run_out_is_refused(api: Api, filter: dict[str, Any]) -> None:
    api.create_run("r1")
    answer = await terminate(api, filter)
    assert (answer["__typename"], answer["path"]) == ("InputInvalid", ["input", "filter"])
    assert statuses(api, "r1") == [S.NOT_STARTED]


@pytest.mark.parametrize("limit", [0, -1, 10_001])
async def test_a_limit_out_of_bounds_is_refused(api: Api, limit: int) -> None:
    answer = await terminate(api, {"jobNames": ["etl"]}, limit=limit)
    assert (answer["__typename"], answer["path"]) == ("InputInvalid", ["input", "limit"])


async def test_texts_that_no_store_takes_are_refused_with_their_place(api: Api) -> None:
    answer = await terminate(api, {"jobNames": ["etl", "\ud800"]})
    path = ["input", "filter", "jobNames", "1"]
    assert (answer["__typename"], answer["path"]) == ("InputInvalid", path)


async def test_an_empty_list_matches_nothing(api: Api) -> None:
    api.create_run("r1")
    for field in ("statuses", "runIds"):
        answer = await terminate(api, {field: []})
        assert (ids(answer), answer["remainingCount"]) == ([], 0)
    assert statuses(api, "r1") == [S.NOT_STARTED]
