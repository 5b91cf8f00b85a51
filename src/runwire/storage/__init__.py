"""The contracts of the storages."""

from runwire.storage.event_log_storage import (
    MAX_PAGE,
    Append,
    EventLogPage,
    EventLogStorage,
    HeadsWatch,
    InstanceEventKind,
    InstanceLogPage,
    InstanceLogRecord,
    LogHead,
)
from runwire.storage.instance_storage import InstanceStorage
from runwire.storage.run_storage import (
    DaemonHeartbeat,
    DaemonLease,
    HeldRun,
    RequestKey,
    RunsPage,
    RunStorage,
)

__all__ = [
    "MAX_PAGE",
    "Append",
    "DaemonHeartbeat",
    "DaemonLease",
    "EventLogPage",
    "EventLogStorage",
    "HeadsWatch",
    "HeldRun",
    "InstanceEventKind",
    "InstanceLogPage",
    "InstanceLogRecord",
    "InstanceStorage",
    "LogHead",
    "RequestKey",
    "RunStorage",
    "RunsPage",
]
