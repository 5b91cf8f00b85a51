"""Fixtures of the tests of storages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.storages.sqlite import SqliteStorage


@pytest.fixture
def sqlite_storage(tmp_path: Path) -> Iterator[SqliteStorage]:
    """A storage in files below `tmp_path`."""
    storage = SqliteStorage(tmp_path)
    yield storage
    storage.dispose()
