"""`node`: every type of object that has a global id is found by it."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.api.node import FINDERS
from runwire.api.nodes import global_id
from runwire.api.opaque import pack
from runwire.control import NewBackfill
from runwire.coordinators.queued import QueuedRunCoordinator
from runwire.events import EventType
from runwire.events.payloads import AssetEventData
from runwire.instance.settings import Settings
from runwire.partitions import PartitionsKind, PartitionsSnapshot
from runwire.runs.queueing import QueueSettings, TagLimit
from runwire.snapshots import SensorSnapshot
from runwire.workspace import JobSelector
from tests.api.conftest import Api
from tests.webhooks.receiver import SECRET

NODE = "query($id: ID!) { node(id: $id) { __typename id } }"

EVERYTHING = """
query {
  viewer { __typename id }
  instance { __typename id daemons { __typename id } queue { __typename id limits { __typename id } }
    webhooks { __typename id } }
  pool(name: "db") { __typename id }
  asset(key: ["sales"]) { __typename id }
  codeLocations {
    __typename id
    repositories { __typename id jobs { __typename id partitions { nodes { __typename id } } } }
  }
  backfills { nodes { __typename id origin { __typename id } progress { __typename id } } }
  sensors { nodes { __typename id } }
  schedules { nodes { __typename id ticks { nodes { __typename id } } } }
  waiting: run(runId: "waiting") { __typename id queue { __typename id } }
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
    queue = QueueSettings(tag_limits=(TagLimit(key="team", is_per_value=True, max=1),))
    api.instance.run_coordinator = QueuedRunCoordinator(queue)
    api.create_run("waiting", tags=(("team", "a"),))
    api.store("waiting", EventType.RUN_ENQUEUED)
    api.create_run("failed")
    api.store("failed", EventType.RUN_STARTING, EventType.RUN_START)
    api.store("failed", EventType.STEP_START, step_key="load")
    api.store("failed", EventType.ASSET_MATERIALIZATION, data=AssetEventData(("sales",)))
    api.store("failed", EventType.RUN_FAILURE)
    api.tick("nightly", 1_700_000_000.0)
    webhook = {"name": "hook", "url": "https://example.org", "secret": SECRET}
    api.instance.settings = Settings.model_validate({"webhooks": [webhook]})
    api.instance.storage.pool_storage.set_pool_limit("db", 1)
    api.workspace.get_location("here").watch(SensorSnapshot("files"))
    regions = PartitionsSnapshot(PartitionsKind.STATIC, keys=("eu",))
    api.workspace.get_location("here").partition("etl", regions)
    api.instance.create_backfill(NewBackfill(job=JobSelector("etl")), api.workspace)
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
        global_id("RunQueue", "another"),
        global_id("RunQueue", "ephemeral"),  # it does not queue
        global_id("RunQueueState", "here"),
        global_id("RunQueueState", "gone"),
        global_id("ConcurrencyLimit", "INSTANCE", pack(None, None)),
        global_id("ConcurrencyLimit", "KEY", pack("team", None)),
        global_id("ConcurrencyLimit", "NONE", pack("team", None)),
        global_id("ConcurrencyLimit", "KEY", "team"),
        global_id("Schedule", "here", "main", "gone"),
        global_id("Schedule", "gone", "main", "nightly"),
        global_id("Sensor", "here", "main", "gone"),
        global_id("Tick", "1"),
        global_id("Tick", "01"),
        global_id("Tick", "9" * 5000),
        global_id("Tick", "x"),
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
