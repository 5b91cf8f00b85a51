"""Storages with a workspace and a launcher that do what a test says."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.storages.memory import MemoryStorage
from runwire.storages.sqlite import SqliteStorage
from tests.control.fakes import FakeLauncher, FakeLocation, FakeWorkspace


@pytest.fixture
def storage() -> Iterator[MemoryStorage]:
    made = MemoryStorage()
    yield made
    made.dispose()


@pytest.fixture
def sqlite_storage(tmp_path: Path) -> Iterator[SqliteStorage]:
    made = SqliteStorage(tmp_path)
    yield made
    made.dispose()


@pytest.fixture
def workspace() -> FakeWorkspace:
    return FakeWorkspace(FakeLocation("here", "etl", "both"), FakeLocation("there", "both"))


@pytest.fixture
def launcher() -> FakeLauncher:
    return FakeLauncher()
