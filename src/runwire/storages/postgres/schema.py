"""Making the tables, and checking that they are of this version."""

from __future__ import annotations

from sqlalchemy import Connection, text

from runwire.errors import SchemaRevisionError
from runwire.storages.migrations import HEAD_REVISION, mend_of
from runwire.storages.postgres.connections import Database
from runwire.storages.sql.run_storage import set_up
from runwire.storages.sql.tables import DATABASE

LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('runwire schema', 0))")
# Not by to_regclass, which may answer from a cache that is older than the lock that was waited for.
_FIND_TABLE = text(
    "SELECT EXISTS (SELECT FROM pg_class WHERE relname = :name AND pg_table_is_visible(oid))"
)
_SET_REVISION = text("INSERT INTO alembic_version VALUES (:revision)")
_LETTERS = text(
    "SELECT collname FROM pg_collation WHERE collname IN ('pg_c_utf8', 'und-x-icu')"
    " ORDER BY collname = 'und-x-icu' LIMIT 1"
)


def find_revision(connection: Connection) -> str | None:
    """The revision of the tables; None when there are none."""
    if not connection.execute(_FIND_TABLE, {"name": "alembic_version"}).scalar_one():
        return None
    version: str | None = connection.execute(
        text("SELECT version_num FROM alembic_version")
    ).scalar()
    return version


def ensure_schema(database: Database) -> None:
    """Makes the tables if there are none, once, however many processes try at the same time.

    Raises:
        SchemaRevisionError: they are of another version.
        StorageUnavailableError: the database cannot be used.
    """
    with database.reading() as connection:
        found = find_revision(connection)
    if found is None:
        with database.writing() as connection:
            connection.execute(LOCK)
            found = find_revision(connection)
            if found is None:
                _make(connection, database.place)
                return
    check_revision(database.place, found)


def check_revision(place: str, found: str) -> None:
    """Checks that the tables are of this version.

    Raises:
        SchemaRevisionError: they are not.
    """
    if found != HEAD_REVISION:
        raise SchemaRevisionError(place, found, HEAD_REVISION, mend_of(found, HEAD_REVISION))


def letters_collation(database: Database) -> str:
    """A collation that knows the upper-case letters of all scripts, or the database's own."""
    with database.reading() as connection:
        return connection.execute(_LETTERS).scalar() or "default"


def _make(connection: Connection, place: str) -> None:
    if connection.execute(_FIND_TABLE, {"name": "runs"}).scalar_one():
        mend = "it has a table 'runs' that is not runwire's; name another database"
        raise SchemaRevisionError(place, None, HEAD_REVISION, mend)
    DATABASE.create_all(connection, checkfirst=False)
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
    )
    connection.execute(_SET_REVISION, {"revision": HEAD_REVISION})
    set_up(connection)
