"""Whether the daemons of an instance do their work, as their heartbeats and leases tell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from runwire.daemons.required import DAEMON_TYPES, required_daemon_types
from runwire.instance import Instance
from runwire.instance.settings import DaemonSettings
from runwire.storage.run_storage import DaemonHeartbeat


class DaemonState(Enum):
    """What is right or wrong with a daemon."""

    RUNNING = "RUNNING"
    ERRORING = "ERRORING"
    STUCK = "STUCK"
    STALE = "STALE"
    NOT_RUNNING = "NOT_RUNNING"


LIVE_STATES = frozenset({DaemonState.RUNNING, DaemonState.ERRORING})
"""States of a daemon that works, with errors or without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStatus:
    """A daemon of an instance. Instants are epoch seconds.

    Attributes:
        daemon_type: which daemon it is.
        required: whether the configuration of the instance needs it.
        healthy: whether it is RUNNING; None when it is neither required nor beats.
        state: what is right or wrong with it.
        last_heartbeat: the last one of the process that holds the lease or held it last.
        standbys: the last heartbeats of live processes that stand by, newest first.
        lease_expires_at: when the lease ends; None when nobody holds it.
    """

    daemon_type: str
    required: bool
    healthy: bool | None
    state: DaemonState
    last_heartbeat: DaemonHeartbeat | None
    standbys: tuple[DaemonHeartbeat, ...]
    lease_expires_at: float | None


def daemon_statuses(instance: Instance, *, now: float | None = None) -> list[DaemonStatus]:
    """The status of every daemon that is required or was ever there, by type.

    Args:
        instance: the instance.
        now: the instant of the status, in epoch seconds; that of the storage of runs when left out.
    """
    runs = instance.storage.run_storage
    now = runs.now() if now is None else now
    heartbeats = runs.list_daemon_heartbeats()
    counting, leases = runs.get_daemon_heartbeats(), runs.get_daemon_leases()
    required = required_daemon_types(instance)
    settings = instance.settings.daemons
    statuses = []
    for daemon_type in sorted({*required, *counting} & set(DAEMON_TYPES)):
        last = counting.get(daemon_type)
        lease = leases.get(daemon_type)
        state = _state(last, settings, now)
        statuses.append(
            DaemonStatus(
                daemon_type=daemon_type,
                required=daemon_type in required,
                healthy=_is_healthy(state, required=daemon_type in required),
                state=state,
                last_heartbeat=last,
                standbys=tuple(
                    each
                    for each in heartbeats
                    if each.daemon_type == daemon_type
                    and (last is None or each.daemon_id != last.daemon_id)
                    and _beats(each, settings, now)
                ),
                lease_expires_at=lease.expires_at if lease and lease.expires_at > now else None,
            )
        )
    return statuses


def _beats(heartbeat: DaemonHeartbeat, settings: DaemonSettings, now: float) -> bool:
    in_time = now - heartbeat.timestamp <= settings.heartbeat_tolerance_seconds
    return in_time and not heartbeat.stopped


def _state(last: DaemonHeartbeat | None, settings: DaemonSettings, now: float) -> DaemonState:
    if last is None or last.stopped:
        return DaemonState.NOT_RUNNING
    if not _beats(last, settings, now):
        return DaemonState.STALE
    if last.timestamp - last.progress_at > settings.stuck_after_seconds:
        return DaemonState.STUCK
    return DaemonState.ERRORING if last.errors else DaemonState.RUNNING


def _is_healthy(state: DaemonState, *, required: bool) -> bool | None:
    if not required and state in {DaemonState.STALE, DaemonState.NOT_RUNNING}:
        return None
    return state is DaemonState.RUNNING
