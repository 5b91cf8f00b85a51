"""What the databases say differently, all in one place; everything else is SQLAlchemy's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Table,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

_INSERTS = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
"""SQL has no words for "unless it is there": each database has its own."""


def insert_unless_there(connection: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """Adds a row, unless one with its key is there, or is being added by somebody else, who is waited for."""
    insert: Any = _INSERTS[connection.dialect.name]
    connection.execute(insert(table).values(values).on_conflict_do_nothing())


def insert_or_change(
    dialect: str, table: Table, changes: Callable[[Any], Mapping[str, Any]]
) -> Any:
    """The statement that adds a row, or changes the one that has its key.

    Args:
        dialect: the name of the dialect.
        table: where to.
        changes: makes new values, by column, from the columns of the row that could not be added.
    """
    insert: Any = _INSERTS[dialect](table)
    return insert.on_conflict_do_update(
        index_elements=table.primary_key.columns, set_=changes(insert.excluded)
    )


def serialize(connection: Connection, *names: str) -> None:
    """Keeps other transactions that serialize one of the names waiting until this one ends.

    SQLite has one writer at a time anyway. PostgreSQL lets two look for a row and not find it.
    """
    if connection.dialect.name == "postgresql":
        for name in sorted(names):
            key = func.hashtextextended(name, 0)
            connection.execute(select(func.pg_advisory_xact_lock(key)))


def dont_scan(connection: Connection) -> None:
    """Has the rest of a transaction go by indexes where there are any.

    PostgreSQL reads a whole table where it guesses that many of its rows are wanted, and guesses so of one that
    has grown since it was analysed. SQLite does not.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")


def is_among(
    connection: Connection, column: Column[int], numbers: Sequence[int | None]
) -> ColumnElement[bool]:
    """The condition that a column is among numbers, of which there may be a thousand.

    PostgreSQL takes them as one parameter; SQLAlchemy would write each into the statement, and plan it anew.
    """
    if connection.dialect.name == "postgresql":
        array = postgresql.ARRAY(BigInteger)
        return column == any_(bindparam("numbers", list(numbers), type_=array, unique=True))
    return column.in_(numbers)
