"""Revision 0006: the materializations that are stored already are counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, insert, text
from sqlalchemy.event import listen

from runwire.storages.migrations.upgrading import upgrade
from runwire.storages.sql.tables import instance_log


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database as revision 0005 has it, with runs and logs."""
    with ExitStack() as stack:
        if request.param == "postgres":
            server = request.getfixturevalue("postgres_server")
            name = server.make_database()
            stack.callback(server.drop_database, name)
            engine = create_engine(server.url(name).replace("postgresql:", "postgresql+psycopg:"))
        else:
            engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
            listen(engine, "connect", _attach_versions)
        stack.callback(engine.dispose)
        with engine.begin() as connection:
            upgrade(connection, "database", "0005")
        yield engine


def _attach_versions(connection: Any, _record: Any) -> None:
    connection.execute("ATTACH ':memory:' AS versions")


def entry(position: int, asset_key: str | None, **values: Any) -> dict[str, Any]:
    """An entry of the instance-wide log; a materialization unless said otherwise."""
    return {
        "position": position,
        "kind": "EVENT",
        "run_id": "r1",
        "job_name": "etl",
        "timestamp": 1.0,
        "event_type": "ASSET_MATERIALIZATION",
        "applied": True,
        "partition": None,
        "asset_key": asset_key,
        **values,
    }


def counts_after_upgrade(
    engine: Engine, entries: list[dict[str, Any]]
) -> dict[tuple[str, str], tuple[int, int]]:
    with engine.begin() as connection:
        connection.execute(insert(instance_log), entries)
    with engine.begin() as connection:
        upgrade(connection, "database", "0006")
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM asset_partitions")).all()
    return {(key, partition): (number, purged) for key, partition, number, purged in rows}


def test_materializations_are_counted_by_asset_and_partition(engine: Engine) -> None:
    entries = [
        entry(1, '["a"]'),
        entry(2, '["a"]', partition="mon"),
        entry(3, '["a"]', partition="mon"),
        entry(4, '["a"]', partition='"ä'),
        entry(5, '["b"]'),
        entry(6, '["b"]', applied=False),
        entry(7, '["b"]', event_type="ASSET_OBSERVATION"),
        entry(8, None, event_type="RUN_START"),
        entry(9, None, event_type=None, applied=None, kind="RUN_CREATED"),
    ]
    assert counts_after_upgrade(engine, entries) == {
        ('["a"]', "null"): (1, 0),
        ('["a"]', '"mon"'): (2, 0),
        ('["a"]', '"\\"ä"'): (1, 0),
        ('["b"]', "null"): (1, 0),
    }


def test_assets_keep_what_they_point_at(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO assets VALUES ('[\"a\"]', 3, NULL, 2)"))
    counts_after_upgrade(engine, [entry(1, '["a"]')])
    with engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM assets")).all() == [('["a"]', 3, None, 2, 0)]


def test_many_counts_go_through_memory_a_few_at_a_time(engine: Engine) -> None:
    written: list[int] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, many: bool) -> None:
        if statement.startswith("INSERT INTO asset_partitions"):
            written.append(len(parameters) if many else 1)

    entries = [entry(n, f'["{n % 600:03}"]', partition=f"p{n % 2}") for n in range(1, 1201)]
    listen(engine, "before_cursor_execute", note)
    counts = counts_after_upgrade(engine, entries)
    assert len(counts) == 600
    assert set(counts.values()) == {(2, 0)}
    assert sum(written) == 600
    assert max(written) <= 500


def test_nothing_is_there_where_nothing_was(engine: Engine) -> None:
    assert counts_after_upgrade(engine, [entry(1, None, event_type="RUN_START")]) == {}
