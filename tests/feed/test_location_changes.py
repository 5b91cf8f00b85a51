"""Code locations as they change: coalesced by location, told from any thread, and never lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from unittest.mock import Mock

import pytest

from runwire.errors import CodeLocationNotFoundError
from runwire.feed import ChangeType, LocationChange, watch_locations
from runwire.lanes import Lanes
from runwire.workspace import CodeLocation, CodeLocationState, CodeLocationStatus, Workspace

Watcher = Callable[[CodeLocationState], None]


class Shelf(Workspace):
    """Locations that are nothing but their states."""

    def __init__(self, *names: str) -> None:
        self.watchers: list[Watcher] = []
        self.states = {name: state(name) for name in names}

    def get_location(self, name: str) -> CodeLocation:
        raise CodeLocationNotFoundError(name)

    def list_locations(self) -> list[CodeLocation]:
        return [Mock(CodeLocation, state=self.states[name]) for name in sorted(self.states)]

    def watch(self, callback: Watcher) -> None:
        self.watchers.append(callback)

    def end_watch(self, callback: Watcher) -> None:
        self.watchers.remove(callback)

    def put(self, new: CodeLocationState) -> None:
        self.states[new.name] = new
        self.tell(new)

    def tell(self, changed: CodeLocationState) -> None:
        for watcher in self.watchers:
            watcher(changed)


def state(name: str, at: float = 1.0) -> CodeLocationState:
    return CodeLocationState(name=name, status=CodeLocationStatus.LOADED, updated_at=at)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf("b", "a")


async def take(changes: AsyncIterator[LocationChange], count: int) -> list[LocationChange]:
    async with asyncio.timeout(30):
        return [await anext(changes) for _ in range(count)]


async def test_all_come_at_once_by_name(shelf: Shelf, lanes: Lanes) -> None:
    async with aclosing(watch_locations(shelf, lanes)) as changes:
        assert await take(changes, 2) == [
            LocationChange(ChangeType.CREATED, "a", state("a"), 1.0),
            LocationChange(ChangeType.CREATED, "b", state("b"), 1.0),
        ]


async def test_a_change_that_another_thread_tells_wakes_who_waits(
    shelf: Shelf, lanes: Lanes
) -> None:
    async with aclosing(watch_locations(shelf, lanes)) as changes:
        await take(changes, 2)
        waiting = asyncio.create_task(take(changes, 1))
        await asyncio.sleep(0)
        await asyncio.to_thread(shelf.put, state("b", 2.0))
        assert await waiting == [LocationChange(ChangeType.UPDATED, "b", state("b", 2.0), 2.0)]


async def test_who_reads_slowly_gets_the_latest_state_only(shelf: Shelf, lanes: Lanes) -> None:
    async with aclosing(watch_locations(shelf, lanes)) as changes:
        await take(changes, 2)
        for at in range(2, 1000):
            shelf.put(state("a", at))
        shelf.put(state("b", 5.0))
        assert await take(changes, 2) == [
            LocationChange(ChangeType.UPDATED, "a", state("a", 999), 999),
            LocationChange(ChangeType.UPDATED, "b", state("b", 5.0), 5.0),
        ]


async def test_a_state_that_is_told_again_is_no_change(shelf: Shelf, lanes: Lanes) -> None:
    async with aclosing(watch_locations(shelf, lanes)) as changes:
        await take(changes, 2)
        shelf.tell(state("a"))
        waiting = asyncio.create_task(take(changes, 1))
        await asyncio.sleep(0.01)
        failed = replace(state("a", 3.0), status=CodeLocationStatus.FAILED)
        shelf.put(failed)
        assert await waiting == [LocationChange(ChangeType.UPDATED, "a", failed, 3.0)]


async def test_a_change_during_the_first_look_is_not_lost(
    shelf: Shelf, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = shelf.list_locations

    def overtaken() -> list[CodeLocation]:
        found = listed()
        monkeypatch.undo()
        shelf.put(state("a", 2.0))
        return found

    monkeypatch.setattr(shelf, "list_locations", overtaken)
    async with aclosing(watch_locations(shelf, lanes)) as changes:
        told = await take(changes, 3)
    assert [(each.type.value, each.name, each.changed_at) for each in told] == [
        ("CREATED", "a", 1.0),
        ("CREATED", "b", 1.0),
        ("UPDATED", "a", 2.0),
    ]


async def test_a_location_that_is_gone_is_told_once(shelf: Shelf, lanes: Lanes) -> None:
    async with aclosing(watch_locations(shelf, lanes)) as changes:
        await take(changes, 2)
        shelf.tell(shelf.states.pop("a"))
        (gone,) = await take(changes, 1)
        assert (gone.type, gone.name, gone.state) == (ChangeType.DELETED, "a", None)
        shelf.put(state("a", 7.0))
        assert await take(changes, 1) == [
            LocationChange(ChangeType.CREATED, "a", state("a", 7.0), 7.0)
        ]


async def test_the_watch_ends_with_who_watches(shelf: Shelf, lanes: Lanes) -> None:
    changes = watch_locations(shelf, lanes)
    await take(changes, 1)
    (watcher,) = shelf.watchers
    await changes.aclose()
    assert shelf.watchers == []
    watcher(state("a"))  # one that was on its way when the watch ended


def test_who_is_told_after_the_loop_is_closed_raises_nothing(shelf: Shelf, lanes: Lanes) -> None:
    watchers: list[Watcher] = []

    async def watch() -> None:
        async with aclosing(watch_locations(shelf, lanes)) as changes:
            await take(changes, 1)
            watchers.extend(shelf.watchers)

    asyncio.run(watch())
    watchers[0](state("a"))
