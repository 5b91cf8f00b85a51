"""Compiled functions give what the algorithms give. (Every query of the tests of the API is executed both ways.)"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from graphql import ExecutionResult, parse
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from runwire.api import compiled
from runwire.api.compiled import CompilingExecutor
from runwire.api.context import ApiContext
from runwire.api.events.types import EventRow
from runwire.api.runs.subscriptions import RunEventBatch
from runwire.api.schema import schema
from runwire.errors import InputInvalidError
from runwire.events import EventType
from runwire.runs.run import RunRecord
from tests.api.conftest import Api

DIRECTIVES = """
    query ($yes: Boolean!, $no: Boolean!) { run(runId: "r1") { events { nodes {
        position
        message @skip(if: $yes)
        level @include(if: $yes)
        ... on EventRecord @include(if: $no) { timestamp }
        ...Rest @skip(if: $no)
    } } } }
    fragment Rest on EventRecord { stepKey }
"""
MERGED = """
    { run(runId: "r1") { events { nodes { data { ... on EngineEventData { markerStart } } kind: __typename
        data { __typename ... on EngineEventData { markerEnd } } ...Same } } } }
    fragment Same on EventRecord { position again: position ... on Node { id } }
"""
STREAM = """
    subscription { runEvents(runId: "r1") { __typename ... on RunEventBatch {
        endCursor records { position message level data { __typename } } } } }
"""


RUNS = """
    { runs { edges { cursor node { runId stats { stepsPlanned } rootRun { jobName stats { id } } parentRun { id }
        status } } } }
"""


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The fields of event records, and of places in lists of runs, that are executed by the algorithms."""
    names: list[str] = []
    execute_field: Callable[..., Any] = StrawberryGraphQLCoreExecutionContext.execute_field

    def noting(self: Any, parent: Any, source: Any, details: Any, *rest: Any) -> Any:
        if parent.name in ("EventRecord", "RunEdge"):
            names.append(details[0].node.name.value)
        return execute_field(self, parent, source, details, *rest)

    monkeypatch.setattr(StrawberryGraphQLCoreExecutionContext, "execute_field", noting)
    return names


def stored(api: Api) -> list[EventRow]:
    """The event records of a run with one of an engine, a line, and a failure."""
    api.add_managed_run("r1")
    api.store("r1", EventType.RUN_START, EventType.ENGINE_EVENT, None, EventType.RUN_FAILURE)
    return [EventRow(record, api.record("r1")) for record in api.log("r1")]


def batch(api: Api, rows: list[EventRow]) -> RunEventBatch:
    return RunEventBatch(
        records=rows,
        from_position=0,
        to_position=len(rows),
        end_cursor="end",
        head_cursor="head",
        caught_up=True,
        run=api.record("r1"),
    )


def built(kind: type[Any], document: str) -> Any:
    return kind.build(schema._schema, parse(document))


async def test_fields_that_are_only_read_are_compiled(api: Api, interpreted: list[str]) -> None:
    stored(api)
    answer = await api.ask(MERGED)
    assert [node["position"] for node in answer["run"]["events"]["nodes"]] == [1, 2, 3, 4]
    assert interpreted == []


async def test_merged_and_aliased_fields_and_fragments_are_as_they_are(api: Api) -> None:
    stored(api)
    assert api.compares
    nodes = (await api.ask(MERGED))["run"]["events"]["nodes"]
    assert list(nodes[1]) == ["data", "kind", "position", "again", "id"]
    assert nodes[1]["again"] == 2


@pytest.mark.parametrize(
    "document",
    [
        STREAM.replace("subscription", "subscription ($no: Boolean!)").replace("level", select)
        for select in (
            "level @skip(if: $no)",
            "... @skip(if: $no) { level }",
            "... on EventRecord { ... on EventRecord @skip(if: $no) { level } }",
        )
    ],
)
def test_the_same_document_may_select_something_else_the_next_time(api: Api, document: str) -> None:
    rows, parsed = stored(api), parse(document)
    for no in (False, True, False):
        built_anew = CompilingExecutor.build(schema._schema, parsed, raw_variable_values={"no": no})
        assert isinstance(built_anew, CompilingExecutor)
        executor = built_anew.build_per_event_executor(batch(api, rows))
        result: Any = executor.execute_operation(False)
        assert ("level" in result.data["runEvents"]["records"][0]) is not no


@pytest.mark.parametrize("yes", [True, False])
async def test_what_directives_select_is_not_compiled(api: Api, yes: bool) -> None:
    stored(api)
    assert api.compares
    answer = await api.ask(DIRECTIVES, yes=yes, no=not yes)
    selected = {"level", "stepKey"} if yes else {"message", "timestamp"}
    assert set(answer["run"]["events"]["nodes"][0]) == {"position", *selected}


async def test_what_is_loaded_is_filled_in_where_it_was_selected(
    api: Api, interpreted: list[str]
) -> None:
    api.add_managed_run("r1")
    api.add_run("r2", job_name="nightly", managed=True, root_run_id="r1", parent_run_id="r1")
    edges = (await api.ask(RUNS))["runs"]["edges"]
    assert interpreted == []
    api.compares = True
    assert (await api.ask(RUNS))["runs"]["edges"] == edges
    again, first = [edge["node"] for edge in edges]
    assert list(again) == ["runId", "stats", "rootRun", "parentRun", "status"]
    assert again["rootRun"] == {"jobName": "nightly", "stats": first["rootRun"]["stats"]}
    assert (again["parentRun"] is None, first["parentRun"]) == (False, None)


async def test_what_cannot_be_loaded_is_told_in_its_place(
    api: Api, interpreted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    api.add_managed_run("r1")

    async def fail(_run: RunRecord, _context: ApiContext) -> None:
        raise InputInvalidError("no such thing", ["x"])

    run_type: Any = schema._schema.type_map["Run"]
    declared = run_type.fields["parentRun"].extensions[compiled._DECLARED]
    monkeypatch.setattr(declared, "load", fail)
    result: Any = await api.execute(RUNS)
    assert [error.path for error in result.errors] == [["runs", "edges", 0, "node", "parentRun"]]
    assert result.data["runs"]["edges"][0]["node"]["parentRun"] is None
    assert interpreted != []


async def test_a_field_that_is_resolved_is_interpreted_and_what_is_below_compiled(
    api: Api, interpreted: list[str]
) -> None:
    stored(api)
    answer = await api.ask(
        '{ run(runId: "r1") { stats { stepsPlanned } events { totalCount nodes { position } } } }'
    )
    assert answer["run"]["events"]["totalCount"] == 4
    assert interpreted == []


def test_a_value_that_cannot_be_shown_is_told_in_its_place(
    api: Api, interpreted: list[str]
) -> None:
    rows = stored(api)
    rows[2] = rows[2]._replace(record=copy.copy(rows[2].record))
    object.__setattr__(rows[2].record, "message", ["no text"])
    results: list[ExecutionResult] = []
    for kind in (CompilingExecutor, StrawberryGraphQLCoreExecutionContext):
        executor = built(kind, STREAM).build_per_event_executor(batch(api, rows))
        results.append(executor.execute_operation(False))
    assert [each.path for each in results[0].errors or ()] == [
        ["runEvents", "records", 2, "message"]
    ]
    assert "message" in interpreted
    assert [str(each) for each in results[0].errors or ()] == [
        str(each) for each in results[1].errors or ()
    ]
    assert json.dumps(results[0].data) == json.dumps(results[1].data)


def test_a_value_of_no_type_that_it_may_have_is_refused_as_ever(api: Api) -> None:
    rows = stored(api)
    rows[0] = SimpleNamespace(record=rows[0].record, run=rows[0].run)  # type: ignore[call-overload]
    executor = built(CompilingExecutor, STREAM).build_per_event_executor(batch(api, rows))
    result = executor.execute_operation(False)
    (error,) = result.errors
    assert error.path == ["runEvents", "records", 0]
    assert "Expected value of type 'EventRecord'" in error.message


def test_a_long_stream_keeps_nothing_of_its_events(api: Api) -> None:
    rows = stored(api)
    executor = built(CompilingExecutor, STREAM)
    sizes = set()
    for _ in range(5):
        executor.build_per_event_executor(batch(api, rows)).execute_operation(False)
        sizes.add((len(executor._relevant_sub_fields), len(executor._compiled)))
    assert len(sizes) == 1


def test_operations_are_forgotten_when_there_are_many(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_REMEMBERED", 3)
    compiled._operations.clear()
    rows = stored(api)
    for number in range(10):
        document = STREAM.replace("endCursor", f"cursor{number}: endCursor")
        executor = built(CompilingExecutor, document).build_per_event_executor(batch(api, rows))
        assert executor.execute_operation(False).data["runEvents"][f"cursor{number}"] == "end"
        assert len(compiled._operations) <= 3
