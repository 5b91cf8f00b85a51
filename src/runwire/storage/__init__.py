"""The contracts of the storages."""

from runwire.storage.asset_index import AssetIndex, AssetKey, AssetRecord, AssetsPage
from runwire.storage.event_log_storage import (
    Append,
    EventLogPage,
    EventLogStorage,
    HeadsWatch,
    InstanceLogPage,
    InstanceLogSpan,
    LogHead,
)
from runwire.storage.instance_log import MAX_PAGE, InstanceEventKind, InstanceLogRecord
from runwire.storage.instance_storage import InstanceStorage
from runwire.storage.migration import Migrated, Migration, MigrationProgress
from runwire.storage.pool_storage import (
    FRESH_SECONDS,
    Pool,
    PoolSlot,
    PoolStorage,
    SlotAnswer,
    SlotClaim,
)
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
from runwire.storage.webhook_storage import (
    DeadLetter,
    DeadLettersPage,
    WebhookAttempt,
    WebhookState,
    WebhookStatus,
    WebhookStorage,
    WebhookTrouble,
)

__all__ = [
    "FRESH_SECONDS",
    "MAX_PAGE",
    "MAX_TICK_KEY",
    "Append",
    "AssetIndex",
    "AssetKey",
    "AssetRecord",
    "AssetsPage",
    "CursorMove",
    "DaemonHeartbeat",
    "DaemonLease",
    "DeadLetter",
    "DeadLettersPage",
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
    "Pool",
    "PoolSlot",
    "PoolStorage",
    "RequestKey",
    "RunGroup",
    "RunGroupsPage",
    "RunStorage",
    "RunsPage",
    "ScheduleStorage",
    "SlotAnswer",
    "SlotClaim",
    "TicksPage",
    "WebhookAttempt",
    "WebhookState",
    "WebhookStatus",
    "WebhookStorage",
    "WebhookTrouble",
]
