"""What statements may take, and how a database is waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Connection, text

from runwire.deadline import Deadline, using_deadline
from runwire.errors import StorageUnavailableError
from runwire.storages.postgres import PostgresStorage
from runwire.storages.postgres.connections import Limits
from runwire.testing.samples import launch, lines, positions, read_log
from tests.postgres import PASSWORD, PostgresServer

SETTINGS = ("lock_timeout", "statement_timeout", "synchronous_commit", "enable_seqscan")


@pytest.fixture(params=["directly", "behind a pooler"])
def url(request: pytest.FixtureRequest, postgres_url: str) -> str:
    """The URL of an empty database."""
    if request.param == "directly":
        return postgres_url
    pooled: str = request.getfixturevalue("pooled_url")
    return pooled


@pytest.fixture
def hasty(url: str) -> Iterator[PostgresStorage]:
    """A storage that waits for little."""
    PostgresStorage(url).dispose()  # making the tables may take its time
    limits = Limits(pool_size=1, statement_timeout_seconds=1.5, lock_timeout_seconds=0.5)
    storage = PostgresStorage(url, limits)
    yield storage
    storage.dispose()


@pytest.mark.parametrize("way", ["reading", "walking", "writing_at_once", "writing"])
def test_a_statement_that_takes_too_long_is_ended(hasty: PostgresStorage, way: str) -> None:
    run = launch(hasty)
    told = "a statement took longer than statement_timeout_seconds"
    with (
        pytest.raises(StorageUnavailableError, match=told),
        getattr(hasty.run_storage, way)() as connection,
    ):
        connection.execute(text("SELECT pg_sleep(20)"))
    assert hasty.get_run_record(run.run_id) == run


def test_each_statement_has_the_time(hasty: PostgresStorage) -> None:
    with hasty.run_storage.reading() as connection:
        for _ in range(3):
            connection.execute(text("SELECT pg_sleep(0.6)"))


def test_who_waits_for_a_table_gives_up(hasty: PostgresStorage, postgres_url: str) -> None:
    run = launch(hasty)
    told = "another transaction holds a lock for too long"
    with psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE runs, run_heads, run_events IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StorageUnavailableError, match=told):
            hasty.get_run_record(run.run_id)
        with pytest.raises(StorageUnavailableError, match=told):
            hasty.event_log_storage.get_records(run)
        with pytest.raises(StorageUnavailableError, match=told):
            hasty.store_events(run.run_id, lines(run.run_id, 1), epoch=1, known=run)
    assert positions(read_log(hasty, run)) == [1]


def settings_of(connection: Connection) -> list[str]:
    """What holds in the session, outside of what is sent along with statements."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    found = [psycopg.Cursor(driver).execute(f"SHOW {name}".encode()) for name in SETTINGS]
    return [str(row) for cursor in found for row in cursor.fetchall()]


def test_a_session_is_left_as_it_was(postgres_url: str) -> None:
    storage = PostgresStorage(postgres_url, Limits(pool_size=1, max_overflow=0))
    run = launch(storage)
    with psycopg.connect(postgres_url) as fresh:
        usual = [str(fresh.execute(f"SHOW {name}".encode()).fetchone()) for name in SETTINGS]
    storage.store_events(run.run_id, lines(run.run_id, 1), known=run)
    read_log(storage, run)
    with storage.run_storage.writing(durable=False):
        pass
    with storage.run_storage.reading() as connection:
        connection.execute(text("SELECT 1"))
        assert settings_of(connection) == usual
    with storage.run_storage.walking() as connection:
        connection.execute(text("SELECT 1"))
        assert settings_of(connection) == usual
    storage.dispose()


def test_a_database_that_is_down_is_told_with_its_place(postgres_server: PostgresServer) -> None:
    url = postgres_server.url("somewhere").replace(f":{postgres_server.port}/", ":1/")
    with pytest.raises(StorageUnavailableError) as refused:
        PostgresStorage(url, Limits(reconnect_seconds=0.2))
    told = str(refused.value)
    assert "PostgreSQL database 'somewhere' at 127.0.0.1:1: it cannot be reached" in told
    for error in (refused.value, refused.value.__cause__, refused.value.__context__):
        assert PASSWORD not in str(error)


def test_a_database_that_starts_is_waited_for(postgres_server: PostgresServer) -> None:
    url = postgres_server.url(postgres_server.make_database())
    opened: list[PostgresStorage] = []

    def open_it() -> None:
        opened.append(PostgresStorage(url, Limits(reconnect_seconds=60)))

    postgres_server.kill()
    opening = threading.Thread(target=open_it)
    opening.start()
    opening.join(0.5)
    assert opening.is_alive()
    postgres_server.start()
    opening.join(60)
    launch(opened[0])
    opened[0].dispose()


@pytest.mark.parametrize("way", ["reading", "walking"])
def test_a_read_ends_when_nobody_waits_for_it_any_more(url: str, way: str) -> None:
    storage = PostgresStorage(url)
    try:
        with (
            using_deadline(Deadline(0.1)),
            pytest.raises(StorageUnavailableError, match="a statement took longer"),
            getattr(storage.run_storage, way)() as connection,
        ):
            connection.execute(text("SELECT pg_sleep(60)"))
        with storage.run_storage.reading() as connection:
            shown = connection.execute(text("SHOW statement_timeout")).scalar_one()
        assert shown == "1min"
    finally:
        storage.dispose()


def test_what_is_written_has_no_deadline(url: str) -> None:
    storage = PostgresStorage(url)
    try:
        with using_deadline(Deadline(0.01)), storage.run_storage.writing() as connection:
            connection.execute(text("SELECT pg_sleep(0.5)"))
    finally:
        storage.dispose()
