"""The tables of a PostgreSQL database are migrated in one transaction, by one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, text

from runwire.errors import SchemaRevisionError, StorageUnavailableError
from runwire.storage import Migrated, Migration
from runwire.storages.migrations import HEAD_REVISION
from runwire.storages.migrations.upgrading import upgrade
from runwire.storages.postgres import PostgresStorage, PostgresStorageConfig
from runwire.storages.postgres import migrate as postgres_migrate
from runwire.testing.samples import in_threads, launch, positions, read_log

OLD = "0003"
"""The revision that the first databases in PostgreSQL had."""


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A transaction on the database."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def old_url(postgres_url: str) -> str:
    """A database of the old revision, with a tagged run and an event in it."""
    with connected(postgres_url) as connection:
        upgrade(connection, "database", OLD)
        connection.execute(text("INSERT INTO meta VALUES ('instance_log_id', 'an-id')"))
        connection.execute(
            text(
                "INSERT INTO runs (run_id, log_id, status, job_name, managed, created_at, updated_at,"
                " worker_epoch, resume_attempts, applied_position, tags, run_config, steps_planned, counts)"
                " VALUES ('r', 'l', 'MANAGED', 'daily', true, 5, 5, 0, 0, 0, '{\"team\":\"sales\"}', '{}', 0,"
                " '{}')"
            )
        )
        connection.execute(text("INSERT INTO run_tags VALUES (1, 'team', 'sales')"))
        connection.execute(text("INSERT INTO run_heads VALUES (1, 1, 0, NULL, 0)"))
        connection.execute(
            text(
                "INSERT INTO run_events VALUES (1, 1, 6, 20, NULL, NULL, 'hello', true, NULL, NULL)"
            )
        )
    return postgres_url


def migrate(url: str, **config: Any) -> Migration:
    value = PostgresStorageConfig.model_validate({"postgres_url": url, **config})
    return PostgresStorage.migrate(value, lambda done, total: None)


def revision_of(url: str) -> str:
    with connected(url) as connection:
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def test_an_old_database_is_refused_until_it_is_migrated(old_url: str) -> None:
    with pytest.raises(SchemaRevisionError, match="run `runwire instance migrate`") as refused:
        PostgresStorage(old_url)
    assert (refused.value.found, refused.value.head) == (OLD, HEAD_REVISION)
    (migrated,) = migrate(old_url).migrated
    assert migrated == Migrated(refused.value.database, OLD, HEAD_REVISION)
    storage = PostgresStorage(old_url)
    assert storage.schema_revision() == HEAD_REVISION
    run = storage.get_run_record("r")
    assert [record.message for record in read_log(storage, run)] == ["hello"]
    assert storage.run_storage.get_run_tag_values("team") == ["sales"]
    assert positions(read_log(storage, launch(storage))) == [1]
    storage.dispose()
    assert migrate(old_url) == Migration()


def test_of_many_that_migrate_one_does(old_url: str) -> None:
    done: list[Migrated] = []
    in_threads(4, lambda _: done.extend(migrate(old_url).migrated))
    assert [(each.found, each.head) for each in done] == [(OLD, HEAD_REVISION)]


def test_a_migration_that_dies_changes_nothing(
    old_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*arguments: Any) -> None:
        upgrade(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(postgres_migrate, "upgrade", die)
    with pytest.raises(KeyboardInterrupt):
        migrate(old_url)
    monkeypatch.undo()
    assert revision_of(old_url) == OLD
    assert len(migrate(old_url).migrated) == 1


def test_tables_in_use_are_not_migrated_and_not_waited_for_too_long(old_url: str) -> None:
    with connected(old_url) as other:
        other.execute(text("LOCK TABLE runs IN SHARE MODE"))
        with pytest.raises(StorageUnavailableError, match="holds a lock for too long"):
            migrate(old_url, lock_timeout_seconds=0.2)
    assert revision_of(old_url) == OLD


def test_a_migration_may_take_longer_than_a_statement(old_url: str) -> None:
    with connected(old_url) as connection:
        connection.execute(
            text("INSERT INTO run_tags SELECT 1, 'k' || i, 'v' FROM generate_series(1, 50000) i")
        )
    assert len(migrate(old_url, statement_timeout_seconds=0.02).migrated) == 1


def test_what_a_newer_version_wrote_is_not_migrated(postgres_url: str) -> None:
    PostgresStorage(postgres_url).dispose()
    with connected(postgres_url) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaRevisionError, match="a newer version of runwire wrote it"):
        migrate(postgres_url)
    assert revision_of(postgres_url) == "9999"


def test_nothing_is_made_where_nothing_is_stored(postgres_url: str) -> None:
    assert migrate(postgres_url) == Migration()
    with connected(postgres_url) as connection:
        tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
        assert connection.execute(text(tables)).scalar_one() == 0
