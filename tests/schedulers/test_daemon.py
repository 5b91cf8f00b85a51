"""The scheduler whose ticks a daemon makes: its config, and what it does with schedules."""

from __future__ import annotations

from pathlib import Path

import pytest

from runwire.errors import InvalidConfigurationError
from runwire.instance import Instance
from runwire.scheduler import TickSettings
from runwire.schedulers.daemon import DaemonScheduler
from runwire.ticks import TickSourceOrigin, TickSourceStatus, TickSourceType

ORIGIN = TickSourceOrigin(
    source_type=TickSourceType.SCHEDULE,
    location_name="here",
    repository_name="main",
    name="nightly",
)
YAML = "scheduler: {{module: runwire.schedulers.daemon, class: DaemonScheduler, config: {{{0}}}}}"


def instance(home: Path, config: str) -> Instance:
    (home / "runwire.yaml").write_text(YAML.format(config))
    return Instance.from_home(home)


@pytest.mark.parametrize(
    ("config", "ticks", "said"),
    [
        ("", TickSettings(), "catches up on 1 at most"),
        (
            "max_catchup_ticks: 5, max_tick_retries: 2",
            TickSettings(max_catchup_ticks=5, max_tick_retries=2),
            "tried again 2 times at most",
        ),
        ("enabled: false", None, "No ticks are made"),
    ],
)
def test_its_config_says_how_ticks_are_made(
    tmp_path: Path, config: str, ticks: TickSettings | None, said: str
) -> None:
    with instance(tmp_path, config) as made:
        assert made.scheduler.ticks == ticks
        assert said in made.scheduler.debug_info()
    with Instance.from_ref(made.get_ref()) as again:
        assert again.scheduler.ticks == ticks


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ("max_catchup_ticks: 0", "max_catchup_ticks"),
        ("max_catchup_ticks: 1001", "max_catchup_ticks"),
        ("max_tick_retries: -1", "max_tick_retries"),
        ("max_tick_retries: true", "max_tick_retries"),
        ("retries: 1", "retries"),
    ],
)
def test_what_it_cannot_do_is_refused_with_its_path(tmp_path: Path, config: str, key: str) -> None:
    with pytest.raises(InvalidConfigurationError) as refused:
        instance(tmp_path, config)
    assert [problem.path for problem in refused.value.problems] == [("scheduler", "config", key)]


def test_it_starts_stops_and_wipes_what_the_storage_keeps(tmp_path: Path) -> None:
    scheduler = DaemonScheduler(None)
    with Instance.ephemeral(tmp_path) as made:
        storage = made.storage.schedule_storage
        started = scheduler.start_schedule(storage, ORIGIN, at=5.0)
        assert (started.status, started.running_since) == (TickSourceStatus.RUNNING, 5.0)
        assert scheduler.start_schedule(storage, ORIGIN, at=6.0) == started
        stopped = scheduler.stop_schedule(storage, ORIGIN, at=7.0)
        assert (stopped.status, stopped.running_since) == (TickSourceStatus.STOPPED, None)
        assert storage.get_tick_source(ORIGIN.source_id) == stopped
        scheduler.wipe(storage)
        assert storage.get_tick_sources() == []
