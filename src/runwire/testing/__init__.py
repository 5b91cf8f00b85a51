"""Conformance suites: what a backend must do, as tests that it enters with one fixture.

A backend's test module derives from the suites and overrides their fixture `storage`::

    from runwire.testing.run_storage import RunStorageConformance


    class TestRunStorage(RunStorageConformance):
        @pytest.fixture
        def storage(self, tmp_path):
            storage = MyStorage(tmp_path)
            yield storage
            storage.dispose()

There are `RunStorageConformance`, `RunListConformance`, `EventLogStorageConformance`,
`InstanceLogConformance`, `HeadsWatchConformance`, `LogWatchConformance` and `InstanceStorageConformance`,
each in a module of its own. They need pytest.
"""

import pytest

pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            "event_log_storage",
            "heads_watch",
            "instance_log",
            "instance_storage",
            "log_watch",
            "run_list",
            "run_storage",
        )
    )
)
