"""The storage in memory conforms."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runwire.config import ConfigurableClassData
from runwire.storage import InstanceStorage
from runwire.storages.memory import MemoryStorage
from runwire.testing.asset_index import AssetIndexConformance
from runwire.testing.backfill_storage import BackfillStorageConformance
from runwire.testing.event_log_storage import EventLogStorageConformance
from runwire.testing.heads_watch import HeadsWatchConformance
from runwire.testing.instance_log import InstanceLogConformance
from runwire.testing.instance_storage import InstanceStorageConformance
from runwire.testing.log_watch import LogWatchConformance
from runwire.testing.pool_storage import PoolStorageConformance
from runwire.testing.run_groups import RunGroupConformance
from runwire.testing.run_list import RunListConformance
from runwire.testing.run_storage import RunStorageConformance
from runwire.testing.schedule_storage import ScheduleStorageConformance
from runwire.testing.tick_list import TickListConformance
from runwire.testing.webhook_storage import WebhookStorageConformance


class _InMemory:
    @pytest.fixture
    def storage(self) -> Iterator[InstanceStorage]:
        storage = MemoryStorage()
        yield storage
        storage.dispose()


class TestRuns(_InMemory, RunStorageConformance):
    pass


class TestRunList(_InMemory, RunListConformance):
    pass


class TestRunGroups(_InMemory, RunGroupConformance):
    pass


class TestEventLogs(_InMemory, EventLogStorageConformance):
    pass


class TestInstanceLog(_InMemory, InstanceLogConformance):
    pass


class TestAssets(_InMemory, AssetIndexConformance):
    pass


class TestHeads(_InMemory, HeadsWatchConformance):
    pass


class TestWatches(_InMemory, LogWatchConformance):
    pass


class TestPools(_InMemory, PoolStorageConformance):
    pass


class TestSchedules(_InMemory, ScheduleStorageConformance):
    pass


class TestTickList(_InMemory, TickListConformance):
    pass


class TestBackfills(_InMemory, BackfillStorageConformance):
    pass


class TestWebhooks(_InMemory, WebhookStorageConformance):
    pass


class TestInstance(_InMemory, InstanceStorageConformance):
    pass


def test_it_is_built_from_configuration_without_any() -> None:
    data = ConfigurableClassData("runwire.storages.memory", "MemoryStorage")
    storage = data.rehydrate(InstanceStorage)
    assert isinstance(storage, MemoryStorage)
    assert (storage.schema_revision(), storage.head_revision()) == (None, None)
