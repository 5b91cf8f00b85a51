"""Heartbeats and leases of daemons. What writes is called in a transaction that nobody else writes in."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Connection, and_, delete, insert, select, update

from runwire.storage.run_storage import DaemonHeartbeat, DaemonLease
from runwire.storages.daemon_rules import (
    FORGET_SECONDS,
    RELEASED,
    in_order,
    outcome_of_claim,
    those_that_count,
)
from runwire.storages.sql.rows import heartbeat_record, heartbeat_values, lease_record
from runwire.storages.sql.tables import daemon_heartbeats, daemon_leases

_BEATS, _LEASES = daemon_heartbeats.c, daemon_leases.c

_BEATS_AND_HOLDERS = select(
    daemon_heartbeats, _LEASES.daemon_id.label("holder"), _LEASES.expires_at
).outerjoin(daemon_leases, _LEASES.daemon_type == _BEATS.daemon_type)


def put_heartbeat(connection: Connection, heartbeat: DaemonHeartbeat) -> None:
    """Replaces the process's heartbeat, and forgets those that are much older."""
    own = _BEATS.daemon_id == heartbeat.daemon_id
    old = _BEATS.timestamp < heartbeat.timestamp - FORGET_SECONDS
    same_type = _BEATS.daemon_type == heartbeat.daemon_type
    connection.execute(delete(daemon_heartbeats).where(same_type, own | old))
    connection.execute(insert(daemon_heartbeats), heartbeat_values(heartbeat))


def all_heartbeats(connection: Connection) -> list[DaemonHeartbeat]:
    """The heartbeats by daemon type, the newest first."""
    return in_order(map(heartbeat_record, connection.execute(select(daemon_heartbeats))))


def counting_heartbeats(connection: Connection) -> dict[str, DaemonHeartbeat]:
    """The heartbeat that counts, by daemon type."""
    heartbeats: list[DaemonHeartbeat] = []
    leases: dict[str, DaemonLease] = {}
    for row in connection.execute(_BEATS_AND_HOLDERS):  # one statement, so one moment
        heartbeats.append(heartbeat_record(row))
        if row.holder is not None:
            leases[row.daemon_type] = DaemonLease(
                daemon_type=row.daemon_type, daemon_id=row.holder, expires_at=row.expires_at
            )
    return those_that_count(heartbeats, leases)


def all_leases(connection: Connection) -> dict[str, DaemonLease]:
    """The leases by daemon type."""
    rows = connection.execute(select(daemon_leases))
    return {row.daemon_type: lease_record(row) for row in rows}


def claim_lease(connection: Connection, wanted: DaemonLease, now: float) -> DaemonLease:
    """Takes or renews a lease, unless another process has it; returns it as it is then."""
    same_type = _LEASES.daemon_type == wanted.daemon_type
    row = connection.execute(select(daemon_leases).where(same_type).with_for_update()).first()
    lease = outcome_of_claim(None if row is None else lease_record(row), wanted, now)
    if lease is wanted:
        connection.execute(delete(daemon_leases).where(same_type))
        connection.execute(insert(daemon_leases), asdict(lease))
    return lease


def release_lease(connection: Connection, daemon_type: str, daemon_id: str) -> None:
    """Lets a lease of one's own expire."""
    own = and_(_LEASES.daemon_type == daemon_type, _LEASES.daemon_id == daemon_id)
    connection.execute(update(daemon_leases).where(own).values(expires_at=RELEASED))
