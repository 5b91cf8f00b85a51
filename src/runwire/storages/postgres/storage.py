"""The umbrella over the PostgreSQL storages."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from runwire.config import (
    ComponentConfig,
    ConfigurableClassData,
    PositiveSeconds,
    Seconds,
    WholeNumber,
)
from runwire.storage import InstanceStorage, Migration, MigrationProgress
from runwire.storages.migrations import HEAD_REVISION
from runwire.storages.postgres.backfill_storage import PostgresBackfillStorage
from runwire.storages.postgres.connections import Database, Limits
from runwire.storages.postgres.event_log_storage import PostgresEventLogStorage
from runwire.storages.postgres.pool_storage import PostgresPoolStorage
from runwire.storages.postgres.repeating import repeated
from runwire.storages.postgres.run_storage import PostgresRunStorage
from runwire.storages.postgres.schedule_storage import PostgresScheduleStorage
from runwire.storages.postgres.schema import ensure_schema, find_revision, letters_collation
from runwire.storages.postgres.webhook_storage import PostgresWebhookStorage

_DRIVER = "postgresql+psycopg"
_SCHEMES = {"postgres", "postgresql", _DRIVER}


class PostgresDatabase(BaseModel):
    """A database by its parts."""

    model_config = ConfigDict(extra="forbid")

    username: str
    """The user."""
    password: SecretStr = SecretStr("")
    """The user's password."""
    hostname: str
    """The host, or the folder of a unix socket."""
    db_name: str
    """The database, which must be there."""
    port: WholeNumber = Field(default=5432, ge=1, le=65535)
    """The port."""
    params: dict[str, SecretStr] = {}
    """Parameters of the connection, such as ``sslmode``; some, such as ``sslpassword``, are not to be shown."""


class PostgresStorageConfig(ComponentConfig):
    """Config of PostgresStorage. Either `postgres_url` or `postgres_db` tells the database."""

    postgres_url: SecretStr | None = None
    """The database as ``postgresql://user:password@host:port/database``."""
    postgres_db: PostgresDatabase | None = None
    """The database by its parts."""
    pool_size: WholeNumber = Field(default=5, ge=1, le=1000)
    """How many connections a process keeps open when they are not in use."""
    max_overflow: WholeNumber = Field(default=15, ge=0, le=1000)
    """How many more it may open at once."""
    statement_timeout_seconds: PositiveSeconds = 60.0
    """How long a statement may take."""
    lock_timeout_seconds: PositiveSeconds = 30.0
    """How long a statement may wait for another transaction."""
    reconnect_seconds: Seconds = 5.0
    """How long to try again when the database cannot be reached, as while it starts."""
    prepared_statements: bool = False
    """Whether sessions keep statements prepared, which is faster. Not behind a transaction pooler."""

    @model_validator(mode="after")
    def _names_one_database(self) -> Self:
        if (self.postgres_url is None) is (self.postgres_db is None):
            raise ValueError("give one of postgres_url and postgres_db")
        self.url()  # refuses what is no URL
        return self

    def url(self) -> URL:
        """The database for SQLAlchemy.

        Raises:
            ValueError: it is not a URL of a PostgreSQL database.
        """
        if self.postgres_url is None:
            parts = self.postgres_db
            if parts is None:
                raise ValueError("give one of postgres_url and postgres_db")
            return URL.create(
                _DRIVER,
                username=parts.username,
                password=parts.password.get_secret_value() or None,
                host=parts.hostname,
                port=parts.port,
                database=parts.db_name,
                query={key: value.get_secret_value() for key, value in parts.params.items()},
            )
        wanted = "postgres_url must be postgresql://user:password@host:port/database"
        try:
            url = make_url(self.postgres_url.get_secret_value())
        except (ArgumentError, ValueError):
            raise ValueError(wanted) from None  # its message has the URL, and so the password
        if url.drivername not in _SCHEMES or not url.database:
            raise ValueError(wanted)
        return url.set(drivername=_DRIVER)


class PostgresStorage(InstanceStorage):
    """Keeps runs and event logs in one PostgreSQL database, in tables that it makes when there are none.

    Events and what they change of their run commit in one transaction. It works behind a transaction pooler.

    Args:
        url: the database, which must be there.
        limits: of connections and transactions.

    Raises:
        StorageUnavailableError: the database cannot be used.
        SchemaRevisionError: its tables are of another version.
    """

    def __init__(self, url: str | URL, limits: Limits | None = None) -> None:
        made = make_url(url).set(drivername=_DRIVER)
        self._database = Database(made, limits or Limits())
        try:
            ensure_schema(self._database)
            letters = letters_collation(self._database)
        except BaseException:
            self._database.dispose()
            raise
        self._run_storage = PostgresRunStorage(self._database)
        self._event_log_storage = PostgresEventLogStorage(self._run_storage, letters)
        self._schedule_storage = PostgresScheduleStorage(self._run_storage)
        self._webhook_storage = PostgresWebhookStorage(self._run_storage)
        self._pool_storage = PostgresPoolStorage(self._run_storage)
        self._backfill_storage = PostgresBackfillStorage(self._run_storage)

    # One transaction each; what follows in another repeats itself.
    store_events = repeated(InstanceStorage.store_events)
    delete_run = repeated(InstanceStorage.delete_run)

    @classmethod
    def config_type(cls) -> type[PostgresStorageConfig]:
        return PostgresStorageConfig

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        return cls(config_value.url(), _limits(config_value))

    @classmethod
    def migrate(cls, config_value: Any, progress: MigrationProgress) -> Migration:
        from runwire.storages.postgres.migrate import migrate_database  # noqa: PLC0415 -- Alembic is rarely needed

        database = Database(config_value.url(), _limits(config_value))
        try:
            return migrate_database(database, progress)
        finally:
            database.dispose()

    @property
    def run_storage(self) -> PostgresRunStorage:
        return self._run_storage

    @property
    def event_log_storage(self) -> PostgresEventLogStorage:
        return self._event_log_storage

    @property
    def schedule_storage(self) -> PostgresScheduleStorage:
        return self._schedule_storage

    @property
    def webhook_storage(self) -> PostgresWebhookStorage:
        return self._webhook_storage

    @property
    def pool_storage(self) -> PostgresPoolStorage:
        return self._pool_storage

    @property
    def backfill_storage(self) -> PostgresBackfillStorage:
        return self._backfill_storage

    @property
    def suits_several_servers(self) -> bool:
        return True

    def schema_revision(self) -> str | None:
        with self._database.reading() as connection:
            return find_revision(connection)

    def head_revision(self) -> str | None:
        return HEAD_REVISION


def _limits(config: PostgresStorageConfig) -> Limits:
    return Limits(
        pool_size=config.pool_size,
        max_overflow=config.max_overflow,
        statement_timeout_seconds=config.statement_timeout_seconds,
        lock_timeout_seconds=config.lock_timeout_seconds,
        reconnect_seconds=config.reconnect_seconds,
        prepared_statements=config.prepared_statements,
    )
