"""The storage in a PostgreSQL database; needs the extra ``postgres``."""

try:
    import psycopg  # noqa: F401 - only to tell what is missing
except ImportError as error:
    raise ImportError(
        f"PostgreSQL needs an extra: pip install 'runwire[postgres]' ({error})"
    ) from error

from runwire.storages.postgres.event_log_storage import PostgresEventLogStorage
from runwire.storages.postgres.run_storage import PostgresRunStorage
from runwire.storages.postgres.storage import PostgresStorage, PostgresStorageConfig

__all__ = [
    "PostgresEventLogStorage",
    "PostgresRunStorage",
    "PostgresStorage",
    "PostgresStorageConfig",
]
