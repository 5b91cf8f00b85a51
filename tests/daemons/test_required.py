"""Which daemons an instance needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from runwire.daemons import required
from runwire.daemons.backfills import BackfillsDaemon
from runwire.daemons.daemon import Daemon
from runwire.daemons.monitoring import MonitoringDaemon
from runwire.daemons.queue import QueueDaemon
from runwire.daemons.required import DAEMON_TYPES, daemons_of, required_daemon_types
from runwire.daemons.retention import RetentionDaemon
from runwire.daemons.run_retries import RunRetriesDaemon
from runwire.daemons.scheduler import SchedulerDaemon
from runwire.daemons.sensors import SensorsDaemon
from runwire.daemons.webhooks import WebhooksDaemon
from runwire.instance import Instance
from tests.control.fakes import FakeWorkspace
from tests.daemons.ticks_off import NO_TICKS
from tests.webhooks.receiver import SECRET


class Idle(MonitoringDaemon):
    daemon_type = "IDLE"


def test_each_class_is_there_under_its_type() -> None:
    assert list(DAEMON_TYPES.items()) == [
        ("BACKFILLS", BackfillsDaemon),
        ("MONITORING", MonitoringDaemon),
        ("QUEUE", QueueDaemon),
        ("RETENTION", RetentionDaemon),
        ("RUN_RETRIES", RunRetriesDaemon),
        ("SCHEDULER", SchedulerDaemon),
        ("SENSORS", SensorsDaemon),
        ("WEBHOOKS", WebhooksDaemon),
    ]


@pytest.mark.parametrize(
    ("monitoring", "wanted"), [(True, [MonitoringDaemon]), (False, [])], ids=["on", "off"]
)
def test_monitoring_runs_where_it_is_on(
    tmp_path: Path, monitoring: bool, wanted: list[type[Daemon]]
) -> None:
    text = f"run_monitoring: {{enabled: {str(monitoring).lower()}}}{NO_TICKS}"
    (tmp_path / "runwire.yaml").write_text(text)
    with Instance.from_home(tmp_path) as instance:
        daemons = daemons_of(instance, FakeWorkspace())
        assert [type(daemon) for daemon in daemons] == wanted
        assert required_daemon_types(instance) == tuple(each.daemon_type for each in wanted)


@pytest.mark.parametrize(
    ("retention", "wanted"),
    [("{runs: {purge_after_days: 9}}", ("RETENTION",)), ("{poll_interval_seconds: 9}", ())],
    ids=["on", "off"],
)
def test_retention_runs_where_something_is_to_be_purged(
    tmp_path: Path, retention: str, wanted: tuple[str, ...]
) -> None:
    text = f"run_monitoring: {{enabled: false}}\nretention: {retention}{NO_TICKS}"
    (tmp_path / "runwire.yaml").write_text(text)
    with Instance.from_home(tmp_path) as instance:
        assert required_daemon_types(instance) == wanted
        assert [each.daemon_type for each in daemons_of(instance, FakeWorkspace())] == list(wanted)


QUEUED = "run_coordinator: {module: runwire.coordinators.queued, class: QueuedRunCoordinator}"


@pytest.mark.parametrize(("coordinator", "wanted"), [(QUEUED, ("QUEUE",)), ("", ())])
def test_the_queue_is_looked_after_where_runs_are_queued(
    tmp_path: Path, coordinator: str, wanted: tuple[str, ...]
) -> None:
    text = f"run_monitoring: {{enabled: false}}\n{coordinator}{NO_TICKS}"
    (tmp_path / "runwire.yaml").write_text(text)
    with Instance.from_home(tmp_path) as instance:
        assert required_daemon_types(instance) == wanted
        daemons = daemons_of(instance, FakeWorkspace())
        assert [each.daemon_type for each in daemons] == list(wanted)
        for each in daemons:
            each.close()


@pytest.mark.parametrize(("scheduler", "wanted"), [("", ("SCHEDULER",)), (NO_TICKS, ())])
def test_ticks_are_made_unless_the_scheduler_is_off(
    tmp_path: Path, scheduler: str, wanted: tuple[str, ...]
) -> None:
    off = "run_monitoring: {enabled: false}\n"
    if not scheduler:
        off += "backfills: {enabled: false}\nsensors: {enabled: false}\n"
    (tmp_path / "runwire.yaml").write_text(off + scheduler)
    with Instance.from_home(tmp_path) as instance:
        assert required_daemon_types(instance) == wanted
        assert [each.daemon_type for each in daemons_of(instance, FakeWorkspace())] == list(wanted)


@pytest.mark.parametrize("section", ["backfills", "sensors"])
@pytest.mark.parametrize("enabled", ["true", "false"])
def test_what_needs_no_configuration_works_unless_it_is_off(
    tmp_path: Path, section: str, enabled: str
) -> None:
    wanted = (section.upper(),) if enabled == "true" else ()
    text = f"run_monitoring: {{enabled: false}}{NO_TICKS}".replace(
        f"{section}: {{enabled: false}}", f"{section}: {{enabled: {enabled}}}"
    )
    (tmp_path / "runwire.yaml").write_text(text)
    with Instance.from_home(tmp_path) as instance:
        assert required_daemon_types(instance) == wanted
        assert [each.daemon_type for each in daemons_of(instance, FakeWorkspace())] == list(wanted)


WEBHOOK = f"[{{name: hook, url: 'https://example.org', secret: {SECRET}}}]"


@pytest.mark.parametrize(("webhooks", "wanted"), [(WEBHOOK, ("WEBHOOKS",)), ("[]", ())])
def test_webhooks_are_delivered_to_where_there_are_any(
    tmp_path: Path, webhooks: str, wanted: tuple[str, ...]
) -> None:
    text = f"run_monitoring: {{enabled: false}}\nwebhooks: {webhooks}{NO_TICKS}"
    (tmp_path / "runwire.yaml").write_text(text)
    with Instance.from_home(tmp_path) as instance:
        assert required_daemon_types(instance) == wanted
        assert [each.daemon_type for each in daemons_of(instance, FakeWorkspace())] == list(wanted)


def test_every_type_that_is_required_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(required, "DAEMON_TYPES", {**DAEMON_TYPES, "IDLE": Idle})
    monkeypatch.setattr(required, "required_daemon_types", lambda _: ("IDLE", "MONITORING"))
    with Instance.from_home(tmp_path) as instance:
        daemons = daemons_of(instance, FakeWorkspace())
        assert [type(daemon) for daemon in daemons] == [Idle, MonitoringDaemon]
