"""The daemons of the instance, as they are and live."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from enum import Enum

from strawberry import ID

from runwire.api.context import ApiContext, ApiInfo
from runwire.api.events.metadata import ErrorInfo
from runwire.api.nodes import Node, global_id
from runwire.api.rows import describe_enum, field, view
from runwire.api.scalars import DateTime
from runwire.daemons.status import DaemonState, daemon_statuses
from runwire.daemons.status import DaemonStatus as StatusRow
from runwire.storage import DaemonHeartbeat as HeartbeatRow


class DaemonType(Enum):
    """A kind of daemon."""

    BACKFILLS = "BACKFILLS"
    MONITORING = "MONITORING"
    QUEUE = "QUEUE"
    RETENTION = "RETENTION"
    RUN_RETRIES = "RUN_RETRIES"
    SCHEDULER = "SCHEDULER"
    SENSORS = "SENSORS"
    WEBHOOKS = "WEBHOOKS"


describe_enum(
    DaemonType,
    "A kind of daemon.",
    {
        "BACKFILLS": "Has the runs of backfills made and submitted.",
        "MONITORING": "Finds dead workers and enforces time limits of runs.",
        "QUEUE": "Launches queued runs.",
        "RETENTION": "Deletes what has outlived its retention.",
        "RUN_RETRIES": "Makes new runs of those that fail.",
        "SCHEDULER": "Makes the ticks of schedules.",
        "SENSORS": "Makes the ticks of sensors.",
        "WEBHOOKS": "Delivers run events to webhooks.",
    },
)

describe_enum(
    DaemonState,
    "What is right or wrong with a daemon.",
    {
        "RUNNING": "It beats in time and reports no errors.",
        "ERRORING": "It beats in time but reports errors.",
        "STUCK": "It beats in time but its loop makes no progress.",
        "STALE": "Its last heartbeat is too old.",
        "NOT_RUNNING": "It never beat, or it was shut down.",
    },
)


@view(HeartbeatRow, "A sign of life of a daemon.")
class DaemonHeartbeat:
    """A sign of life of a daemon."""

    daemon_type: DaemonType = field(
        "Which daemon beat.", lambda heartbeat: DaemonType(heartbeat.daemon_type)
    )
    daemon_id: ID = field("The id of the daemon's process.")
    hostname: str = field("The host that the process runs on.")
    timestamp: DateTime = field("When it beat; a timer beats, however long an iteration takes.")
    progress_at: DateTime = field("When an iteration of its loop last made progress.")
    errors: list[ErrorInfo] = field("The latest errors of the daemon, newest first, at most five.")


@view(StatusRow, "A daemon of the instance and whether it does its work.")
class DaemonStatus(Node):
    """A daemon of the instance and whether it does its work."""

    id: ID = field(
        "The global id of the daemon.", lambda status: global_id("DaemonStatus", status.daemon_type)
    )
    daemon_type: DaemonType = field(
        "Which daemon it is.", lambda status: DaemonType(status.daemon_type)
    )
    required: bool = field("Whether the configuration of the instance needs this daemon.")
    healthy: bool | None = field(
        "Whether it beats in time and without errors; null when it is not required and does not run."
    )
    state: DaemonState = field("What is right or wrong with it.")
    last_heartbeat: DaemonHeartbeat | None = field(
        "The last heartbeat of the process that holds the daemon's lease; null when there never was one."
    )
    standbys: list[DaemonHeartbeat] = field(
        "The last heartbeats of live processes that stand by to take over."
    )
    lease_expires_at: DateTime | None = field(
        "When the lease ends unless it is renewed; null when nobody holds it."
    )


async def read_daemons(context: ApiContext) -> list[StatusRow]:
    """The statuses of the daemons as they are now."""
    return list(await context.lanes.read(daemon_statuses, context.instance))


async def find_daemon(context: ApiContext, key: list[str]) -> StatusRow | None:
    """The daemon of a global id."""
    (daemon_type,) = key
    statuses = await read_daemons(context)
    return next((status for status in statuses if status.daemon_type == daemon_type), None)


async def daemon_heartbeats(info: ApiInfo) -> AsyncGenerator[StatusRow, None]:
    """Sends the status of every daemon, then each again when it has changed."""
    async with aclosing(info.context.daemon_feed.follow_daemons()) as statuses:
        async for status in statuses:
            yield status
