"""Following a run without I/O: streams are scripts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from runwire.client.errors import (
    CursorExpiredError,
    ProtocolViolatedError,
    RunNotFoundError,
    ServerUnreachableError,
    TokenExpiredError,
)
from runwire.client.following import (
    ConnectionLostError,
    InstancePlace,
    Outage,
    PlainPlace,
    ReconnectPolicy,
    RunPlace,
    follow,
)
from runwire.client.records import RunChangesBatch

URL = "http://127.0.0.1:3333/graphql"
LOST = ConnectionLostError("the connection broke")
EXPIRED = TokenExpiredError(URL, token_given=True, problem="the token has expired")


def batch(first: int, last: int, status: str = "STARTED", **changes: Any) -> dict[str, Any]:
    instant = "2026-11-22T17:05:03.123456Z"
    records = [
        {
            "position": n,
            "cursor": f"c{n}",
            "timestamp": instant,
            "level": "INFO",
            "message": f"m{n}",
        }
        for n in range(first, last + 1)
    ]
    return {
        "__typename": "RunEventBatch",
        "records": records,
        "fromPosition": first - 1,
        "toPosition": last,
        "endCursor": f"c{last}",
        "headCursor": f"c{last}",
        "caughtUp": True,
        "run": {"runId": "r", "jobName": "j", "status": status, "createdAt": instant},
        **changes,
    }


Connected = list[Mapping[str, Any] | Exception]


class Script:
    """One list of payloads a connection; an exception among them ends it. Keeps the cursors asked for."""

    def __init__(self, *connections: list[Mapping[str, Any] | Exception]) -> None:
        self.connections = list(connections)
        self.cursors: list[str | None] = []
        self.outages: list[Outage] = []
        self.slept: list[float] = []
        self.now = 0.0

    async def open_stream(self, after: str | None) -> AsyncGenerator[Mapping[str, Any], None]:
        self.cursors.append(after)
        for item in self.connections.pop(0):
            if isinstance(item, Exception):
                raise item
            if "seconds" in item:
                self.now += item["seconds"]
                continue
            yield item

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def positions(
        self,
        after: str | None = None,
        policy: ReconnectPolicy | None = None,
        *,
        renews_token: bool = False,
    ) -> list[int]:
        self.received: list[int] = []
        stream = follow(
            self.open_stream,
            URL,
            RunPlace(after),
            policy or ReconnectPolicy(),
            self.outages.append,
            renews_token=renews_token,
            sleep=self.sleep,
            now=lambda: self.now,
        )
        async for item in stream:
            self.received += [record.position for record in item.records]
        return self.received


async def test_a_stream_that_completes_after_the_runs_end_is_the_end() -> None:
    script = Script([batch(1, 3), batch(4, 4, "SUCCESS")])
    assert await script.positions() == [1, 2, 3, 4]
    assert (script.cursors, script.outages) == ([None], [])


async def test_a_dropped_connection_resumes_after_the_last_cursor() -> None:
    script = Script(
        [batch(1, 3), LOST], [LOST], [LOST], [batch(4, 5), LOST], [batch(6, 6, "FAILURE")]
    )
    assert await script.positions() == [1, 2, 3, 4, 5, 6]
    assert script.cursors == [None, "c3", "c3", "c3", "c5"]
    assert [outage.attempt for outage in script.outages] == [1, 2, 3, 1]
    assert script.slept == [outage.delay_seconds for outage in script.outages]


async def test_a_server_that_greets_and_goes_is_asked_less_and_less_often() -> None:
    greeting: Connected = [batch(4, 3), LOST]
    script = Script([batch(1, 3), LOST], *[greeting] * 6, [batch(4, 4, "SUCCESS")])
    assert await script.positions() == [1, 2, 3, 4]
    assert [outage.attempt for outage in script.outages] == [1, 2, 3, 4, 5, 6, 7]


async def test_a_server_that_greets_and_goes_is_given_up_at_last() -> None:
    greeting: Connected = [batch(4, 3), LOST]
    script = Script([batch(1, 3), LOST], *[greeting] * 1000)
    policy = ReconnectPolicy(1.0, 5.0, give_up_after_seconds=60.0)
    with pytest.raises(ServerUnreachableError, match="the connection broke"):
        await script.positions(policy=policy)
    assert 60 < script.now < 70


async def test_an_idle_connection_that_lasted_is_no_part_of_an_earlier_outage() -> None:
    idle: Connected = [batch(4, 3), {"seconds": 60.0}, LOST]
    script = Script([batch(1, 3), LOST], *[idle] * 100, [batch(4, 4, "SUCCESS")])
    assert await script.positions() == [1, 2, 3, 4]
    assert {outage.attempt for outage in script.outages} == {1}


async def test_a_token_that_expires_is_an_outage_where_it_is_renewed() -> None:
    script = Script(
        [EXPIRED], [batch(1, 3), EXPIRED], [batch(4, 4), EXPIRED], [batch(5, 5, "SUCCESS")]
    )
    assert await script.positions(renews_token=True) == [1, 2, 3, 4, 5]
    assert script.cursors == [None, None, "c3", "c4"]
    assert ["the token has expired" in outage.problem for outage in script.outages] == [True] * 3


@pytest.mark.parametrize(
    ("connections", "renews_token", "received"),
    [
        pytest.param([[batch(1, 3), EXPIRED]], False, [1, 2, 3], id="it is not renewed"),
        pytest.param([[EXPIRED], [EXPIRED]], True, [], id="none is good"),
        pytest.param([[batch(1, 3), EXPIRED], [EXPIRED]], True, [1, 2, 3], id="the next one too"),
    ],
)
async def test_a_token_that_expires_ends_the_stream_otherwise(
    connections: list[list[Mapping[str, Any] | Exception]], renews_token: bool, received: list[int]
) -> None:
    script = Script(*connections)
    with pytest.raises(TokenExpiredError):
        await script.positions(renews_token=renews_token)
    assert script.received == received


async def test_a_stream_that_completes_before_the_runs_end_is_resumed() -> None:
    script = Script([batch(1, 2)], [batch(3, 3, "CANCELED")])
    assert await script.positions() == [1, 2, 3]
    assert script.cursors == [None, "c2"]


async def test_a_server_that_was_never_there_is_unreachable_at_once() -> None:
    script = Script([LOST])
    with pytest.raises(ServerUnreachableError, match=f"{URL}: the connection broke"):
        await script.positions()
    assert script.slept == []


async def test_a_server_that_stays_away_too_long_is_unreachable() -> None:
    script = Script([batch(1, 1), LOST], [LOST])
    with pytest.raises(ServerUnreachableError):
        await script.positions(policy=ReconnectPolicy(give_up_after_seconds=-1))
    assert (script.received, script.slept) == ([1], [])


async def test_an_error_member_ends_the_stream_with_its_type_and_fields() -> None:
    expired = {"__typename": "CursorExpired", "message": "it is gone", "earliestCursor": "c9"}
    with pytest.raises(CursorExpiredError, match="it is gone") as refused:
        await Script([expired]).positions("c1")
    assert refused.value.type_name == "CursorExpired"
    assert refused.value.earliest_cursor == "c9"


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(batch(5, 5), id="a hole between batches"),
        pytest.param(batch(3, 4), id="an event twice"),
        pytest.param(batch(4, 6, toPosition=7), id="an event missing at the end"),
        pytest.param(batch(4, 6, records=batch(4, 4)["records"]), id="events missing inside"),
    ],
)
async def test_what_is_not_the_very_next_batch_is_refused(second: dict[str, Any]) -> None:
    script = Script([batch(1, 3), second])
    with pytest.raises(ProtocolViolatedError, match="after position 3 came a batch for"):
        await script.positions()
    assert script.received == [1, 2, 3]


async def test_a_stream_from_the_start_begins_with_position_1() -> None:
    with pytest.raises(ProtocolViolatedError, match="after position 0 came a batch for 1 to 2"):
        await Script([batch(2, 2)]).positions()


async def test_a_stream_after_a_cursor_may_begin_anywhere() -> None:
    script = Script([batch(8, 9, "SUCCESS")])
    assert await script.positions("HEAD") == [8, 9]
    assert script.cursors == ["HEAD"]


async def test_an_empty_batch_moves_the_cursor() -> None:
    place = RunPlace("c1")
    assert place.advance(batch(6, 5)).records == ()
    assert place.cursor == "c5"


def test_an_answer_of_another_shape_is_a_violation() -> None:
    broken = batch(1, 1)
    del broken["run"]["status"]
    with pytest.raises(
        ProtocolViolatedError, match=r"missing required field `status` - at `\$.run`"
    ):
        RunPlace(None).advance(broken)


def test_delays_double_up_to_the_longest_and_are_spread() -> None:
    policy = ReconnectPolicy(first_delay_seconds=1.0, longest_delay_seconds=4.0)
    bounds = {1: 1.0, 2: 2.0, 3: 4.0, 4: 4.0, 5000: 4.0}
    for attempt, longest in bounds.items():
        delays = [policy.delay(attempt) for _ in range(50)]
        assert all(longest / 2 <= delay <= longest for delay in delays)
        assert len(set(delays)) > 1


def changes(first: int, last: int, **members: Any) -> dict[str, Any]:
    return {
        "__typename": "RunChangeBatch",
        "changes": [{"type": "DELETED", "runId": "r", "matchesFilter": False, "run": None}],
        "fromPosition": first - 1,
        "toPosition": last,
        "endCursor": f"c{last}",
        "headCursor": "c99",
        "caughtUp": False,
        **members,
    }


def test_batches_over_all_runs_follow_one_another_whatever_they_hold() -> None:
    place = InstancePlace("HEAD", "RunChangeBatch", RunChangesBatch)
    assert (place.cursor, place.has_begun, place.is_over) == ("HEAD", False, False)
    (change,) = place.advance(changes(5, 9)).changes
    assert (change.type, change.run) == ("DELETED", None)
    assert place.advance(changes(10, 12, changes=[])).changes == ()
    assert (place.cursor, place.has_begun, place.is_over) == ("c12", True, False)
    with pytest.raises(
        ProtocolViolatedError, match=r"after position 12 came a batch for 13 to 14$"
    ):
        place.advance(changes(14, 14))


@pytest.mark.parametrize(
    "place", [InstancePlace(None, "RunChangeBatch", RunChangesBatch), PlainPlace(None)]
)
def test_an_error_member_of_any_stream_is_raised(place: Any) -> None:
    with pytest.raises(RunNotFoundError, match="no run"):
        place.advance({"__typename": "RunNotFound", "message": "no run"})


def test_any_stream_goes_on_after_its_newest_cursor_if_it_has_one() -> None:
    place = PlainPlace("c1")
    assert place.advance({"name": "jobs"}) == {"name": "jobs"}
    assert (place.cursor, place.has_begun, place.is_over) == ("c1", True, True)
    place.advance({"__typename": "RunChangeBatch", "endCursor": "c2"})
    assert place.cursor == "c2"
