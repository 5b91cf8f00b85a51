"""An instance of which no daemon makes ticks or works on backfills, for tests of the others."""

from __future__ import annotations

from runwire.instance import Instance
from runwire.instance.settings import BackfillSettings, SensorSettings
from runwire.schedulers.daemon import DaemonScheduler

NO_TICKS = """
scheduler:
  module: runwire.schedulers.daemon
  class: DaemonScheduler
  config: {enabled: false}
backfills: {enabled: false}
sensors: {enabled: false}
"""


def need_monitoring_only(instance: Instance) -> None:
    """Has an instance with the usual settings need the daemon MONITORING and no other."""
    instance.scheduler = DaemonScheduler(None)
    off = {
        "backfills": BackfillSettings(enabled=False),
        "sensors": SensorSettings(enabled=False),
    }
    instance.settings = instance.settings.model_copy(update=off)
