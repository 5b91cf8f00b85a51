"""How the database is named, and what is told when it cannot be used."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from runwire.config import ConfigurableClassData
from runwire.errors import SchemaRevisionError, StorageUnavailableError
from runwire.events.types import EventType
from runwire.storage import InstanceStorage
from runwire.storages.postgres import PostgresStorage, PostgresStorageConfig
from runwire.storages.postgres.connections import Limits
from runwire.testing.samples import add_run, event, lines, read_log
from tests.postgres import PASSWORD, PostgresServer

SECRET = "hunter/2:@é"


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ({"postgres_url": "postgres://a:b%40c@h:5/d"}, "postgresql+psycopg://a:b%40c@h:5/d"),
        ({"postgres_url": "postgresql:///d?host=/run"}, "postgresql+psycopg:///d?host=%2Frun"),
        (
            {"postgres_db": {"username": "a", "password": SECRET, "hostname": "h", "db_name": "d"}},
            "postgresql+psycopg://a:hunter%2F2%3A%40%C3%A9@h:5432/d",
        ),
        (
            {
                "postgres_db": {
                    "username": "a",
                    "hostname": "h",
                    "db_name": "d",
                    "port": 6,
                    "params": {"sslmode": "require"},
                }
            },
            "postgresql+psycopg://a@h:6/d?sslmode=require",
        ),
    ],
)
def test_a_database_is_named_by_url_or_by_its_parts(written: dict[str, Any], url: str) -> None:
    made = PostgresStorageConfig.model_validate(written).url()
    assert made.render_as_string(hide_password=False) == url


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ({}, "give one of postgres_url and postgres_db"),
        (
            {
                "postgres_url": "postgresql://h/d",
                "postgres_db": {"username": "a", "hostname": "h", "db_name": "d"},
            },
            "give one of postgres_url and postgres_db",
        ),
        ({"postgres_url": f"mysql://a:{SECRET}@h/d"}, "postgres_url must be postgresql://"),
        ({"postgres_url": f"a:{SECRET}"}, "postgres_url must be postgresql://"),
        ({"postgres_url": f"postgresql://a:{SECRET}@h"}, "postgres_url must be postgresql://"),
    ],
)
def test_what_names_no_database_is_refused_without_its_password(
    written: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        PostgresStorageConfig.model_validate(written)
    [error] = refused.value.errors(include_input=False, include_url=False)
    assert problem in error["msg"]
    assert SECRET not in error["msg"]


def test_the_password_is_not_shown(postgres_url: str) -> None:
    data = ConfigurableClassData(
        "runwire.storages.postgres", "PostgresStorage", {"postgres_url": postgres_url}
    )
    assert PASSWORD not in str(data.info_dict())
    storage = data.rehydrate(InstanceStorage)
    storage.dispose()


def test_a_password_among_the_parameters_is_not_shown() -> None:
    parts = {"username": "a", "hostname": "h", "db_name": "d", "params": {"sslpassword": SECRET}}
    written = {"postgres_db": parts}
    data = ConfigurableClassData("runwire.storages.postgres", "PostgresStorage", written)
    config = PostgresStorageConfig.model_validate(written)
    assert config.url().query == {"sslpassword": SECRET}
    assert SECRET not in str(data.info_dict()) + repr(config)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"password": "wrong"}, "it refuses the user; check username and password"),
        ({"user": "nobody"}, "it refuses the user; check username and password"),
        ({"database": "nowhere"}, "there is no such database; create it"),
    ],
)
def test_a_database_that_refuses_is_told_at_once(
    postgres_server: PostgresServer, change: dict[str, str], told: str
) -> None:
    place = {"database": "postgres"} | change
    limits = Limits(reconnect_seconds=3600)
    with pytest.raises(StorageUnavailableError) as refused:
        PostgresStorage(postgres_server.url(place.pop("database"), **place), limits)
    assert told in str(refused.value)
    assert f"at 127.0.0.1:{postgres_server.port}" in str(refused.value)
    assert PASSWORD not in str(refused.value)


def test_a_database_that_is_down_is_told_after_a_while(postgres_server: PostgresServer) -> None:
    url = postgres_server.url("postgres").replace(f":{postgres_server.port}/", ":1/")
    with pytest.raises(StorageUnavailableError, match="it cannot be reached"):
        PostgresStorage(url, Limits(reconnect_seconds=0.2))


@pytest.mark.parametrize(
    ("revision", "told"),
    [("9999", "a newer version of runwire wrote it"), ("0001", "stop all processes of runwire")],
)
def test_tables_of_another_version_are_refused(postgres_url: str, revision: str, told: str) -> None:
    PostgresStorage(postgres_url).dispose()
    with psycopg.connect(postgres_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", (revision,))
    with pytest.raises(SchemaRevisionError, match=told):
        PostgresStorage(postgres_url)


def test_tables_of_somebody_else_are_left_alone(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE runs (id int)")
    with pytest.raises(SchemaRevisionError, match="name another database"):
        PostgresStorage(postgres_url)
    with psycopg.connect(postgres_url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchall() == [("runs",)]


def test_processes_that_open_an_empty_database_at_once_make_the_tables_once(
    postgres_url: str,
) -> None:
    opened, barrier = [], threading.Barrier(8)

    def open_it() -> None:
        barrier.wait()
        opened.append(PostgresStorage(postgres_url))

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = {storage.event_log_storage.get_instance_log_id() for storage in opened}
    for storage in opened:
        storage.dispose()
    assert len(opened) == 8
    assert len(ids) == 1


def test_a_storage_that_is_disposed_leaves_no_connection(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    storage = PostgresStorage(postgres_url)
    run = add_run(storage)
    threads = [
        threading.Thread(target=storage.store_events, args=(run.run_id, lines(run.run_id, 3)))
        for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database = postgres_url.rpartition("/")[2]
    assert postgres_server.connections_to(database) > 0
    storage.dispose()
    left = postgres_server.connections_to(database)
    for _ in range(500):
        if not left:
            break
        threading.Event().wait(0.01)
        left = postgres_server.connections_to(database)
    assert left == 0


def test_connections_that_the_server_closed_are_replaced(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    storage = PostgresStorage(postgres_url)
    run = add_run(storage, managed=True)
    database = postgres_url.rpartition("/")[2]
    postgres_server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE datname = '{database}' AND pid <> pg_backend_pid()"
    )
    stored = storage.store_events(run.run_id, [event(run.run_id, EventType.RUN_START)])
    assert [record.position for record in stored] == [1]
    assert read_log(storage, run) == stored
    storage.dispose()


def test_a_transaction_that_waits_too_long_for_another_is_told(postgres_url: str) -> None:
    storage = PostgresStorage(postgres_url, Limits(lock_timeout_seconds=0.1))
    run = add_run(storage)
    with (
        storage.run_storage.hold_run(run.run_id),
        pytest.raises(StorageUnavailableError, match="another transaction holds a lock"),
        storage.run_storage.hold_run(run.run_id),
    ):
        pass
    storage.dispose()
