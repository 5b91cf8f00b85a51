"""The daemons of the instance: as they are, and as they beat, err, fall silent and change hands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from runwire import clock
from runwire.api.nodes import global_id
from runwire.documents import load_document
from runwire.error_info import ErrorInfo
from runwire.errors import StorageUnavailableError
from runwire.storage import DaemonHeartbeat
from tests.api.conftest import Api
from tests.daemons.ticks_off import need_monitoring_only

DAEMONS = """{ instance { daemons {
  id daemonType required healthy state leaseExpiresAt
  lastHeartbeat { daemonType daemonId hostname timestamp progressAt errors { message className } }
  standbys { daemonId }
} } }"""

WATCH = load_document("WatchDaemons")

ID = global_id("DaemonStatus", "MONITORING")


@pytest.fixture(autouse=True)
def one_daemon_is_required(api: Api) -> None:
    need_monitoring_only(api.instance)


def beat(api: Api, daemon_id: str = "one", **values: Any) -> DaemonHeartbeat:
    """A heartbeat of now, stored."""
    now = clock.timestamp()
    heartbeat = DaemonHeartbeat(
        **{
            "daemon_type": "MONITORING",
            "daemon_id": daemon_id,
            "hostname": "here",
            "timestamp": now,
            "progress_at": now,
            **values,
        }
    )
    api.instance.storage.run_storage.add_daemon_heartbeat(heartbeat)
    return heartbeat


def lease(api: Api, daemon_id: str = "one", seconds: float = 3600) -> float:
    """Gives the lease to a process; returns when it ends."""
    given = api.instance.storage.run_storage.claim_daemon_lease(
        "MONITORING", daemon_id, now=clock.timestamp(), lease_seconds=seconds
    )
    assert given.daemon_id == daemon_id
    return given.expires_at


def shown(seconds: float) -> str:
    return clock.from_timestamp(seconds).isoformat().replace("+00:00", "Z")


async def daemon(api: Api) -> Any:
    (status,) = (await api.ask(DAEMONS))["instance"]["daemons"]
    return status


async def test_a_daemon_that_never_beat_does_not_run(api: Api) -> None:
    assert await daemon(api) == {
        "id": ID,
        "daemonType": "MONITORING",
        "required": True,
        "healthy": False,
        "state": "NOT_RUNNING",
        "leaseExpiresAt": None,
        "lastHeartbeat": None,
        "standbys": [],
    }


async def test_a_daemon_shows_who_works_and_who_stands_by(api: Api) -> None:
    ends = lease(api)
    heartbeat = beat(api)
    beat(api, "two")
    assert await daemon(api) == {
        "id": ID,
        "daemonType": "MONITORING",
        "required": True,
        "healthy": True,
        "state": "RUNNING",
        "leaseExpiresAt": shown(ends),
        "lastHeartbeat": {
            "daemonType": "MONITORING",
            "daemonId": "one",
            "hostname": "here",
            "timestamp": shown(heartbeat.timestamp),
            "progressAt": shown(heartbeat.progress_at),
            "errors": [],
        },
        "standbys": [{"daemonId": "two"}],
    }


async def test_what_is_wrong_is_told_apart(api: Api) -> None:
    lease(api)
    beat(api, errors=(ErrorInfo("it broke", "ValueError"),))
    erring = await daemon(api)
    assert (erring["state"], erring["healthy"]) == ("ERRORING", False)
    assert erring["lastHeartbeat"]["errors"] == [{"message": "it broke", "className": "ValueError"}]
    beat(api, timestamp=clock.timestamp() - 3600)
    stale = await daemon(api)
    assert (stale["state"], stale["healthy"]) == ("STALE", False)
    beat(api, stopped=True)
    stopped = await daemon(api)
    assert (stopped["state"], stopped["healthy"]) == ("NOT_RUNNING", False)


async def test_a_daemon_is_found_by_its_id(api: Api) -> None:
    document = "query($id: ID!) { node(id: $id) { ... on DaemonStatus { daemonType state } } }"
    assert await api.ask(document, id=ID) == {
        "node": {"daemonType": "MONITORING", "state": "NOT_RUNNING"}
    }


async def test_a_storage_that_does_not_answer_is_an_error(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked() -> None:
        raise StorageUnavailableError("the file is locked")

    monkeypatch.setattr(api.instance.storage.run_storage, "list_daemon_heartbeats", locked)
    assert await api.refusal(DAEMONS) == ("UNAVAILABLE", "the file is locked")


# ------------------------------------------------------------ live


async def next_of(results: AsyncIterator[Any]) -> Any:
    """The next message of a stream."""
    async with asyncio.timeout(30):
        result = await anext(results)
    assert result.errors is None, result.errors
    return result.data["daemonHeartbeats"]


async def next_with(results: AsyncIterator[Any], **wanted: Any) -> Any:
    """The next message that shows certain things; what changes in several writes may be told in between."""
    while True:
        status = await next_of(results)
        if wanted.items() <= status.items():
            return status


async def test_the_heartbeats_tell_the_story(api: Api) -> None:
    async with api.subscription(WATCH) as results:
        first = await next_of(results)
        assert (first["id"], first["state"]) == (ID, "NOT_RUNNING")

        lease(api, seconds=0.001)
        first_beat = beat(api)
        running = await next_with(results, state="RUNNING")
        assert running["lastHeartbeat"]["timestamp"] == shown(first_beat.timestamp)

        again = beat(api, progress_at=first_beat.progress_at + 0.5)
        told = await next_of(results)
        assert told["lastHeartbeat"]["progressAt"] == shown(again.progress_at)

        beat(api, errors=(ErrorInfo("it broke"),))
        erring = await next_with(results, state="ERRORING")
        assert [error["message"] for error in erring["lastHeartbeat"]["errors"]] == ["it broke"]

        beat(api, "two")
        standing_by = await next_of(results)
        assert [each["daemonId"] for each in standing_by["standbys"]] == ["two"]

        lease(api, "two")
        other = await next_with(results, state="RUNNING")
        assert other["lastHeartbeat"]["daemonId"] == "two"

        beat(api, "two", timestamp=clock.timestamp() - 3600)
        assert (await next_with(results, state="STALE"))["healthy"] is False


async def test_a_storage_that_stays_away_ends_the_stream_with_an_error(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked() -> None:
        raise StorageUnavailableError("the file is locked")

    monkeypatch.setattr("runwire.feed.patient_reads._FIRST_PAUSE_SECONDS", 60.0)
    async with api.subscription(WATCH) as results:
        await next_of(results)
        monkeypatch.setattr(api.instance.storage.run_storage, "list_daemon_heartbeats", locked)
        async with asyncio.timeout(30):
            result = await anext(results)
    assert result.errors[0].message == "the file is locked"
    assert result.errors[0].extensions == {"code": "UNAVAILABLE"}


async def test_a_stream_that_is_left_stops_the_poll(api: Api) -> None:
    async with api.subscription(WATCH) as results:
        await next_of(results)
        assert api.daemon_feed._polling is not None
    assert api.daemon_feed._polling is None
