"""`evaluateTick`: what a schedule would ask for, and nothing stored."""

from __future__ import annotations

from typing import Any

import pytest

from runwire import clock
from runwire.documents import load_document
from runwire.error_info import ErrorInfo
from runwire.errors import CodeLocationUnavailableError, TickEvaluationError
from runwire.ticks import RunRequest, TickEvaluation
from tests.api.conftest import Api


async def evaluate(api: Api, evaluation: TickEvaluation | Exception, **input: Any) -> Any:
    origin = api.schedule("nightly")
    api.workspace.get_location("here").evaluation = evaluation
    source = {"schedule": {"scheduleName": "nightly"}}
    answer = await api.ask(load_document("EvaluateTick"), input={"source": source, **input})
    storage = api.instance.storage
    assert storage.schedule_storage.find_tick_source(origin.source_id) is None
    assert storage.run_storage.get_runs_count() == 0
    return answer["evaluateTick"]


async def test_what_it_asks_for_is_told(api: Api) -> None:
    asked = RunRequest(job_name="etl", run_config={"ops": {}}, tags={"b": "2", "a": "1"})
    told = await evaluate(api, TickEvaluation(requests=(asked,)), dueAt="2023-11-14T12:00:00+01:00")
    assert told == {
        "__typename": "EvaluateTickSuccess",
        "runRequests": [
            {
                "runKey": None,
                "jobName": "etl",
                "runConfig": {"ops": {}},
                "partitionKey": None,
                "tags": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}],
                "existingRun": None,
            }
        ],
        "skipReason": None,
        "cursor": None,
        "error": None,
    }
    assert api.workspace.get_location("here").evaluated == [("main", "nightly", 1_699_959_600.0)]


async def test_a_skip_reason_is_told_and_it_is_due_now_when_nothing_is_said(api: Api) -> None:
    before = clock.timestamp()
    told = await evaluate(api, TickEvaluation(skip_reason="a holiday"))
    assert (told["runRequests"], told["skipReason"], told["error"]) == ([], "a holiday", None)
    ((_, _, due_at),) = api.workspace.get_location("here").evaluated
    assert before <= due_at <= clock.timestamp()


async def test_what_user_code_raised_is_told_with_its_stack(api: Api) -> None:
    info = ErrorInfo("no sales", "KeyError", ("line 1",), ())
    told = await evaluate(api, TickEvaluationError("it raised", info=info))
    assert told["runRequests"] == []
    assert told["error"] == {
        "message": "no sales",
        "className": "KeyError",
        "stack": ["line 1"],
        "causes": [],
    }


async def test_a_code_location_that_does_not_answer_is_told(api: Api) -> None:
    told = await evaluate(api, CodeLocationUnavailableError("here", "it did not answer"))
    assert told["__typename"] == "CodeLocationUnavailable"


@pytest.mark.parametrize(
    "due_at", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z"]
)
async def test_an_instant_beyond_calendars_is_refused(api: Api, due_at: str) -> None:
    told = await evaluate(api, TickEvaluation(), dueAt=due_at)
    assert (told["__typename"], told["path"]) == ("InputInvalid", ["input", "dueAt"])
    assert api.workspace.get_location("here").evaluated == []
