"""The page on operating shows what there is: metrics, checks, and settings with their defaults."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from runwire.instance import Instance
from runwire.instance.settings import LoggingSettings, ServerSettings, TracingSettings
from runwire.server.app import create_app
from runwire.server.figures import MAX_RUNS
from runwire.server.metrics import MAX_NAMES
from runwire.server.settings import AppSettings
from runwire.server.telemetry import Outcome
from tests.server.serving import EmptyWorkspace

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "operations.md").read_text()


def test_the_table_has_every_metric_and_no_other(tmp_path: Path) -> None:
    shown = set(re.findall(r"^\| `(runwire_\w+)` \|", PAGE, re.MULTILINE))
    with Instance.ephemeral(tmp_path) as instance:
        app = create_app(instance, EmptyWorkspace(), settings=AppSettings())
        text = app.state.metrics.page().decode()
        names = set(re.findall(r"^# TYPE (runwire_\w+?)(?:_created)? ", text, re.MULTILINE))
    told_by_storage = {
        "runwire_runs",
        "runwire_daemon_heartbeat_age_seconds",
        "runwire_daemon_healthy",
        "runwire_backfills",
        "runwire_webhook_delivered_total",
        "runwire_webhook_failures_total",
        "runwire_webhook_lag",
        "runwire_webhook_dead_letters",
        "runwire_webhook_running",
    }
    assert shown == names | told_by_storage
    assert f"up to {MAX_RUNS:,} each" in PAGE
    assert f"first {MAX_NAMES} names" in PAGE
    for outcome in Outcome:
        assert f"`{outcome.value}`" in PAGE


def test_the_configuration_shows_the_defaults() -> None:
    page = (DOCS / "configuration.md").read_text()
    whole = next(
        yaml.safe_load(block)
        for block in re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
        if block.startswith("name: ")
    )
    server = ServerSettings.model_validate(whole["server"])
    assert whole["server"].keys() == ServerSettings.model_fields.keys()
    assert server == ServerSettings()
    assert LoggingSettings.model_validate(whole["logging"]) == LoggingSettings()
    assert TracingSettings.model_validate(whole["tracing"]) == TracingSettings()
