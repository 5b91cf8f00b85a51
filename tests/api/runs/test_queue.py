"""The queue as the API tells of it: its limits and their use, the order of its runs, and why each waits."""

from __future__ import annotations

from typing import Any

import pytest

from runwire import clock
from runwire.control import claim_run
from runwire.control.dequeue_run import put_back
from runwire.coordinators.queued import QueuedRunCoordinator
from runwire.documents import load_document
from runwire.errors import CodeLocationUnavailableError
from runwire.events import EventType
from runwire.runs.queueing import QueueSettings, TagLimit
from runwire.runs.tags import PRIORITY_TAG
from runwire.storage import DaemonHeartbeat
from tests.api.conftest import Api

T = EventType
QUEUE_PAGE = load_document("QueuePage")
BLOCKS = """query($id: ID!) { run(runId: $id) { queue {
  position priority enqueuedAt attempts
  blockedBy { reason message retryAt codeLocation { name } limit { key value max used } }
} } }"""


def _set_up(api: Api, *limits: TagLimit, daemon: bool = True, **settings: Any) -> QueueSettings:
    """Has the instance queue runs, with a live daemon or without."""
    queue = QueueSettings(tag_limits=limits, **settings)
    api.instance.run_coordinator = QueuedRunCoordinator(queue)
    if daemon:
        now = clock.timestamp()
        beat = DaemonHeartbeat(
            daemon_type="QUEUE", daemon_id="d", hostname="h", timestamp=now, progress_at=now
        )
        api.instance.add_daemon_heartbeat(beat)
    return queue


def _queue(api: Api, run_id: str, **tags: str) -> None:
    api.create_run(run_id, tags=tuple(tags.items()))
    api.store(run_id, T.RUN_ENQUEUED)


def _start(api: Api, run_id: str, **tags: str) -> None:
    api.create_run(run_id, tags=tuple(tags.items()))
    api.store(run_id, T.RUN_STARTING, T.RUN_START)


async def _state(api: Api, run_id: str) -> Any:
    return (await api.ask(BLOCKS, id=run_id))["run"]["queue"]


async def _reasons(api: Api, run_id: str) -> list[str]:
    return [block["reason"] for block in (await _state(api, run_id))["blockedBy"]]


async def test_the_queue_is_told_in_its_order_page_by_page(api: Api) -> None:
    _set_up(api, TagLimit(key="squad", max=2), max_concurrent_runs=4)
    _start(api, "running", squad="a")
    for number in range(3):
        _queue(api, f"low-{number}", squad="a")
    api.create_run("high", tags=((PRIORITY_TAG, "5"),))
    api.store("high", T.RUN_ENQUEUED)
    queue = (await api.ask(QUEUE_PAGE, first=3))["instance"]["queue"]
    assert (queue["maxConcurrentRuns"], queue["queuedCount"], queue["inProgressCount"]) == (4, 4, 1)
    told = [
        (each["key"], each["value"], each["max"], each["used"], each["waiting"])
        for each in queue["limits"]
    ]
    assert told == [(None, None, 4, 1, 0), ("squad", None, 2, 1, 0)]
    page = queue["runs"]
    assert [run["runId"] for run in page["nodes"]] == ["high", "low-0", "low-1"]
    assert [run["queue"]["position"] for run in page["nodes"]] == [1, 2, 3]
    assert [run["queue"]["priority"] for run in page["nodes"]] == [5, 0, 0]
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (4, True)
    rest = await api.ask(QUEUE_PAGE, first=3, after=page["pageInfo"]["endCursor"])
    rest = rest["instance"]["queue"]["runs"]
    assert [run["runId"] for run in rest["nodes"]] == ["low-2"]
    assert rest["pageInfo"]["hasNextPage"] is False


async def test_each_page_is_as_the_queue_is_now(api: Api) -> None:
    _set_up(api)
    document = "{ instance { queue { queuedCount runs { nodes { runId } } } } }"

    async def runs() -> list[str]:
        queue = (await api.ask(document))["instance"]["queue"]
        assert queue["queuedCount"] == len(queue["runs"]["nodes"])
        return [run["runId"] for run in queue["runs"]["nodes"]]

    assert await runs() == []
    _queue(api, "one")
    _queue(api, "two")
    assert await runs() == ["one", "two"]
    api.store("one", T.RUN_CANCELED)
    assert await runs() == ["two"]
    api.instance.storage.delete_run("two")
    assert await runs() == []


@pytest.mark.parametrize("cursor", ["", "x", "WzEsInF1ZXVlIl0", "WzEsInJ1bnMiLDAsMCwxXQ"])
async def test_a_cursor_of_another_list_is_refused(api: Api, cursor: str) -> None:
    _set_up(api)
    code, message = await api.refusal(QUEUE_PAGE, after=cursor)
    assert (code, "is not a cursor of the queue" in message) == ("CURSOR_INVALID", True)


async def test_without_a_queue_there_is_none(api: Api) -> None:
    assert await api.ask("{ instance { queue { id } } }") == {"instance": {"queue": None}}


async def test_a_run_that_does_not_wait_has_no_place(api: Api) -> None:
    _set_up(api)
    _start(api, "running")
    assert await _state(api, "running") is None


async def test_the_next_run_waits_for_nothing(api: Api) -> None:
    _set_up(api, max_concurrent_runs=1)
    _queue(api, "next")
    _queue(api, "second")
    assert (await _state(api, "next"))["blockedBy"] == []
    assert await _reasons(api, "second") == ["RUNS_AHEAD"]


async def test_the_limits_that_are_reached_are_told_with_who_holds_them(api: Api) -> None:
    _set_up(
        api,
        TagLimit(key="squad", is_per_value=True, max=1),
        TagLimit(key="sort", max=0),
        max_concurrent_runs=1,
    )
    _start(api, "running", squad="a")
    _queue(api, "waiting", squad="a", sort="x")
    state = await _state(api, "waiting")
    told = [(block["reason"], block["message"]) for block in state["blockedBy"]]
    assert told == [
        ("INSTANCE_LIMIT", "The limit of 1 runs in progress is reached: 1 are."),
        ("TAG_LIMIT", "The limit of 1 runs in progress with tag squad=a is reached: 1 are."),
        ("TAG_LIMIT", "The limit of 0 runs in progress with tag sort is reached: 0 are."),
    ]
    assert [block["limit"]["key"] for block in state["blockedBy"]] == [None, "squad", "sort"]
    document = """{ instance { queue { limits { key waiting holders { runId } } } } }"""
    limits = (await api.ask(document))["instance"]["queue"]["limits"]
    holders = {each["key"]: [run["runId"] for run in each["holders"]] for each in limits}
    assert holders == {None: ["running"], "squad": ["running"], "sort": []}
    assert [each["waiting"] for each in limits] == [1, 1, 1]


async def test_runs_ahead_that_wait_for_something_else_do_not_count(api: Api) -> None:
    _set_up(api, TagLimit(key="squad", max=0), max_concurrent_runs=1)
    _queue(api, "blocked", squad="a")
    _queue(api, "next")
    assert await _reasons(api, "next") == []


async def test_a_paused_queue_says_so(api: Api) -> None:
    _set_up(api, max_concurrent_runs=0)
    _queue(api, "waiting")
    assert await _reasons(api, "waiting") == ["QUEUE_PAUSED"]


async def test_a_daemon_that_is_not_there_is_missed(api: Api) -> None:
    _set_up(api, daemon=False)
    _queue(api, "waiting")
    assert await _reasons(api, "waiting") == ["DAEMON_NOT_RUNNING"]


async def test_a_run_that_waits_where_nobody_queues_says_so(api: Api) -> None:
    _queue(api, "waiting")
    (block,) = (await _state(api, "waiting"))["blockedBy"]
    assert block["reason"] == "DAEMON_NOT_RUNNING"
    assert "set run_coordinator" in block["message"]


async def test_a_code_location_that_is_not_loaded_is_told(api: Api) -> None:
    _set_up(api)
    _queue(api, "waiting")
    record = api.instance.storage.get_run_record("waiting")
    api.workspace.get_location(record.run.location_name or "").fail()
    (block,) = (await _state(api, "waiting"))["blockedBy"]
    assert block["reason"] == "CODE_LOCATION_UNAVAILABLE"
    assert block["codeLocation"] == {"name": record.run.location_name}
    assert block["retryAt"] is None


async def test_a_code_location_that_did_not_answer_is_tried_again_at_a_time(api: Api) -> None:
    settings = _set_up(api, user_code_failure_retry_delay=3600.0)
    _queue(api, "first")
    _queue(api, "second")
    assert await _reasons(api, "first") == []
    storage = api.instance.storage
    record = claim_run(storage, settings, "first")
    name = record.run.location_name or ""
    assert put_back(storage, record, "again", CodeLocationUnavailableError(name, "no answer"))
    state = await _state(api, "first")
    assert (state["attempts"], state["position"]) == (1, 2)
    for run_id in ("first", "second"):
        block = (await _state(api, run_id))["blockedBy"][0]
        assert block["reason"] == "CODE_LOCATION_UNAVAILABLE"
        assert block["retryAt"] > state["enqueuedAt"]
    api.workspace.get_location(name).change(updated_at=clock.timestamp())  # loaded anew
    assert await _reasons(api, "first") == []
