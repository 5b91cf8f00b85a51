"""What costs the server more than a source may cause at once is done later."""

from __future__ import annotations

import asyncio
import time

import pytest

from runwire.api.access import Principal
from runwire.server.allowance import Allowance, Refusals, source_of
from runwire.server.callers import client_host

ADA = Principal("ada", True)


@pytest.mark.parametrize(
    ("principal", "host", "source"),
    [
        (ADA, "10.0.0.7", "token ada"),
        (Principal("anyone", False), "10.0.0.7", "address 10.0.0.7"),
        (Principal("anyone", False), "127.0.0.1", "address 127.0.0.1"),
        (None, "10.0.0.7", "address 10.0.0.7"),
    ],
)
def test_a_source_is_a_name_or_an_address(
    principal: Principal | None, host: str, source: str
) -> None:
    token = client_host.set(host)
    try:
        assert source_of(principal) == source
    finally:
        client_host.reset(token)


def test_who_has_used_more_than_there_was_waits_for_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    allowance = Allowance(10, 2)
    allowance.spend("a", 10)
    assert allowance.seconds_left("a") == 0
    allowance.spend("a", 6)
    assert allowance.seconds_left("a") == 3
    assert allowance.seconds_left("b") == 0
    now += 2
    assert allowance.seconds_left("a") == 1
    now += 3600
    allowance.spend("a", 12)
    assert allowance.seconds_left("a") == 1


def test_of_many_sources_the_one_that_was_seen_longest_ago_is_forgotten() -> None:
    allowance = Allowance(1, 0.001)
    for n in range(10_001):
        allowance.spend(str(n), 10)
    assert allowance.seconds_left("0") == 0
    assert allowance.seconds_left("1") > 0


async def test_refusals_are_held_back_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[float] = []

    async def sleep(seconds: float) -> None:
        held.append(seconds)

    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    refusals = Refusals(2, 1, max_seconds=4)
    for _ in range(7):
        await refusals.hold_back(ADA)
    assert held == [
        1,
        2,
        3,
        4,
        4,
    ]  # the first two come at once, and no wait is longer than the longest
    await refusals.hold_back(Principal("bob", True), size=200_000)
    assert held[5:] == [2]  # as four refusals, for what was read of it
