"""The storage in a PostgreSQL database; needs the extra ``postgres``."""

from runwire.storages.postgres.event_log_storage import PostgresEventLogStorage
from runwire.storages.postgres.run_storage import PostgresRunStorage
from runwire.storages.postgres.storage import PostgresStorage, PostgresStorageConfig

__all__ = [
    "PostgresEventLogStorage",
    "PostgresRunStorage",
    "PostgresStorage",
    "PostgresStorageConfig",
]
