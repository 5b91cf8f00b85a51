from __future__ import annotations

import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLUnionType,
    build_schema,
    get_named_type,
)

from runwire.api.schema import print_schema
from runwire.client import errors
from runwire.client.errors import (
    CursorExpiredError,
    InputInvalidError,
    OutputNotFoundError,
    RequestRefusedError,
    RunConfigInvalidError,
    RunConfigProblem,
    RunStateConflictError,
    StepNotFoundError,
    refusal,
)


def error_types() -> set[str]:
    """The error members of all unions by which mutations and subscriptions answer."""
    schema = build_schema(print_schema())
    user_error = schema.type_map["UserError"]
    assert isinstance(user_error, GraphQLInterfaceType)
    return {
        member.name
        for root in (schema.mutation_type, schema.subscription_type)
        for field in (root.fields if root else {}).values()
        if isinstance(union := get_named_type(field.type), GraphQLUnionType)
        for member in union.types
        if user_error in member.interfaces
    }


def test_every_error_type_of_the_schema_has_a_class_of_its_own() -> None:
    found = {name: refusal({"__typename": name, "message": "no"}) for name in error_types()}
    assert {"InputInvalid", "Forbidden", "RunNotFound"} <= found.keys()
    for name, error in found.items():
        assert type(error).__name__ == f"{name}Error"
        assert type(error) is getattr(errors, f"{name}Error")
        assert (error.type_name, error.message, str(error)) == (name, "no", "no")


def test_a_type_that_is_not_known_is_a_refusal_all_the_same() -> None:
    error = refusal({"__typename": "PoolFull", "message": "no", "size": 3})
    assert type(error) is RequestRefusedError
    assert (error.type_name, error.details) == ("PoolFull", {"size": 3})


def test_refusals_tell_what_their_types_add() -> None:
    conflict = refusal(
        {
            "__typename": "RunStateConflict",
            "message": "no",
            "run": {"status": "SUCCESS"},
            "expectedStatuses": ["QUEUED"],
        }
    )
    assert isinstance(conflict, RunStateConflictError)
    assert (conflict.status, conflict.expected_statuses) == ("SUCCESS", ("QUEUED",))
    problem = {"path": ["ops", "0"], "message": "not expected", "code": "extra_forbidden"}
    config = refusal({"__typename": "RunConfigInvalid", "message": "no", "errors": [problem]})
    assert isinstance(config, RunConfigInvalidError)
    assert config.problems == (RunConfigProblem(("ops", "0"), "not expected", "extra_forbidden"),)
    step = refusal({"__typename": "StepNotFound", "message": "no", "stepKeys": ["laod"]})
    assert isinstance(step, StepNotFoundError)
    assert step.step_keys == ("laod",)
    output = refusal(
        {"__typename": "OutputNotFound", "message": "no", "stepKey": "load", "outputName": "rows"}
    )
    assert isinstance(output, OutputNotFoundError)
    assert (output.step_key, output.output_name) == ("load", "rows")
    invalid = refusal({"__typename": "InputInvalid", "message": "no", "path": ["input"]})
    assert isinstance(invalid, InputInvalidError)
    assert invalid.path == ("input",)
    expired = refusal({"__typename": "CursorExpired", "message": "no", "earliestCursor": "c"})
    assert isinstance(expired, CursorExpiredError)
    assert expired.earliest_cursor == "c"


@pytest.mark.parametrize("name", ["RunNotFoundError", "TokenExpiredError"])
def test_they_are_given_out_by_the_package(name: str) -> None:
    from runwire import client  # noqa: PLC0415

    assert name in client.__all__
    assert getattr(client, name) is getattr(errors, name)
