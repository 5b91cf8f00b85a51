"""What the storages share about leases and heartbeats of daemons: the rules, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runwire.storage.run_storage import DaemonHeartbeat, DaemonLease

FORGET_SECONDS = 3600.0
"""How much older than a new heartbeat those of other processes are that are forgotten."""


def claimed(
    lease: DaemonLease | None,
    daemon_type: str,
    daemon_id: str,
    *,
    now: float,
    lease_seconds: float,
) -> DaemonLease:
    """The lease after a claim: the claimer's if it was free, expired, or the claimer's own."""
    if lease is not None and lease.daemon_id != daemon_id and lease.expires_at > now:
        return lease
    return DaemonLease(daemon_type=daemon_type, daemon_id=daemon_id, expires_at=now + lease_seconds)


def counting(
    heartbeats: Iterable[DaemonHeartbeat], leases: Mapping[str, DaemonLease]
) -> dict[str, DaemonHeartbeat]:
    """The heartbeat that counts of each daemon type; of several, given newest first."""
    found: dict[str, DaemonHeartbeat] = {}
    for heartbeat in heartbeats:
        lease = leases.get(heartbeat.daemon_type)
        if lease is not None and lease.daemon_id == heartbeat.daemon_id:
            found[heartbeat.daemon_type] = heartbeat
        else:
            found.setdefault(heartbeat.daemon_type, heartbeat)
    return found


def listed(heartbeats: Iterable[DaemonHeartbeat]) -> list[DaemonHeartbeat]:
    """Heartbeats by daemon type, the newest first."""
    return sorted(heartbeats, key=lambda each: (each.daemon_type, -each.timestamp, each.daemon_id))
