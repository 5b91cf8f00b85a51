"""`node`: every type of object that has a global id is found by it."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.api.node import FINDERS
from runwire.api.nodes import global_id
from runwire.events import EventType
from runwire.events.payloads import AssetEventData
from tests.api.conftest import Api

NODE = "query($id: ID!) { node(id: $id) { __typename id } }"

EVERYTHING = """
query {
  viewer { __typename id }
  instance { __typename id daemons { __typename id } }
  asset(key: ["sales"]) { __typename id }
  codeLocations {
    __typename id
    repositories { __typename id jobs { __typename id } }
  }
  run(runId: "failed") {
    __typename id
    origin { __typename id job { __typename id } }
    group { __typename id }
    stats { __typename id }
    failure { __typename id }
    steps { nodes { __typename id } }
    events { nodes { __typename id } }
  }
}
"""


def nodes_in(value: Any) -> dict[str, str]:
    """The type names of all objects with an id, by id."""
    if isinstance(value, list):
        return {key: name for item in value for key, name in nodes_in(item).items()}
    if not isinstance(value, dict):
        return {}
    found = {key: name for item in value.values() for key, name in nodes_in(item).items()}
    if "id" in value:
        found[value["id"]] = value["__typename"]
    return found


async def test_every_object_with_an_id_is_found_by_it(api: Api) -> None:
    api.create_run("failed")
    api.store("failed", EventType.RUN_STARTING, EventType.RUN_START)
    api.store("failed", EventType.STEP_START, step_key="load")
    api.store("failed", EventType.ASSET_MATERIALIZATION, data=AssetEventData(("sales",)))
    api.store("failed", EventType.RUN_FAILURE)
    nodes = nodes_in(await api.ask(EVERYTHING))
    assert set(nodes.values()) == set(FINDERS)
    for key, type_name in nodes.items():
        answer = await api.ask(NODE, id=key)
        assert answer == {"node": {"__typename": type_name, "id": key}}


async def test_statistics_of_a_run_that_has_not_ended_are_found(api: Api) -> None:
    api.create_run("r1")
    key = global_id("RunStats", "r1")
    document = "query($id: ID!) { node(id: $id) { ... on RunStats { stepsPlanned } } }"
    assert await api.ask(document, id=key) == {"node": {"stepsPlanned": 2}}


@pytest.mark.parametrize(
    "key",
    [
        global_id("Run", "gone"),
        global_id("Run", "\ud800"),
        global_id("RunOrigin", "gone"),
        global_id("RunGroup", "gone"),
        global_id("RunFailure", "gone"),
        global_id("RunFailure", "here"),
        global_id("RunStats", "gone"),
        global_id("RunStep", "gone", "load"),
        global_id("RunStep", "here", "gone"),
        global_id("EventRecord", "gone", "log", "1"),
        global_id("EventRecord", "here", "another log", "1"),
        global_id("CodeLocation", "gone"),
        global_id("Repository", "gone", "main"),
        global_id("Repository", "here", "gone"),
        global_id("Job", "here", "main", "gone"),
        global_id("Job", "gone", "main", "etl"),
        global_id("Viewer", "somebody else"),
        global_id("Instance", "another"),
        global_id("DaemonStatus", "QUEUE"),
    ],
)
async def test_what_is_not_there_is_null(api: Api, key: str) -> None:
    api.create_run("here")
    api.store("here", None)
    assert await api.ask(NODE, id=key) == {"node": None}


@pytest.mark.parametrize("position", ["0", "2", "-1", "1.0", "x", "", "9" * 40, "١"])
async def test_a_record_is_found_by_its_position_only(api: Api, position: str) -> None:
    log_id = api.create_run("here").log_id
    api.store("here", None)
    assert await api.ask(NODE, id=global_id("EventRecord", "here", log_id, position)) == {
        "node": None
    }


@pytest.mark.parametrize(
    "key",
    [
        "here",
        "",
        "!",
        global_id("Nothing", "x"),
        global_id("Run", "a", "b"),
        global_id("Job", "etl"),
    ],
)
async def test_what_is_no_id_of_this_api_is_refused(api: Api, key: str) -> None:
    code, message = await api.refusal(NODE, id=key)
    assert code == "INVALID_ARGUMENT"
    assert "global id" in message or "is of no type that this version has" in message
