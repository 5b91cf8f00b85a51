"""What the memory storages keep: one state behind one lock."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from itertools import count

from runwire.events.entry import EventLogRecord
from runwire.events.types import EventType
from runwire.runs.run import RunRecord
from runwire.snapshots import Snapshot
from runwire.storage.event_log_storage import LogHead
from runwire.storage.instance_log import InstanceLogRecord
from runwire.storage.run_storage import DaemonHeartbeat, DaemonLease, RequestKey
from runwire.storages.stored_form import new_log_id
from runwire.storages.stored_pools import StoredSlot


@dataclass(frozen=True, slots=True)
class Log:
    """A run's event log at one moment. A new event makes a new one, which shares the list of records.

    The list only ever grows, and `head` says how much of it counts, so what somebody still holds stays
    true, and a hold that is given up leaves nothing but a longer list behind, which the next one cuts.
    """

    records: list[EventLogRecord] = field(default_factory=list)
    head: int = 0
    epoch: int = 0
    terminal_position: int | None = None
    batches: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def end(self) -> LogHead:
        """The end of the log."""
        return LogHead(self.head, self.terminal_position)


@dataclass(slots=True)
class Asset:
    """What is known of an asset, one that is wiped included.

    `newest` has the newest event of each type, `counts` its materializations by partition, `purged_counts` those
    that the instance-wide log does not have any more.
    """

    newest: dict[EventType, InstanceLogRecord] = field(default_factory=dict)
    counts: Counter[str | None] = field(default_factory=Counter)
    purged_counts: Counter[str | None] = field(default_factory=Counter)
    wiped_position: int = 0


@dataclass(slots=True)
class State:
    """All that is kept. Whoever reads or writes it has the lock."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    storage_ids: count[int] = field(default_factory=lambda: count(1))
    runs: dict[str, RunRecord] = field(default_factory=dict)
    requests: dict[str, tuple[RequestKey, str]] = field(default_factory=dict)
    logs: dict[str, Log] = field(default_factory=dict)
    instance_log_id: str = field(default_factory=new_log_id)
    instance_log: list[InstanceLogRecord] = field(default_factory=list)
    purged_position: int = 0
    # By the JSON text of their keys.
    assets: dict[str, Asset] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    heartbeats: dict[tuple[str, str], DaemonHeartbeat] = field(default_factory=dict)
    leases: dict[str, DaemonLease] = field(default_factory=dict)
    pool_limits: dict[str, int] = field(default_factory=dict)
    # By the storage id of the run and the step.
    pool_slots: dict[tuple[int, str], StoredSlot] = field(default_factory=dict)
    consumers: dict[str, int] = field(default_factory=dict)

    @property
    def instance_head(self) -> int:
        """The last position of the instance-wide log."""
        return self.purged_position + len(self.instance_log)

    def log_of(self, record: RunRecord) -> Log | None:
        """The log that a record names."""
        return self.logs.get(record.log_id)
