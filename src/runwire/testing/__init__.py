"""Conformance suites: what a backend must do, as tests that it enters with one fixture.

A backend's test module derives from the suites and overrides their fixture `storage`::

    from runwire.testing.run_storage import RunStorageConformance


    class TestRunStorage(RunStorageConformance):
        @pytest.fixture
        def storage(self, tmp_path):
            storage = MyStorage(tmp_path)
            yield storage
            storage.dispose()

For storages there are `RunStorageConformance`, `RunListConformance`, `RunGroupConformance`,
`EventLogStorageConformance`, `InstanceLogConformance`, `AssetIndexConformance`, `HeadsWatchConformance`,
`LogWatchConformance`, `PoolStorageConformance`, `BackfillStorageConformance`,
`ScheduleStorageConformance`, `TickListConformance`, `WebhookStorageConformance` and
`InstanceStorageConformance`, each in a module of its own.

A run launcher enters `RunLauncherConformance`, of `runwire.testing.run_launcher`, with the fixture `place`::

    class TestMyLauncher(RunLauncherConformance):
        @pytest.fixture
        def place(self, tmp_path):
            data = ConfigurableClassData("my.launcher", "MyLauncher", {"grace_seconds": 0.5})
            with launcher_place(tmp_path, data) as place:
                yield place

They need pytest.
"""

import pytest

pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            "asset_index",
            "backfill_storage",
            "event_log_storage",
            "heads_watch",
            "instance_log",
            "instance_storage",
            "launcher_place",
            "left_behind",
            "log_watch",
            "pool_storage",
            "run_groups",
            "run_launcher",
            "run_list",
            "run_storage",
            "schedule_storage",
            "tick_list",
            "webhook_storage",
        )
    )
)
