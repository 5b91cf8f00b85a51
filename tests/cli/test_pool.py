"""``runwire pool``: limits are set, listed and taken away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke
from tests.cli.served import Served, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("pools")
    (folder / "home").mkdir()
    (folder / "home" / "runwire.yaml").write_text("pools: {default_limit: 7}")
    with serving(folder) as running:
        yield running


def test_a_limit_is_set_listed_and_deleted(served: Served, invoke: Invoke) -> None:
    result = invoke("pool", "set", "db", "3", "--url", served.url)
    assert (result.exit_code, result.stderr) == (0, "")
    result = invoke("pool", "list", "--steps", "5", "--url", served.url)
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["POOL", "LIMIT", "USED", "WAITING"],
        ["db", "3", "0", "0"],
    ]
    result = invoke("pool", "list", "--json", "--url", served.url)
    (pool,) = map(json.loads, result.stdout.splitlines())
    assert (pool["name"], pool["limit"], pool["slots"]) == ("db", 3, [])
    result = invoke("pool", "delete", "db", "--url", served.url)
    assert result.stdout.splitlines()[1].split() == ["db", "7", "(default)", "0", "0"]


def test_what_is_not_there_cannot_be_deleted(served: Served, invoke: Invoke) -> None:
    result = invoke("pool", "delete", "none", "--url", served.url)
    assert result.exit_code != 0
    assert "no limit was set for a pool 'none'" in result.stderr


def test_a_name_that_is_none_is_refused(served: Served, invoke: Invoke) -> None:
    result = invoke("pool", "set", "our db", "1", "--url", served.url)
    assert result.exit_code != 0
    assert "a pool's name has" in result.stderr
