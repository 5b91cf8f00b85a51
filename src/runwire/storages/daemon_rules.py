"""Whose heartbeat counts, which are forgotten, and who gets a lease: the rules that all storages share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from runwire.storage.run_storage import DaemonHeartbeat, DaemonLease

FORGET_SECONDS: Final = 3600.0
"""How much older than the newest a heartbeat of another process may be until it is forgotten."""

RELEASED: Final = 0.0
"""When a lease that was released expired: before any instant that is ever compared with it."""


def is_forgotten(known: DaemonHeartbeat, newest: DaemonHeartbeat) -> bool:
    """Whether a heartbeat goes when a newer one comes."""
    return (
        known.daemon_type == newest.daemon_type
        and known.timestamp < newest.timestamp - FORGET_SECONDS
    )


def in_order(heartbeats: Iterable[DaemonHeartbeat]) -> list[DaemonHeartbeat]:
    """By daemon type, the newest first."""
    return sorted(heartbeats, key=lambda beat: (beat.daemon_type, -beat.timestamp, beat.daemon_id))


def those_that_count(
    heartbeats: Iterable[DaemonHeartbeat], leases: Mapping[str, DaemonLease]
) -> dict[str, DaemonHeartbeat]:
    """Of each daemon type, that of whoever had the lease last; where there never was a lease, the newest."""
    counting: dict[str, DaemonHeartbeat] = {}
    for beat in in_order(heartbeats):
        lease = leases.get(beat.daemon_type)
        if lease is None or lease.daemon_id == beat.daemon_id:
            counting.setdefault(beat.daemon_type, beat)
    return counting


def outcome_of_claim(held: DaemonLease | None, wanted: DaemonLease, now: float) -> DaemonLease:
    """The lease after a claim: what was wanted, unless another process has it still."""
    if held is not None and held.daemon_id != wanted.daemon_id and held.expires_at > now:
        return held
    return wanted
