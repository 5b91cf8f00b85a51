"""The chain of migrations: its head, and that it makes what the tables say, in every kind of database."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, create_engine, inspect

from runwire.storages.migrations import HEAD_REVISION
from runwire.storages.migrations.upgrading import NEWEST, Scope, migrations_config, upgrade
from runwire.storages.sql.tables import DATABASE, LOG, RUNS

METADATA: dict[Scope, MetaData] = {"runs": RUNS, "log": LOG, "database": DATABASE}

Begin = Callable[[str], AbstractContextManager[Connection]]
"""Begins a transaction on a database of a name, which is empty at first."""


@pytest.fixture(
    params=[
        ("sqlite", "runs"),
        ("sqlite", "log"),
        ("sqlite", "database"),
        ("postgres", "database"),
    ],
    ids=" ".join,
)
def kind(request: pytest.FixtureRequest) -> tuple[str, Scope]:
    """A database, and a scope that it can have."""
    found: tuple[str, Scope] = request.param
    return found


@pytest.fixture
def scope(kind: tuple[str, Scope]) -> Scope:
    return kind[1]


@pytest.fixture
def begin(kind: tuple[str, Scope], tmp_path: Path, request: pytest.FixtureRequest) -> Begin:
    if kind[0] == "postgres":
        server = request.getfixturevalue("postgres_server")
        names: dict[str, str] = {}

        def begin(name: str) -> AbstractContextManager[Connection]:
            if name not in names:
                names[name] = server.make_database()
                request.addfinalizer(lambda: server.drop_database(names[name]))
            url = server.url(names[name]).replace("postgresql:", "postgresql+psycopg:")
            return _transaction(create_engine(url))

        return begin
    return lambda name: _transaction(create_engine(f"sqlite:///{tmp_path / name}.db"))


@contextmanager
def _transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction on an engine that is disposed of at its end."""
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("ATTACH ':memory:' AS versions")
        yield connection
    engine.dispose()


def shape_of(connection: Connection) -> dict[str, Any]:
    """Tables with their columns, keys and indexes as the database tells them, and as SQLite keeps their text.

    The names of primary keys do not count: PostgreSQL chooses them, and nothing asks for them.
    """
    found: dict[str, Any] = {}
    inspector = inspect(connection)
    for name in set(inspector.get_table_names()) - {"alembic_version"}:
        found[name] = {
            "columns": [
                {key: str(value) for key, value in column.items() if key != "comment"}
                | {"collation": getattr(column["type"], "collation", None)}
                for column in inspector.get_columns(name)
            ],
            "key": inspector.get_pk_constraint(name)["constrained_columns"],
            "indexes": sorted(map(str, inspector.get_indexes(name))),
        }
    if connection.dialect.name == "sqlite":
        texts = connection.exec_driver_sql(
            "SELECT name, replace(replace(sql, char(10), ''), char(9), '') FROM sqlite_master"
            " WHERE tbl_name <> 'alembic_version' AND sql IS NOT NULL"
        )
        found["texts"] = {name: re.sub(r'["\s]+', "", text) for name, text in texts}
    return found


def migrate(begin: Begin, name: str, scope: Scope, revision: str) -> dict[str, Any]:
    """The shape of a database that the chain has made up to a revision."""
    with begin(name) as connection:
        upgrade(connection, scope, revision)
    with begin(name) as connection:
        return shape_of(connection)


def test_the_chain_makes_what_the_tables_say(begin: Begin, scope: Scope) -> None:
    with begin("made") as connection:
        METADATA[scope].create_all(connection)
    with begin("made") as connection:
        made = shape_of(connection)
    migrated = migrate(begin, "migrated", scope, NEWEST[scope])
    assert migrated == made
    assert made.keys() - {"texts"} == set(METADATA[scope].tables)


def test_alembic_finds_nothing_to_change_after_the_chain(begin: Begin, scope: Scope) -> None:
    migrate(begin, "migrated", scope, NEWEST[scope])
    with begin("migrated") as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_name": lambda name, kind, parents: (
                    (name, kind) != ("alembic_version", "table")
                ),
            },
        )
        assert compare_metadata(context, METADATA[scope]) == []


def test_revisions_after_the_newest_of_a_kind_leave_it_as_it_is(begin: Begin, scope: Scope) -> None:
    """Else logs would have to be migrated too, though their revision says that they need not."""
    newest = migrate(begin, "newest", scope, NEWEST[scope])
    assert migrate(begin, "head", scope, HEAD_REVISION) == newest


def test_each_revision_of_a_kind_can_be_the_last(begin: Begin, scope: Scope) -> None:
    """Step by step is the same as at once."""
    at_once = migrate(begin, "at_once", scope, NEWEST[scope])
    for number in range(1, int(NEWEST[scope])):
        migrate(begin, "by_step", scope, f"{number:04}")
    assert migrate(begin, "by_step", scope, NEWEST[scope]) == at_once


def test_the_head_of_the_chain_is_the_one_that_is_written_down() -> None:
    chain = ScriptDirectory.from_config(migrations_config())
    assert chain.get_heads() == [HEAD_REVISION]
    revisions = [script.revision for script in chain.walk_revisions()][::-1]
    assert revisions == [f"{number:04}" for number in range(1, len(revisions) + 1)]
    names = [Path(script.path).name for script in chain.walk_revisions()][::-1]
    assert all(re.fullmatch(r"revision_\d{4}\.py", name) for name in names)


def test_opening_a_storage_imports_no_alembic(tmp_path: Path) -> None:
    code = (
        "import sys; from runwire.storages.sqlite import SqliteStorage;"
        "SqliteStorage(sys.argv[1]).dispose(); print('alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
