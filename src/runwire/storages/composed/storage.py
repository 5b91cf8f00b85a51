"""The umbrella over storages that are configured apart."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Self

from pydantic import Field, ValidationInfo, field_validator

from runwire.config import ComponentConfig, ConfigurableClassData
from runwire.errors import InvalidConfigurationError, StorageUnavailableError
from runwire.storage import (
    BackfillStorage,
    EventLogStorage,
    InstanceStorage,
    Migration,
    MigrationProgress,
    PoolStorage,
    RunStorage,
    ScheduleStorage,
    WebhookStorage,
)
from runwire.storages.composed.event_log_storage import ComposedEventLogStorage


class StoragePart(ComponentConfig):
    """A storage, of which a part is used."""

    module: str
    """The module of its class."""
    class_name: str = Field(alias="class")
    """Its class, an InstanceStorage."""
    config: Any = Field(default_factory=dict, validate_default=True)
    """Its config, as the model of the class."""

    @field_validator("config")
    @classmethod
    def _fits(cls, config: Any, info: ValidationInfo) -> Any:
        if not {"module", "class_name"} <= info.data.keys():
            return config  # what is missing is told already
        data = ConfigurableClassData(info.data["module"], info.data["class_name"], config or {})
        try:
            return data.validated(data.load_class(InstanceStorage))
        except InvalidConfigurationError as error:
            raise ValueError(str(error)) from None

    def storage_class(self) -> type[InstanceStorage]:
        """The class."""
        return ConfigurableClassData(self.module, self.class_name).load_class(InstanceStorage)


class ComposedStorageConfig(ComponentConfig):
    """Config of ComposedStorage. Parts that are written alike are one storage."""

    run_storage: StoragePart
    """Keeps runs, the instance-wide log, the asset index, backfills and the states of webhooks."""
    event_log_storage: StoragePart
    """Keeps the event logs of runs."""
    schedule_storage: StoragePart
    """Keeps schedules, sensors and ticks."""


PARTS = tuple(ComposedStorageConfig.model_fields)


class ComposedStorage(InstanceStorage):
    """Runs in one storage, their event logs in another, kept together by the repair protocol; schedules in a third.

    Where runs and event logs are in the same storage, it keeps them as it does alone.

    Args:
        runs: the storage of the runs.
        event_logs: the storage of their event logs.
        schedules: the storage of schedules, sensors and ticks.

    Raises:
        StorageUnavailableError: runs and event logs are two storages, in one database.
    """

    def __init__(
        self, runs: InstanceStorage, event_logs: InstanceStorage, schedules: InstanceStorage
    ) -> None:
        self._runs = runs
        self._event_logs = event_logs
        self._schedules = schedules
        self._event_log_storage = runs.event_log_storage
        if event_logs is not runs:
            _check_apart(runs, event_logs)
            self._event_log_storage = ComposedEventLogStorage(runs, event_logs)

    @classmethod
    def config_type(cls) -> type[ComposedStorageConfig]:
        return ComposedStorageConfig

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        written = {} if inst_data is None else inst_data.config
        opened: dict[str, InstanceStorage] = {}
        with ExitStack() as on_failure:
            for key in PARTS:
                part = getattr(config_value, key)
                alike = [name for name in opened if getattr(config_value, name) == part]
                if alike:
                    opened[key] = opened[alike[0]]
                else:
                    opened[key] = _open(part, written.get(key))
                    on_failure.callback(opened[key].dispose)
            made = cls(*opened.values())
            on_failure.pop_all()
        return made

    @classmethod
    def migrate(cls, config_value: Any, progress: MigrationProgress) -> Migration:
        parts: list[StoragePart] = []
        for key in reversed(PARTS):
            if getattr(config_value, key) not in parts:
                parts.append(getattr(config_value, key))
        done = [part.storage_class().migrate(part.config, progress) for part in parts]
        return Migration(
            [each for migration in done for each in migration.migrated],
            [problem for migration in done for problem in migration.problems],
        )

    @classmethod
    def is_made(cls, config_value: Any) -> bool:
        parts = [getattr(config_value, key) for key in PARTS]
        return all(part.storage_class().is_made(part.config) for part in parts)

    @property
    def runs_part(self) -> InstanceStorage:
        return self._runs

    @property
    def event_logs_part(self) -> InstanceStorage:
        return self._event_logs

    @property
    def schedules_part(self) -> InstanceStorage:
        return self._schedules

    @property
    def run_storage(self) -> RunStorage:
        return self._runs.run_storage

    @property
    def event_log_storage(self) -> EventLogStorage:
        return self._event_log_storage

    @property
    def schedule_storage(self) -> ScheduleStorage:
        return self._schedules.schedule_storage

    @property
    def webhook_storage(self) -> WebhookStorage:
        return self._runs.webhook_storage

    @property
    def pool_storage(self) -> PoolStorage:
        return self._runs.pool_storage

    @property
    def backfill_storage(self) -> BackfillStorage:
        return self._runs.backfill_storage

    @property
    def suits_several_servers(self) -> bool:
        parts = (self._runs, self._event_logs, self._schedules)
        return all(part.suits_several_servers for part in parts)

    def schema_revision(self) -> str | None:
        return self._runs.schema_revision()

    def head_revision(self) -> str | None:
        return self._runs.head_revision()

    def dispose(self) -> None:
        self._event_log_storage.dispose()
        for part in (self._schedules, self._event_logs, self._runs):
            part.dispose()


def _open(part: StoragePart, written: Mapping[str, Any] | None) -> InstanceStorage:
    """Opens a storage; it tells its config as written, for `env:` is not to be seen."""
    config = part.config.model_dump() if written is None else written.get("config") or {}
    return ConfigurableClassData(part.module, part.class_name, config).rehydrate(InstanceStorage)


def _check_apart(runs: InstanceStorage, event_logs: InstanceStorage) -> None:
    """Refuses two storages in one database, where stand-ins would be among the runs.

    Raises:
        StorageUnavailableError: so it is.
    """
    ids = {part.event_log_storage.get_instance_log_id() for part in (runs, event_logs)}
    if len(ids) == 1:
        raise StorageUnavailableError(
            "run_storage and event_log_storage name one database with different settings; write them"
            " alike, or name it as storage"
        )
