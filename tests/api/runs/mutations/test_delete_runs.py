"""`deleteRuns`: which runs it takes, and every way in which it can end."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.api.nodes import global_id
from runwire.documents import load_document
from runwire.events import EventType
from tests.api.conftest import Api

T = EventType


async def delete(api: Api, filter: dict[str, Any], **input: Any) -> Any:
    answer = await api.ask(load_document("DeleteRuns"), input={"filter": filter, **input})
    return answer["deleteRuns"]


def left(api: Api) -> set[str]:
    page = api.instance.storage.run_storage.get_run_records(limit=100)
    return {record.run_id for record in page.records}


def make(api: Api, *run_ids: str, ended: bool = True) -> None:
    for run_id in run_ids:
        api.create_run(run_id)
        api.store(run_id, *([T.RUN_FAILURE] if ended else [T.RUN_STARTING, T.RUN_START]))


async def test_runs_that_match_are_deleted_and_those_that_live_told(api: Api) -> None:
    make(api, "live", ended=False)
    make(api, "r1", "r2", "other")
    answer = await delete(api, {"runIds": ["live", "r1", "r2"]})
    assert (answer["__typename"], answer["dryRun"]) == ("DeleteRunsSuccess", False)
    assert (answer["runIds"], answer["remainingCount"]) == (["r1", "r2"], 0)
    assert answer["deletedIds"] == [global_id("Run", "r1"), global_id("Run", "r2")]
    (failure,) = answer["failures"]
    assert (failure["runId"], failure["error"]["__typename"]) == ("live", "RunStateConflict")
    assert failure["error"]["message"].startswith("run 'live' is STARTED, this needs ")
    assert left(api) == {"live", "other"}


async def test_a_dry_run_tells_the_same_and_deletes_nothing(api: Api) -> None:
    make(api, "live", ended=False)
    make(api, "r1", "r2")
    wanted = {"jobNames": ["etl"]}
    told = await delete(api, wanted, dryRun=True)
    assert (told["dryRun"], told["deletedIds"]) == (True, [])
    assert left(api) == {"live", "r1", "r2"}
    done = await delete(api, wanted)
    assert [told[key] for key in ("runIds", "failures", "remainingCount")] == [
        done[key] for key in ("runIds", "failures", "remainingCount")
    ]


async def test_runs_that_live_do_not_use_up_the_limit_of_those_that_can_be_deleted(
    api: Api,
) -> None:
    make(api, "live1", "live2", ended=False)
    make(api, "r1", "r2", "r3")
    wanted = {"jobNames": ["etl"]}
    answers = [await delete(api, wanted, limit=2) for _ in range(2)]
    assert [answer["runIds"] for answer in answers] == [["r1", "r2"], ["r3"]]
    assert [len(answer["failures"]) for answer in answers] == [0, 1]
    assert [answer["remainingCount"] for answer in answers] == [3, 1]
    assert left(api) == {"live1", "live2"}


@pytest.mark.parametrize("filter", [{}, {"tags": []}, {"runIdPrefix": ""}, {"createdAt": {}}])
async def test_a_filter_that_leaves_no_run_out_is_refused(api: Api, filter: dict[str, Any]) -> None:
    make(api, "r1")
    answer = await delete(api, filter)
    assert (answer["__typename"], answer["path"]) == ("InputInvalid", ["input", "filter"])
    assert left(api) == {"r1"}


async def test_an_age_is_a_filter(api: Api) -> None:
    for run_id, created_at in (("old", 1_000.0), ("new", 2_000.0)):
        api.add_run(run_id, created_at=created_at)
    answer = await delete(api, {"createdAt": {"before": "1970-01-01T00:20:00Z"}})
    assert (answer["runIds"], left(api)) == (["old"], {"new"})
