"""Runs in one storage and event logs in another conform, whichever they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runwire.storage import InstanceStorage
from runwire.storages.composed import ComposedStorage
from runwire.storages.postgres import PostgresStorage
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.asset_index import AssetIndexConformance
from runwire.testing.event_log_storage import EventLogStorageConformance
from runwire.testing.heads_watch import HeadsWatchConformance
from runwire.testing.instance_log import InstanceLogConformance
from runwire.testing.instance_storage import InstanceStorageConformance
from runwire.testing.log_watch import LogWatchConformance
from runwire.testing.pool_storage import PoolStorageConformance
from runwire.testing.schedule_storage import ScheduleStorageConformance
from runwire.testing.tick_list import TickListConformance
from runwire.testing.webhook_storage import WebhookStorageConformance

PAIRS = {
    "consolidated and sharded": ("consolidated", "sharded"),
    "sharded and postgres": ("sharded", "postgres"),
}
"""The storage of the runs, which has suites of its own, and that of the event logs, by name."""


def a_storage(kind: str, folder: Path, request: pytest.FixtureRequest) -> InstanceStorage:
    if kind == "postgres":
        return PostgresStorage(request.getfixturevalue("postgres_url"))
    return SqliteStorage(folder, layout="sharded" if kind == "sharded" else "consolidated")


class _InTwo:
    @pytest.fixture(params=PAIRS)
    def storage(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[InstanceStorage]:
        of_runs, of_logs = PAIRS[request.param]
        runs = a_storage(of_runs, tmp_path / "runs", request)
        logs = a_storage(of_logs, tmp_path / "logs", request)
        storage = ComposedStorage(runs, logs, runs)
        yield storage
        storage.dispose()


class _InThree:
    """Schedules in a storage of their own."""

    @pytest.fixture(params=["sharded", "postgres"])
    def opened(
        self, tmp_path: Path, request: pytest.FixtureRequest
    ) -> Iterator[Callable[[], InstanceStorage]]:
        """Opens the storages, once more with each call."""
        made: list[InstanceStorage] = []

        def open_them() -> InstanceStorage:
            runs = a_storage("consolidated", tmp_path / "runs", request)
            logs = a_storage("sharded", tmp_path / "logs", request)
            schedules = a_storage(request.param, tmp_path / "schedules", request)
            made.append(ComposedStorage(runs, logs, schedules))
            return made[-1]

        yield open_them
        for storage in made:
            storage.dispose()

    @pytest.fixture
    def storage(self, opened: Callable[[], InstanceStorage]) -> InstanceStorage:
        return opened()


class TestEventLogs(_InTwo, EventLogStorageConformance):
    pass


class TestInstanceLog(_InTwo, InstanceLogConformance):
    pass


class TestAssets(_InTwo, AssetIndexConformance):
    pass


class TestHeads(_InTwo, HeadsWatchConformance):
    pass


class TestWatches(_InTwo, LogWatchConformance):
    pass


class TestPools(_InThree, PoolStorageConformance):
    @pytest.fixture
    def another(self, opened: Callable[[], InstanceStorage]) -> InstanceStorage:
        return opened()


class TestSchedules(_InThree, ScheduleStorageConformance):
    @pytest.fixture
    def another(self, opened: Callable[[], InstanceStorage]) -> InstanceStorage:
        return opened()


class TestTickList(_InThree, TickListConformance):
    pass


class TestWebhooks(_InThree, WebhookStorageConformance):
    @pytest.fixture
    def another(self, opened: Callable[[], InstanceStorage]) -> InstanceStorage:
        return opened()


class TestInstance(_InTwo, InstanceStorageConformance):
    pass
