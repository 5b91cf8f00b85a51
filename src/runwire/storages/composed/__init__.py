"""Storages joined: the runs of one, the event logs of another."""

from runwire.storages.composed.event_log_storage import ComposedEventLogStorage
from runwire.storages.composed.storage import (
    ComposedStorage,
    ComposedStorageConfig,
    StoragePart,
)

__all__ = ["ComposedEventLogStorage", "ComposedStorage", "ComposedStorageConfig", "StoragePart"]
