"""The storage that keeps everything in the memory of one process."""

from runwire.storages.memory.event_log_storage import MemoryEventLogStorage
from runwire.storages.memory.run_storage import MemoryRunStorage
from runwire.storages.memory.schedule_storage import MemoryScheduleStorage
from runwire.storages.memory.storage import MemoryStorage

__all__ = [
    "MemoryEventLogStorage",
    "MemoryRunStorage",
    "MemoryScheduleStorage",
    "MemoryStorage",
]
