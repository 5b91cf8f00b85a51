"""The code locations of a workspace as they are, and as they change."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from runwire import clock
from runwire.lanes import Lanes
from runwire.workspace import CodeLocationState, Workspace


class ChangeType(Enum):
    """What happened to an object."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class LocationChange:
    """What happened to a code location.

    Attributes:
        type: what it was; CREATED also for one that is there when the watch begins.
        name: the name of the location.
        state: the location as it is then; None when the workspace does not have it any more.
        changed_at: when it happened, in epoch seconds.
    """

    type: ChangeType
    name: str
    state: CodeLocationState | None
    changed_at: float


async def watch_locations(
    workspace: Workspace, lanes: Lanes
) -> AsyncGenerator[LocationChange, None]:
    """Every code location at once as CREATED, by name, then each change of one, for ever.

    A watcher has no queue: who reads slowly gets the latest state of each location, and misses those between.
    """
    loop, stirred = asyncio.get_running_loop(), asyncio.Event()

    def stir(_: CodeLocationState) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody watches any more
            loop.call_soon_threadsafe(stirred.set)

    seen: dict[str, CodeLocationState] = {}
    # Watching begins before the first look, so that nothing is missed between them.
    workspace.watch(stir)
    try:
        while True:
            stirred.clear()
            states = await lanes.catch_up(_states, workspace)
            for change in _changes(seen, states):
                yield change
            seen = states
            await stirred.wait()
    finally:
        workspace.end_watch(stir)


def _states(workspace: Workspace) -> dict[str, CodeLocationState]:
    return {state.name: state for state in (each.state for each in workspace.list_locations())}


def _changes(
    old: Mapping[str, CodeLocationState], new: Mapping[str, CodeLocationState]
) -> Iterator[LocationChange]:
    for name, state in new.items():
        if name not in old:
            yield LocationChange(ChangeType.CREATED, name, state, state.updated_at)
        elif state != old[name]:
            yield LocationChange(ChangeType.UPDATED, name, state, state.updated_at)
    for name in sorted(old.keys() - new.keys()):
        yield LocationChange(ChangeType.DELETED, name, None, clock.timestamp())
