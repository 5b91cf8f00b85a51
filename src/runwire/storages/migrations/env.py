"""What Alembic runs to migrate one database; `upgrade` in `upgrading.py` calls it with attributes.

One chain serves three kinds of database, told by the attribute `scope`: ``runs`` and ``database`` (runs and all
event logs) keep their revision in Alembic's own table, ``log`` (one run's event log) in the column `revision` of
its table `log`, where it costs no page of its own.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, inspect

from runwire.storages.sql.tables import DATABASE, LOG, RUNS

_METADATA = {"runs": RUNS, "log": LOG, "database": DATABASE}


def run_migrations(connection: Connection, scope: str) -> None:
    """Brings a database to the revision that was asked for."""
    if scope != "log":
        context.configure(connection=connection, target_metadata=_METADATA[scope])
        context.run_migrations()
        return
    _seed_version(connection)
    context.configure(connection=connection, target_metadata=LOG, version_table_schema="versions")
    context.run_migrations()
    connection.exec_driver_sql(
        "UPDATE log SET revision = (SELECT version_num FROM versions.alembic_version)"
    )


def _seed_version(connection: Connection) -> None:
    """Makes Alembic's table in the database `versions`, which is this connection's own, in memory."""
    connection.exec_driver_sql(
        "CREATE TABLE versions.alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
    )
    if inspect(connection).has_table("log"):
        connection.exec_driver_sql("INSERT INTO versions.alembic_version SELECT revision FROM log")


run_migrations(context.config.attributes["connection"], context.config.attributes["scope"])
