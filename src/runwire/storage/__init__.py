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
    InstanceLogSpan,
    LogHead,
)
from runwire.storage.instance_storage import InstanceStorage
from runwire.storage.migration import Migrated, Migration, MigrationProgress
from runwire.storage.run_storage import (
    DaemonHeartbeat,
    DaemonLease,
    HeldRun,
    ListedRunGroup,
    RequestKey,
    RunGroup,
    RunGroupsPage,
    RunsPage,
    RunStorage,
)
from runwire.storage.schedule_storage import (
    MAX_TICK_KEY,
    CursorMove,
    ScheduleStorage,
    TicksPage,
)

__all__ = [
    "MAX_PAGE",
    "MAX_TICK_KEY",
    "Append",
    "CursorMove",
    "DaemonHeartbeat",
    "DaemonLease",
    "EventLogPage",
    "EventLogStorage",
    "HeadsWatch",
    "HeldRun",
    "InstanceEventKind",
    "InstanceLogPage",
    "InstanceLogRecord",
    "InstanceLogSpan",
    "InstanceStorage",
    "ListedRunGroup",
    "LogHead",
    "Migrated",
    "Migration",
    "MigrationProgress",
    "RequestKey",
    "RunGroup",
    "RunGroupsPage",
    "RunStorage",
    "RunsPage",
    "ScheduleStorage",
    "TicksPage",
]
