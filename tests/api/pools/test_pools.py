"""Concurrency pools over the API: their limits, and who holds their slots and waits."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.documents import load_document
from runwire.events import EventType
from runwire.storage import SlotClaim
from tests.api.conftest import Api

SET, DELETE = load_document("SetPoolLimit"), load_document("DeletePoolLimit")
POOLS = load_document("PoolsPage")
POOL = """query ($name: String!) { pool(name: $name) {
  id name limit hasDefaultLimit used waitingCount
  slots(first: 1) { runId stepKey run { runId } } waiting(first: 1) { runId stepKey run { runId } }
} }"""


def _claim(api: Api, run_id: str, *step_keys: str, at: float = 1.0) -> None:
    api.create_run(run_id)
    entry_types = (EventType.RUN_STARTING, EventType.RUN_START)
    api.store(run_id, *entry_types)
    record = api.instance.storage.get_run_record(run_id)
    for number, step_key in enumerate(step_keys):
        claim = SlotClaim(pool="db", run_id=run_id, step_key=step_key, epoch=record.worker_epoch)
        api.instance.storage.pool_storage.claim_slot(claim, default_limit=None, now=at + number)


async def _set(api: Api, name: str, limit: int) -> dict[str, Any]:
    answer: dict[str, Any] = await api.ask(SET, input={"name": name, "limit": limit})
    found: dict[str, Any] = answer["setPoolLimit"]
    return found


async def test_a_pool_tells_its_limit_and_who_holds_and_wants_its_slots(api: Api) -> None:
    assert (await _set(api, "db", 2))["pool"]["limit"] == 2
    _claim(api, "r1", "a", "b", "c", "d")
    pool = (await api.ask(POOL, name="db"))["pool"]
    assert (pool["name"], pool["limit"], pool["hasDefaultLimit"]) == ("db", 2, False)
    assert (pool["used"], pool["waitingCount"]) == (2, 2)
    assert pool["slots"] == [{"runId": "r1", "stepKey": "a", "run": {"runId": "r1"}}]
    assert pool["waiting"] == [{"runId": "r1", "stepKey": "c", "run": {"runId": "r1"}}]
    found = await api.ask("query ($id: ID!) { node(id: $id) { __typename id } }", id=pool["id"])
    assert found["node"] == {"__typename": "Pool", "id": pool["id"]}


async def test_a_limit_that_is_deleted_is_the_default_again(api: Api) -> None:
    await _set(api, "db", 2)
    _claim(api, "r1", "a")
    answer = (await api.ask(DELETE, input={"name": "db"}))["deletePoolLimit"]
    assert answer["__typename"] == "DeletePoolLimitSuccess"
    assert (answer["pool"]["limit"], answer["pool"]["hasDefaultLimit"]) == (None, True)
    assert answer["pool"]["used"] == 1
    again = (await api.ask(DELETE, input={"name": "db"}))["deletePoolLimit"]
    assert (again["__typename"], again["name"]) == ("PoolNotFound", "db")


async def test_a_pool_that_nobody_knows_is_null(api: Api) -> None:
    assert (await api.ask(POOL, name="db"))["pool"] is None


async def test_pools_are_listed_by_name_page_by_page(api: Api) -> None:
    for name in ("c", "a", "b"):
        await _set(api, name, 1)
    names, page = [], {"hasNextPage": True, "endCursor": None}
    while page["hasNextPage"]:
        found = (await api.ask(POOLS, first=2, after=page["endCursor"]))["pools"]
        names.append([node["name"] for node in found["nodes"]])
        page = found["pageInfo"]
        assert found["totalCount"] == 3
    assert names == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    ("name", "limit", "path"),
    [("", 1, "name"), ("our db", 1, "name"), ("\udc80", 1, "name"), ("db", 1_000_001, "limit")],
)
async def test_what_is_refused_is_told_with_its_place(
    api: Api, name: str, limit: int, path: str
) -> None:
    answer = await _set(api, name, limit)
    assert (answer["__typename"], answer["path"]) == ("InputInvalid", ["input", path])
    assert (await api.ask(POOLS))["pools"]["nodes"] == []
