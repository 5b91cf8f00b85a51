"""Runs that re-execute others, in the API."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.api.nodes import global_id
from tests.api.conftest import Api
from tests.api.runs.test_types import counted, run

LINEAGE = "parentRun { runId } rootRun { runId } group { rootRunId runs { nodes { runId } } }"


def add_group(api: Api, root: str, *others: str) -> None:
    """A run, and others each of which re-executes the one before it."""
    api.add_run(root)
    parent = root
    for run_id in others:
        api.add_run(run_id, parent_run_id=parent, root_run_id=root)
        parent = run_id


def lineage(parent: str | None, root: str | None, group: str, *members: str) -> dict[str, Any]:
    return {
        "parentRun": parent and {"runId": parent},
        "rootRun": root and {"runId": root},
        "group": {"rootRunId": group, "runs": {"nodes": [{"runId": each} for each in members]}},
    }


async def test_a_run_tells_where_it_comes_from(api: Api) -> None:
    add_group(api, "a", "b", "c")
    add_group(api, "other")
    assert await run(api, LINEAGE, "a") == lineage(None, "a", "a", "a", "b", "c")
    assert await run(api, LINEAGE, "b") == lineage("a", "a", "a", "a", "b", "c")
    assert await run(api, LINEAGE, "c") == lineage("b", "a", "a", "a", "b", "c")
    assert await run(api, LINEAGE, "other") == lineage(None, "other", "other", "other")
    assert await run(api, "tags { key value }", "c") == {
        "tags": [
            {"key": "runwire/parent_run_id", "value": "b"},
            {"key": "runwire/root_run_id", "value": "a"},
        ]
    }


async def test_a_group_outlives_its_root(api: Api) -> None:
    add_group(api, "a", "b", "c")
    for run_id in ("a", "b"):
        api.instance.storage.delete_run(run_id)
    assert await run(api, LINEAGE, "c") == lineage(None, None, "a", "c")


async def test_a_group_is_read_in_pages(api: Api) -> None:
    add_group(api, "a", "b", "c")
    document = """query($after: String) { run(runId: "b") { group { runs(first: 2, after: $after) {
      totalCount headCursor edges { cursor node { runId } } pageInfo { hasNextPage hasPreviousPage endCursor }
    } } } }"""
    first = (await api.ask(document))["run"]["group"]["runs"]
    assert [edge["node"]["runId"] for edge in first["edges"]] == ["a", "b"]
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"]) == (3, True)
    head = (await api.ask("{ runs { headCursor } }"))["runs"]["headCursor"]
    assert first["headCursor"] == head
    second = (await api.ask(document, after=first["pageInfo"]["endCursor"]))["run"]["group"]["runs"]
    assert [edge["node"]["runId"] for edge in second["edges"]] == ["c"]
    assert second["pageInfo"]["hasPreviousPage"]
    assert not second["pageInfo"]["hasNextPage"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("first: 0", "INVALID_ARGUMENT"),
        ("first: 101", "INVALID_ARGUMENT"),
        ('after: "x"', "CURSOR_INVALID"),
    ],
)
async def test_a_page_that_cannot_be_had_is_refused(api: Api, arguments: str, code: str) -> None:
    add_group(api, "a")
    document = f'{{ run(runId: "a") {{ group {{ runs({arguments}) {{ totalCount }} }} }} }}'
    assert (await api.refusal(document))[0] == code


async def test_a_cursor_that_is_refused_leaves_the_other_pages(api: Api) -> None:
    add_group(api, "a", "b")
    answer = await api.execute(
        """{
          good: runs { nodes { runId } }
          run(runId: "a") { group { good: runs { totalCount } } other: group { bad: runs(after: "x") { totalCount } } }
        }"""
    )
    assert answer.data is not None
    assert [error.path for error in answer.errors or ()] == [["run", "other", "bad"]]


async def test_a_page_of_runs_reads_lineage_and_groups_at_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_group(api, "a", "b", "c", "d")
    add_group(api, "x", "y")
    reads = counted(api, monkeypatch, api.lanes, "read")
    pages = counted(api, monkeypatch, api.instance.storage.run_storage, "get_run_records")
    answer = await api.ask(f"{{ runs(first: 5) {{ nodes {{ runId {LINEAGE} }} }} }}")
    assert answer["runs"]["nodes"] == [
        {"runId": "y"} | lineage("x", "x", "x", "x", "y"),
        {"runId": "x"} | lineage(None, "x", "x", "x", "y"),
        {"runId": "d"} | lineage("c", "a", "a", "a", "b", "c", "d"),
        {"runId": "c"} | lineage("b", "a", "a", "a", "b", "c", "d"),
        {"runId": "b"} | lineage("a", "a", "a", "a", "b", "c", "d"),
    ]
    assert len(reads) == 3  # the page, the runs that it names, and the groups
    assert len(pages) == 4  # of them the groups are two


async def test_runs_are_filtered_by_their_root(api: Api) -> None:
    add_group(api, "a", "b", "c")
    add_group(api, "x", "y")
    document = """query($filter: RunsFilter) {
      runs(filter: $filter) { totalCount nodes { runId } }
    }"""
    for wanted, found in [
        ({"rootRunId": "a"}, "cba"),
        ({"rootRunId": "x"}, "yx"),
        ({"rootRunId": "b"}, ""),
        ({"rootRunId": "a", "runIds": ["b", "y"]}, "b"),
    ]:
        runs = (await api.ask(document, filter=wanted))["runs"]
        assert "".join(node["runId"] for node in runs["nodes"]) == found
        assert runs["totalCount"] == len(found)
    code, _ = await api.refusal(document, filter={"rootRunId": "\ud800"})
    assert code == "INVALID_ARGUMENT"


async def test_runs_are_deleted_by_their_root(api: Api) -> None:
    add_group(api, "a", "b")
    add_group(api, "x")
    document = """mutation($dryRun: Boolean!) {
      deleteRuns(input: {filter: {rootRunId: "a"}, dryRun: $dryRun}) { ... on DeleteRunsSuccess { runIds } }
    }"""
    for dry_run in (True, False):
        answer = await api.ask(document, dryRun=dry_run)
        assert answer == {"deleteRuns": {"runIds": ["a", "b"]}}
    assert (await api.ask("{ runs { nodes { runId } } }"))["runs"]["nodes"] == [{"runId": "x"}]


async def test_a_group_is_found_as_long_as_it_has_a_run(api: Api) -> None:
    add_group(api, "a", "b")
    document = "query($id: ID!) { node(id: $id) { ... on RunGroup { rootRunId } } }"
    for run_id in ("a", "b"):
        assert await api.ask(document, id=global_id("RunGroup", "a")) == {
            "node": {"rootRunId": "a"}
        }
        api.instance.storage.delete_run(run_id)
    assert await api.ask(document, id=global_id("RunGroup", "a")) == {"node": None}
