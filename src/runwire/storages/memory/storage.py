"""The umbrella over the storages in memory."""

from __future__ import annotations

from typing import Any, Self

from runwire.config import ConfigurableClassData
from runwire.storage import InstanceStorage
from runwire.storages.memory.backfill_storage import MemoryBackfillStorage
from runwire.storages.memory.event_log_storage import MemoryEventLogStorage
from runwire.storages.memory.pool_storage import MemoryPoolStorage
from runwire.storages.memory.run_storage import MemoryRunStorage
from runwire.storages.memory.schedule_storage import MemoryScheduleStorage
from runwire.storages.memory.state import State
from runwire.storages.memory.webhook_storage import MemoryWebhookStorage


class MemoryStorage(InstanceStorage):
    """Keeps runs, event logs and schedules in the memory of this process; they are gone with it."""

    def __init__(self) -> None:
        state = State()
        self._run_storage = MemoryRunStorage(state)
        self._event_log_storage = MemoryEventLogStorage(state)
        self._schedule_storage = MemoryScheduleStorage()
        self._webhook_storage = MemoryWebhookStorage()
        self._pool_storage = MemoryPoolStorage(state)
        self._backfill_storage = MemoryBackfillStorage()

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Any,
    ) -> Self:
        return cls()

    @property
    def run_storage(self) -> MemoryRunStorage:
        return self._run_storage

    @property
    def event_log_storage(self) -> MemoryEventLogStorage:
        return self._event_log_storage

    @property
    def schedule_storage(self) -> MemoryScheduleStorage:
        return self._schedule_storage

    @property
    def webhook_storage(self) -> MemoryWebhookStorage:
        return self._webhook_storage

    @property
    def pool_storage(self) -> MemoryPoolStorage:
        return self._pool_storage

    @property
    def backfill_storage(self) -> MemoryBackfillStorage:
        return self._backfill_storage
