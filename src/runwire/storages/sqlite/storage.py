"""The umbrella over the SQLite storages."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field

from runwire.config import (
    ComponentConfig,
    ConfigurableClassData,
    PositiveSeconds,
    WholeNumber,
)
from runwire.errors import StorageUnavailableError
from runwire.storage import EventLogStorage, InstanceStorage, Migration, MigrationProgress
from runwire.storages.migrations import HEAD_REVISION
from runwire.storages.sql.backfill_storage import SqlBackfillStorage
from runwire.storages.sql.pool_storage import SqlPoolStorage
from runwire.storages.sql.webhook_storage import SqlWebhookStorage
from runwire.storages.sqlite.consolidated_storage import (
    CONSOLIDATED_FILE_NAME,
    ConsolidatedSqliteEventLogStorage,
    ConsolidatedSqliteRunStorage,
)
from runwire.storages.sqlite.event_log_storage import SqliteEventLogStorage
from runwire.storages.sqlite.run_storage import FILE_NAME, SqliteRunStorage
from runwire.storages.sqlite.schedule_storage import SqliteScheduleStorage

MAX_BUSY_SECONDS = 24 * 60 * 60
"""SQLite counts milliseconds in 32 bits: it would not wait at all for 25 days."""


Layout = Literal["sharded", "consolidated"]

_FILES: dict[Layout, str] = {"sharded": FILE_NAME, "consolidated": CONSOLIDATED_FILE_NAME}


class SqliteStorageConfig(ComponentConfig):
    """Config of SqliteStorage."""

    base_dir: str
    """The folder below which all files are kept, in ``history``."""
    busy_timeout_seconds: PositiveSeconds = Field(default=30.0, le=MAX_BUSY_SECONDS)
    """How long a writer waits for another process that writes the same file."""
    layout: Layout = "sharded"
    """Whether each run's event log has a file of its own, or all are in one file with the runs."""
    max_open_logs: WholeNumber = Field(default=64, ge=1)
    """How many event logs a process keeps open when they are not in use; for sharded ones."""


class SqliteStorage(InstanceStorage):
    """Keeps runs in one SQLite file, and each run's event log in one of its own, or all in that of the runs.

    With files of their own, a commit that must be durable syncs the log's file before the runs' file, so
    that after a power cut a log may be ahead of its run's row, and never the other way round.

    Raises:
        StorageUnavailableError: the file of the runs can be neither opened nor made.
        SchemaRevisionError: the file of the runs is of another version.
    """

    def __init__(
        self,
        base_dir: str | Path,
        *,
        layout: Layout = "sharded",
        busy_timeout_seconds: float = 30.0,
        max_open_logs: int = 64,
    ) -> None:
        _check_layout(Path(base_dir), layout)
        self._run_storage: SqliteRunStorage
        self._event_log_storage: EventLogStorage
        if layout == "consolidated":
            runs = ConsolidatedSqliteRunStorage(base_dir, busy_timeout_seconds)
            self._run_storage = runs
            self._event_log_storage = ConsolidatedSqliteEventLogStorage(runs)
        else:
            self._run_storage = SqliteRunStorage(base_dir, busy_timeout_seconds)
            self._event_log_storage = SqliteEventLogStorage(
                base_dir, self._run_storage, busy_timeout_seconds, max_open_logs
            )
        self._schedule_storage = SqliteScheduleStorage(self._run_storage)
        self._webhook_storage = SqlWebhookStorage(self._run_storage)
        self._pool_storage = SqlPoolStorage(self._run_storage)
        self._backfill_storage = SqlBackfillStorage(self._run_storage)

    @classmethod
    def config_type(cls) -> type[SqliteStorageConfig]:
        return SqliteStorageConfig

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Any,
    ) -> Self:
        return cls(
            config_value.base_dir,
            layout=config_value.layout,
            busy_timeout_seconds=config_value.busy_timeout_seconds,
            max_open_logs=config_value.max_open_logs,
        )

    @classmethod
    def migrate(cls, config_value: Any, progress: MigrationProgress) -> Migration:
        from runwire.storages.sqlite.migrate import migrate_files  # noqa: PLC0415 -- Alembic is rarely needed

        base_dir, layout = Path(config_value.base_dir), config_value.layout
        _check_layout(base_dir, layout)
        history = base_dir / "history"
        return migrate_files(
            history,
            history / _FILES[layout],
            "runs" if layout == "sharded" else "database",
            config_value.busy_timeout_seconds,
            progress,
        )

    @classmethod
    def is_made(cls, config_value: Any) -> bool:
        history = Path(config_value.base_dir) / "history"
        return any((history / file_name).exists() for file_name in _FILES.values())

    @property
    def run_storage(self) -> SqliteRunStorage:
        return self._run_storage

    @property
    def event_log_storage(self) -> EventLogStorage:
        return self._event_log_storage

    @property
    def schedule_storage(self) -> SqliteScheduleStorage:
        return self._schedule_storage

    @property
    def webhook_storage(self) -> SqlWebhookStorage:
        return self._webhook_storage

    @property
    def pool_storage(self) -> SqlPoolStorage:
        return self._pool_storage

    @property
    def backfill_storage(self) -> SqlBackfillStorage:
        return self._backfill_storage

    def schema_revision(self) -> str | None:
        return self._run_storage.get_revision()

    def head_revision(self) -> str | None:
        return HEAD_REVISION


def _check_layout(base_dir: Path, layout: Layout) -> None:
    """Refuses a folder whose runs are there in the other layout, and would not be seen.

    Raises:
        StorageUnavailableError: so it is.
    """
    for other, file_name in _FILES.items():
        path = base_dir / "history" / file_name
        if other != layout and path.exists():
            raise StorageUnavailableError(
                f"{path} has runs in the layout {other!r}; set storage.sqlite.layout to {other!r}, or"
                " layout so in the block that names the folder, or name another folder"
            )
