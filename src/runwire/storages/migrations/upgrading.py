"""Bringing a database to a revision of the chain."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Literal, TypeAlias

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from runwire.storages.migrations import HEAD_REVISION, LOG_REVISION

Scope: TypeAlias = Literal["runs", "log", "database"]
"""Which tables a database has: those of the runs, those of one event log, or those of runs and all logs."""

NEWEST: dict[Scope, str] = {
    "runs": HEAD_REVISION,
    "log": LOG_REVISION,
    "database": HEAD_REVISION,
}
"""The newest revision of each kind of database."""

_ALEMBIC = threading.Lock()
"""What Alembic runs with is the process's, not the thread's."""


def migrations_config() -> Config:
    """Alembic's configuration of the chain."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def upgrade(connection: Connection, scope: Scope, revision: str | None = None) -> None:
    """Brings a database to a revision, by default the newest, in the transaction of a connection.

    Whoever calls it has begun the transaction and commits it.

    Args:
        connection: to the database; to one of the scope ``log``, with a database ``versions`` attached in memory.
        scope: which tables it has.
        revision: the revision.
    """
    config = migrations_config()
    config.attributes.update(connection=connection, scope=scope)
    with _ALEMBIC:
        command.upgrade(config, revision or NEWEST[scope])
