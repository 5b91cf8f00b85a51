"""`reexecuteRun`: a new run of a run that has ended."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.documents import load_document
from runwire.events import EventType
from tests.api.conftest import Api

LINEAGE = """query ($id: ID!) {
  run(runId: $id) { parentRun { runId } rootRun { runId } actions origin { stepKeys } }
}"""


async def again(api: Api, **wanted: Any) -> dict[str, Any]:
    wanted = {"runId": "r1", "scope": {"strategy": "ALL_STEPS"}, **wanted}
    answer: dict[str, Any] = (await api.ask(load_document("ReexecuteRun"), input=wanted))[
        "reexecuteRun"
    ]
    return answer


@pytest.fixture
def ended(api: Api) -> Api:
    """Has the run `r1`, which has failed before any step of it began."""
    api.create_run("r1")
    api.store("r1", EventType.RUN_FAILURE)
    return api


async def test_the_new_run_is_launched_and_linked(ended: Api) -> None:
    answer = await again(ended, scope={"strategy": "FROM_FAILURE"})
    assert (answer["__typename"], answer["created"]) == ("ReexecuteRunSuccess", True)
    run_id = answer["run"]["runId"]
    assert ended.launcher.launched == [run_id]
    assert (await ended.ask(LINEAGE, id=run_id))["run"] == {
        "parentRun": {"runId": "r1"},
        "rootRun": {"runId": "r1"},
        "actions": ["RESUME", "TERMINATE"],
        "origin": {"stepKeys": ["load", "report"]},
    }
    assert ended.record(run_id).run.requested_by == "ada"


async def test_a_repeat_by_key_is_answered_with_the_same_run(ended: Api) -> None:
    first = await again(ended, idempotencyKey="k")
    second = await again(ended, idempotencyKey="k")
    assert (first["created"], second["created"]) == (True, False)
    assert first["run"]["runId"] == second["run"]["runId"]
    assert len(ended.launcher.launched) == 1


async def test_refusals_tell_what_is_missing(ended: Api) -> None:
    answer = await again(ended, scope={"opSelection": ["repot*"]})
    assert (answer["__typename"], answer["stepKeys"]) == ("StepNotFound", ["repot"])
    assert answer["message"] == "job 'etl' has no step 'repot' (did you mean 'report'?)"
    answer = await again(ended, scope={"stepKeys": ["report"]})
    assert (answer["__typename"], answer["stepKey"], answer["outputName"]) == (
        "OutputNotFound",
        "load",
        "result",
    )
    assert "the step did not succeed in run 'r1'" in answer["message"]


async def test_bad_input_is_named_by_its_path(ended: Api) -> None:
    answer = await again(ended, scope={"opSelection": ["load", "a b"]})
    assert (answer["__typename"], answer["path"]) == (
        "InputInvalid",
        ["input", "scope", "opSelection", "1"],
    )
    answer = await again(ended, runConfig=[1])
    assert (answer["__typename"], answer["path"]) == ("InputInvalid", ["input", "runConfig"])


@pytest.mark.parametrize(
    "scope", [{}, {"strategy": None}, {"strategy": "ALL_STEPS", "stepKeys": ["load"]}], ids=str
)
async def test_exactly_one_choice_of_steps_is_taken(ended: Api, scope: dict[str, Any]) -> None:
    wanted = {"runId": "r1", "scope": scope}
    result = await ended.execute(load_document("ReexecuteRun"), input=wanted)
    assert result.errors
    assert ended.launcher.launched == []
