"""What clients see of errors: a code for those that are meant for them, a mask over all others."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest
from graphql import GraphQLError
from strawberry.types import ExecutionResult

from runwire.api.errors import public_error
from runwire.api.schema import schema
from runwire.errors import (
    CodeLocationUnavailableError,
    CursorExpiredError,
    CursorInvalidError,
    ForbiddenError,
    InputInvalidError,
    JobAmbiguousError,
    RunNotFoundError,
    RunwireError,
    StaleWorkerError,
    StorageUnavailableError,
)
from tests.api.conftest import Api

RUN = "query($runId: ID!) { run(runId: $runId) { runId } }"


def shown(error: Exception) -> GraphQLError:
    return public_error(GraphQLError(str(error), original_error=error))


@pytest.mark.parametrize(
    ("error", "extensions"),
    [
        (
            InputInvalidError("`first` is 0", ["first"]),
            {"code": "INVALID_ARGUMENT", "argument": ["first"]},
        ),
        (JobAmbiguousError("both", [("here", "main")]), {"code": "INVALID_ARGUMENT"}),
        (CursorInvalidError("no cursor"), {"code": "CURSOR_INVALID"}),
        (CursorExpiredError("abc"), {"code": "CURSOR_EXPIRED", "earliestCursor": "abc"}),
        (ForbiddenError("READ"), {"code": "FORBIDDEN"}),
        (StorageUnavailableError("the disk is full"), {"code": "UNAVAILABLE"}),
        (CodeLocationUnavailableError("here", "it is gone"), {"code": "UNAVAILABLE"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_that_is_meant_for_clients_keeps_its_message_and_gets_a_code(
    error: RunwireError, extensions: dict[str, Any]
) -> None:
    public = shown(error)
    assert public.message == str(error)
    assert public.extensions == extensions


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("password=hunter2"),
        RunNotFoundError("r1"),
        StaleWorkerError("r1", 1, 2),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"),
    ],
)
def test_any_other_error_is_masked_and_logged_with_its_id(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        public = shown(error)
    extensions = public.extensions
    assert extensions is not None
    error_id = extensions["errorId"]
    assert extensions == {"code": "INTERNAL", "errorId": error_id}
    assert public.message == (
        f"Something went wrong in the server; its log tells more under {error_id}."
    )
    assert public.original_error is None
    (record,) = caplog.records
    assert error_id in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is error


def test_the_id_of_an_error_is_its_own() -> None:
    ids = {(shown(RuntimeError("x")).extensions or {})["errorId"] for _ in range(5)}
    assert len(ids) == 5


async def test_a_bug_in_a_resolver_is_masked_in_the_result_of_an_operation(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(run_id: str) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(api.instance.storage.run_storage, "find_run_record", broken)
    result = await api.execute(RUN, runId="r1")
    assert result.data == {"run": None}
    assert result.errors is not None
    (error,) = result.errors
    assert error.path == ["run"]
    assert error.extensions is not None
    assert error.extensions["code"] == "INTERNAL"
    assert "hunter2" not in str(error.formatted)


async def test_a_bug_is_masked_in_the_messages_of_a_stream(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(run_id: str) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(api.instance.storage, "get_run_record", broken)
    document = 'subscription { runEvents(runId: "r1") { __typename } }'
    async with api.subscription(document) as results:
        messages = [message async for message in results]
    (message,) = messages
    (error,) = message.errors
    assert error.extensions["code"] == "INTERNAL"
    assert "hunter2" not in str(error.formatted)


async def test_a_storage_that_does_not_answer_is_told_of_as_such(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(run_id: str) -> None:
        raise StorageUnavailableError("the file is locked")

    monkeypatch.setattr(api.instance.storage.run_storage, "find_run_record", locked)
    assert await api.refusal(RUN, runId="r1") == ("UNAVAILABLE", "the file is locked")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{ nothing }", "Cannot query field 'nothing' on type 'Query'."),
        ("{ run", "Syntax Error"),
        ('{ runs(first: "x") { totalCount } }', "Int cannot represent non-integer value"),
        (
            "mutation { submitRun(input: {target: {}}) { __typename } }",
            "must specify exactly one key",
        ),
    ],
)
async def test_an_error_of_a_document_is_told_in_the_words_of_graphql(
    api: Api, caplog: pytest.LogCaptureFixture, document: str, message: str
) -> None:
    with caplog.at_level(logging.ERROR):
        result = await api.execute(document)
    assert result.data is None
    assert result.errors is not None
    assert message in result.errors[0].message
    assert not result.errors[0].extensions
    assert caplog.records == []


@pytest.mark.parametrize(
    ("document", "variables", "message"),
    [
        (RUN, {}, "Variable '$runId' has invalid value"),
        (RUN, {"runId": {}}, "Variable '$runId' has invalid value"),
        (
            "subscription($runId: ID!) { runEvents(runId: $runId) { __typename } }",
            {"runId": None},
            "Variable '$runId' has invalid value",
        ),
        (
            "query($filter: RunsFilter) { runs(filter: $filter) { totalCount } }",
            {"filter": {"createdAt": {"after": "yesterday"}}},
            "'yesterday' is not an instant",
        ),
        (
            "query($filter: RunsFilter) { runs(filter: $filter) { totalCount } }",
            {"filter": {"statuses": ["GONE"]}},
            "GONE",
        ),
        (
            "mutation($input: SubmitRunInput!) { submitRun(input: $input) { __typename } }",
            {"input": {"target": {"runId": "a", "newRun": {"job": {"jobName": "etl"}}}}},
            "must specify exactly one key",
        ),
    ],
)
async def test_an_error_of_variables_is_an_invalid_argument(
    api: Api,
    caplog: pytest.LogCaptureFixture,
    document: str,
    variables: dict[str, Any],
    message: str,
) -> None:
    with caplog.at_level(logging.ERROR):
        results = await schema.stream(document, variables, context_value=api.context())
        (result,) = [cast(ExecutionResult, result) async for result in results]
    assert result.data is None
    assert result.errors is not None
    (error,) = result.errors
    assert message in error.message
    assert error.extensions == {"code": "INVALID_ARGUMENT"}
    assert caplog.records == []
