"""`node`: finds any object by its global id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, NamedTuple

import strawberry
from strawberry import ID

from runwire.api.assets.queries import find_asset
from runwire.api.backfills.types import find_backfill, find_progress
from runwire.api.backfills.types import find_origin as find_backfill_origin
from runwire.api.context import ApiContext, ApiInfo
from runwire.api.events.types import find_event
from runwire.api.instance.daemons import find_daemon
from runwire.api.instance.queries import find_instance, find_viewer
from runwire.api.locations.queries import find_job, find_location, find_repository
from runwire.api.nodes import Node, parse_global_id
from runwire.api.partitions.types import find_partition
from runwire.api.pools.queries import find_pool_row
from runwire.api.rows import resolved
from runwire.api.runs.queries import (
    find_failure,
    find_group,
    find_origin,
    find_run,
    find_stats,
)
from runwire.api.runs.queue import find_limit, find_queue, find_state
from runwire.api.runs.timeline import find_step
from runwire.api.ticks.types import find_schedule, find_sensor, find_tick
from runwire.api.webhooks.reads import find_webhook
from runwire.errors import InputInvalidError


class NodeFinder(NamedTuple):
    """Finds objects of one type by their key."""

    key_parts: int
    find: Callable[[ApiContext, list[str]], Awaitable[Any]]


FINDERS = {
    "Viewer": NodeFinder(1, find_viewer),
    "Instance": NodeFinder(1, find_instance),
    "DaemonStatus": NodeFinder(1, find_daemon),
    "Run": NodeFinder(1, find_run),
    "RunQueue": NodeFinder(1, find_queue),
    "ConcurrencyLimit": NodeFinder(2, find_limit),
    "RunQueueState": NodeFinder(1, find_state),
    "RunGroup": NodeFinder(1, find_group),
    "RunOrigin": NodeFinder(1, find_origin),
    "RunFailure": NodeFinder(1, find_failure),
    "RunStats": NodeFinder(1, find_stats),
    "RunStep": NodeFinder(2, find_step),
    "EventRecord": NodeFinder(3, find_event),
    "Asset": NodeFinder(1, find_asset),
    "Backfill": NodeFinder(1, find_backfill),
    "BackfillOrigin": NodeFinder(1, find_backfill_origin),
    "BackfillProgress": NodeFinder(1, find_progress),
    "Partition": NodeFinder(4, find_partition),
    "Pool": NodeFinder(1, find_pool_row),
    "CodeLocation": NodeFinder(1, find_location),
    "Repository": NodeFinder(2, find_repository),
    "Job": NodeFinder(3, find_job),
    "Schedule": NodeFinder(3, find_schedule),
    "Sensor": NodeFinder(3, find_sensor),
    "Tick": NodeFinder(1, find_tick),
    "Webhook": NodeFinder(1, find_webhook),
}
"""How the objects of each type are found; one for each type that is a Node."""


async def _node(
    info: ApiInfo, id: Annotated[ID, strawberry.argument(description="The global id.")]
) -> Any:
    type_name, key = parse_global_id(id)
    finder = FINDERS.get(type_name)
    if finder is None or finder.key_parts != len(key):
        raise InputInvalidError(f"{id!r} is of no type that this version has", ["id"])
    return await finder.find(info.context, key)


@strawberry.type
class NodeQueries:
    """The query of any object."""

    node: Node | None = resolved(
        _node, "Finds any object by its global id; null when there is none.", type=Node | None
    )
