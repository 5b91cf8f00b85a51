"""`asset` and `assets`: what events have told of assets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from runwire.api.opaque import pack
from runwire.documents import load_document
from runwire.events import EventLogRecord, EventType
from runwire.events.metadata import AssetMetadata, MetadataEntry
from runwire.events.payloads import AssetEventData
from runwire.storage import AssetIndex, AssetsPage
from tests.api.conftest import Api

E = EventType

PAGE = """query ($prefix: [String!], $first: Int, $after: String) {
  assets(prefix: $prefix, first: $first, after: $after) {
    totalCount
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    edges { cursor node { key } }
    nodes { key }
  }
}"""

ONE = """query ($key: [String!]!) {
  asset(key: $key) {
    id
    key
    latestMaterialization { runId position message run { runId } }
    latestObservation { runId position message }
  }
}"""

EVENTS = """query ($key: [String!]!, $eventTypes: [EventType!], $partitions: [String!],
  $first: Int, $after: String, $last: Int, $before: String) {
  asset(key: $key) {
    events(eventTypes: $eventTypes, partitions: $partitions,
      first: $first, after: $after, last: $last, before: $before) {
      totalCount
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      nodes { position eventType }
    }
  }
}"""


@pytest.fixture
def index(api: Api) -> AssetIndex:
    return api.instance.storage.event_log_storage.asset_index


def tell(
    api: Api,
    key: Sequence[str],
    partition: str | None = None,
    *,
    run_id: str = "r1",
    event_type: EventType = E.ASSET_MATERIALIZATION,
    **values: Any,
) -> EventLogRecord:
    """Stores an event of an asset."""
    data = AssetEventData(tuple(key), partition, **values)
    (record,) = api.store(run_id, event_type, data=data)
    return record


async def page(api: Api, **variables: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await api.ask(PAGE, **variables))["assets"]
    return found


async def events(api: Api, *key: str, **variables: Any) -> dict[str, Any]:
    answer = await api.ask(EVENTS, key=list(key), **variables)
    found: dict[str, Any] = answer["asset"]["events"]
    return found


def keys_of(found: dict[str, Any]) -> list[str]:
    return ["/".join(node["key"]) for node in found["nodes"]]


def positions_of(found: dict[str, Any]) -> list[int]:
    return [node["position"] for node in found["nodes"]]


# ---------------------------------------------------------------- one asset


async def test_an_asset_tells_its_newest_events(api: Api) -> None:
    api.create_run("r1")
    api.create_run("r2")
    tell(api, ["sales", "daily"])
    made = tell(api, ["sales", "daily"], run_id="r2")
    seen = tell(api, ["sales", "daily"], event_type=E.ASSET_OBSERVATION)
    tell(api, ["sales"])
    found = (await api.ask(ONE, key=["sales", "daily"]))["asset"]
    assert found["key"] == ["sales", "daily"]
    assert found["latestMaterialization"] == {
        "runId": "r2",
        "position": made.position,
        "message": "ASSET_MATERIALIZATION",
        "run": {"runId": "r2"},
    }
    assert found["latestObservation"] == {
        "runId": "r1",
        "position": seen.position,
        "message": "ASSET_OBSERVATION",
    }


async def test_an_asset_that_is_only_planned_has_no_newest_event(api: Api) -> None:
    api.create_run("r1")
    tell(api, ["a"], event_type=E.ASSET_MATERIALIZATION_PLANNED)
    found = (await api.ask(ONE, key=["a"]))["asset"]
    assert (found["latestMaterialization"], found["latestObservation"]) == (None, None)


@pytest.mark.parametrize("key", [[], ["sales"], ["sales", "daily", "x"], ["Sales", "daily"]])
async def test_an_asset_that_no_event_named_is_null(api: Api, key: list[str]) -> None:
    api.create_run("r1")
    tell(api, ["sales", "daily"])
    assert await api.ask(ONE, key=key) == {"asset": None}


async def test_an_asset_that_was_wiped_is_null_until_its_next_event(
    api: Api, index: AssetIndex
) -> None:
    api.create_run("r1")
    tell(api, ["a"])
    index.wipe_asset(("a",))
    assert await api.ask(ONE, key=["a"]) == {"asset": None}
    made = tell(api, ["a"])
    found = (await api.ask(ONE, key=["a"]))["asset"]
    assert found["latestMaterialization"]["position"] == made.position


async def test_an_asset_outlives_its_run(api: Api) -> None:
    api.create_run("r1")
    made = tell(api, ["a"])
    api.instance.storage.delete_run("r1")
    found = (await api.ask(ONE, key=["a"]))["asset"]
    assert found["latestMaterialization"] == {
        "runId": "r1",
        "position": made.position,
        "message": "ASSET_MATERIALIZATION",
        "run": None,
    }


@pytest.mark.parametrize("key", [["a"], ["ä", "日本 😀", ""], ['"', "\\", "["]])
async def test_an_asset_is_found_by_its_global_id(
    api: Api, index: AssetIndex, key: list[str]
) -> None:
    api.create_run("r1")
    tell(api, key)
    asset_id = (await api.ask(ONE, key=key))["asset"]["id"]
    document = "query ($id: ID!) { node(id: $id) { __typename id ... on Asset { key } } }"
    found = (await api.ask(document, id=asset_id))["node"]
    assert found == {"__typename": "Asset", "id": asset_id, "key": key}
    index.wipe_asset(tuple(key))
    assert await api.ask(document, id=asset_id) == {"node": None}


@pytest.mark.parametrize("text", ["", "a", "{}", "[1]", '"a"', '["none"]', '["\\ud800"]'])
async def test_a_global_id_of_no_asset_finds_nothing(api: Api, text: str) -> None:
    document = "query ($id: ID!) { node(id: $id) { id } }"
    assert await api.ask(document, id=pack("Asset", text)) == {"node": None}


async def test_a_key_that_is_not_unicode_is_refused(api: Api) -> None:
    code, message = await api.refusal(ONE, key=["\ud800"])
    assert (code, message) == ("INVALID_ARGUMENT", "the text is not valid Unicode")
    code, _ = await api.refusal(PAGE, prefix=["a", "\ud800"])
    assert code == "INVALID_ARGUMENT"


# ---------------------------------------------------------------- pages of assets


def fill(api: Api) -> None:
    """Five assets, two of them with keys that begin with `sales`."""
    api.create_run("r1")
    for key in (["stock"], ["sales", "weekly"], ["a"], ["sales", "daily"], ["salesman"]):
        tell(api, key)


IN_ORDER = ["a", "sales/daily", "sales/weekly", "salesman", "stock"]


async def test_assets_come_by_key(api: Api) -> None:
    fill(api)
    found = await page(api)
    assert keys_of(found) == IN_ORDER
    assert [edge["node"] for edge in found["edges"]] == found["nodes"]
    assert found["totalCount"] == 5
    assert found["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": False,
        "startCursor": found["edges"][0]["cursor"],
        "endCursor": found["edges"][-1]["cursor"],
    }


async def test_there_may_be_no_assets(api: Api) -> None:
    assert await page(api) == {
        "totalCount": 0,
        "pageInfo": {
            "hasNextPage": False,
            "hasPreviousPage": False,
            "startCursor": None,
            "endCursor": None,
        },
        "edges": [],
        "nodes": [],
    }


@pytest.mark.parametrize("first", [1, 2, 3, 5])
async def test_pages_meet(api: Api, first: int) -> None:
    fill(api)
    read: list[str] = []
    after = None
    while len(read) < 5:
        found = await page(api, first=first, after=after)
        assert found["totalCount"] == 5
        assert found["pageInfo"]["hasPreviousPage"] == bool(read)
        read += keys_of(found)
        assert found["pageInfo"]["hasNextPage"] == (len(read) < 5)
        after = found["pageInfo"]["endCursor"]
    assert read == IN_ORDER
    last = await page(api, after=after)
    assert (keys_of(last), last["pageInfo"]["hasPreviousPage"]) == ([], True)


async def test_a_prefix_is_whole_parts(api: Api) -> None:
    fill(api)
    found = await page(api, prefix=["sales"], first=1)
    assert (keys_of(found), found["totalCount"]) == (["sales/daily"], 2)
    rest = await page(api, prefix=["sales"], after=found["pageInfo"]["endCursor"])
    assert (keys_of(rest), rest["pageInfo"]["hasPreviousPage"]) == (["sales/weekly"], True)
    assert keys_of(await page(api, prefix=[])) == keys_of(await page(api, prefix=None)) == IN_ORDER


async def test_the_asset_of_a_cursor_may_be_gone(api: Api, index: AssetIndex) -> None:
    fill(api)
    first = await page(api, first=1)
    index.wipe_asset(("a",))
    rest = await page(api, after=first["pageInfo"]["endCursor"])
    assert keys_of(rest) == IN_ORDER[1:]
    assert not rest["pageInfo"]["hasPreviousPage"]
    assert rest["totalCount"] == 4


@pytest.mark.parametrize(
    "cursor", ["", "x", pack(1, "runs", "a"), pack(2, "assets", "a"), pack(1, "assets", 2)]
)
async def test_a_foreign_cursor_is_refused(api: Api, cursor: str) -> None:
    code, message = await api.refusal(PAGE, after=cursor)
    assert code == "CURSOR_INVALID"
    assert message.startswith(f"{cursor!r} is not a cursor of a list of assets")


@pytest.mark.parametrize("first", [0, -1, 101])
async def test_a_page_has_1_to_100_assets(api: Api, first: int) -> None:
    code, message = await api.refusal(PAGE, first=first)
    assert (code, message) == ("INVALID_ARGUMENT", f"`first` is {first}; give 1 to 100")


# ---------------------------------------------------------------- events of one asset


def fill_events(api: Api) -> None:
    """Of the asset `a`, events 1, 2, 4, 5 and 6 of the run; 3 is of another."""
    api.create_run("r1")
    tell(api, ["a"], "mon")
    tell(api, ["a"], "tue")
    tell(api, ["a", "b"], "mon")
    tell(api, ["a"], event_type=E.ASSET_OBSERVATION)
    tell(api, ["a"], "mon", event_type=E.ASSET_MATERIALIZATION_PLANNED)
    tell(api, ["a"])


@pytest.mark.parametrize(
    ("variables", "positions"),
    [
        ({}, [1, 2, 4, 5, 6]),
        ({"eventTypes": ["ASSET_MATERIALIZATION"]}, [1, 2, 6]),
        ({"eventTypes": ["ASSET_OBSERVATION", "ASSET_MATERIALIZATION_PLANNED"]}, [4, 5]),
        ({"eventTypes": []}, []),
        ({"partitions": ["mon"]}, [1, 5]),
        ({"partitions": ["mon", "tue"], "eventTypes": ["ASSET_MATERIALIZATION"]}, [1, 2]),
    ],
)
async def test_the_events_of_an_asset(
    api: Api, variables: dict[str, Any], positions: list[int]
) -> None:
    fill_events(api)
    found = await events(api, "a", **variables)
    assert positions_of(found) == positions
    assert found["totalCount"] == len(positions)


async def test_events_are_paged_from_both_ends(api: Api) -> None:
    fill_events(api)
    newest = await events(api, "a", last=2)
    assert positions_of(newest) == [5, 6]
    assert (newest["pageInfo"]["hasPreviousPage"], newest["pageInfo"]["hasNextPage"]) == (
        True,
        False,
    )
    older = await events(api, "a", last=3, before=newest["pageInfo"]["startCursor"])
    assert positions_of(older) == [1, 2, 4]
    assert (older["pageInfo"]["hasPreviousPage"], older["pageInfo"]["hasNextPage"]) == (False, True)
    rest = await events(api, "a", first=2, after=older["pageInfo"]["startCursor"])
    assert positions_of(rest) == [2, 4]
    assert (rest["pageInfo"]["hasPreviousPage"], rest["pageInfo"]["hasNextPage"]) == (True, True)


async def test_events_from_before_a_wipe_are_not_those_of_the_asset(
    api: Api, index: AssetIndex
) -> None:
    fill_events(api)
    before = await events(api, "a", first=1)
    index.wipe_asset(("a",))
    tell(api, ["a"])
    for variables in ({}, {"after": before["pageInfo"]["endCursor"]}, {"last": 5}):
        found = await events(api, "a", **variables)
        assert (positions_of(found), found["totalCount"]) == ([7], 1)
        assert found["pageInfo"]["hasPreviousPage"] is False
    found = await events(api, "a", before=before["pageInfo"]["endCursor"])
    assert positions_of(found) == []
    # The log itself keeps them.
    document = """{ eventRecords(filter: {eventTypes: [ASSET_MATERIALIZATION], assetKeys: [["a"]]}) {
      totalCount
    } }"""
    assert await api.ask(document) == {"eventRecords": {"totalCount": 4}}


async def test_the_newest_event_outlives_a_purge_though_the_others_go(api: Api) -> None:
    fill_events(api)
    logs = api.instance.storage.event_log_storage
    logs.purge_instance_log(logs.get_instance_log_span().head)
    found = (await api.ask(ONE, key=["a"]))["asset"]
    assert found["latestMaterialization"]["position"] == 6
    assert positions_of(await events(api, "a")) == []


async def test_a_type_that_is_no_assets_is_refused(api: Api) -> None:
    fill_events(api)
    code, message = await api.refusal(EVENTS, key=["a"], eventTypes=["RUN_START"])
    assert code == "INVALID_ARGUMENT"
    assert message == (
        "RUN_START is no event of an asset; give ASSET_MATERIALIZATION,"
        " ASSET_MATERIALIZATION_PLANNED, ASSET_OBSERVATION"
    )


# ---------------------------------------------------------------- links


LINKS = """{ run(runId: "r1") { events { nodes { data { ... on AssetEventData {
  asset { key latestMaterialization { position } }
  metadata { value { ... on AssetMetadata { assetKey asset { key } } } }
} } } } } }"""


def links_in(answer: Any) -> list[Any]:
    return [node["data"] for node in answer["run"]["events"]["nodes"]]


async def test_events_link_to_their_assets(api: Api, index: AssetIndex) -> None:
    api.create_run("r1")
    metadata = (
        MetadataEntry("from", AssetMetadata(("b",))),
        MetadataEntry("nowhere", AssetMetadata(("none",))),
    )
    tell(api, ["a"], metadata=metadata)
    tell(api, ["b"])
    tell(api, ["a"])
    first, second, third = links_in(await api.ask(LINKS))
    assert first["asset"] == {"key": ["a"], "latestMaterialization": {"position": 3}}
    assert [entry["value"] for entry in first["metadata"]] == [
        {"assetKey": ["b"], "asset": {"key": ["b"]}},
        {"assetKey": ["none"], "asset": None},
    ]
    assert second["asset"]["key"] == ["b"]
    assert third["asset"] == first["asset"]
    index.wipe_asset(("a",))
    assert [link["asset"] and link["asset"]["key"] for link in links_in(await api.ask(LINKS))] == [
        None,
        ["b"],
        None,
    ]


async def test_many_links_are_read_at_once(
    api: Api, index: AssetIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.create_run("r1")
    for n in range(30):
        tell(api, [f"{n:02}"])
    asked: list[int] = []
    read = index.get_asset_records

    def count(keys: Any = None, **values: Any) -> AssetsPage:
        asked.append(len(keys))
        return read(keys, **values)

    monkeypatch.setattr(index, "get_asset_records", count)
    found = links_in(await api.ask(LINKS))
    assert [link["asset"]["key"] for link in found] == [[f"{n:02}"] for n in range(30)]
    assert asked == [30]


async def test_the_runs_of_many_assets_are_read_at_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(20):
        api.create_run(f"r{n}")
        tell(api, [f"{n:02}"], run_id=f"r{n}")
    runs = api.instance.storage.run_storage
    asked: list[Any] = []
    read = runs.get_run_records

    def count(*args: Any, **values: Any) -> Any:
        asked.append(args)
        return read(*args, **values)

    monkeypatch.setattr(runs, "get_run_records", count)
    monkeypatch.setattr(runs, "find_run_record", None)
    document = "{ assets { nodes { latestMaterialization { run { runId } } } } }"
    found = (await api.ask(document))["assets"]["nodes"]
    assert [node["latestMaterialization"]["run"]["runId"] for node in found] == [
        f"r{n}" for n in range(20)
    ]
    assert len(asked) == 1


# ---------------------------------------------------------------- the document


async def test_the_document_of_the_page(api: Api) -> None:
    fill_events(api)
    document = load_document("AssetsPage")
    found = await api.ask(document)
    assert keys_of(found["assets"]) == ["a/b", "a"]
    assert found["assets"]["nodes"][1]["latestMaterialization"]["data"]["assetKey"] == ["a"]
    assert "asset" not in found
    found = await api.ask(document, key=["a"], one=True)
    assert types_of(found["asset"]["events"]) == ["ASSET_MATERIALIZATION"] * 2 + [
        "ASSET_OBSERVATION",
        "ASSET_MATERIALIZATION_PLANNED",
        "ASSET_MATERIALIZATION",
    ]


def types_of(found: dict[str, Any]) -> list[str]:
    return [node["eventType"] for node in found["nodes"]]
