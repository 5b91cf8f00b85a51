"""A process that takes runs from the queue of a home until it is killed; it heeds no lease, so several may work.

Argument: the home, whose `runwire.yaml` names the launcher below. It starts no process: it leaves a note in a folder
for who plays the workers, which outlives whoever launched.
"""

from __future__ import annotations

import logging
import random
import sys
import time
from pathlib import Path
from typing import Any, Self

from runwire.config import ComponentConfig, ConfigurableClassData
from runwire.daemons.queue import QueueDaemon
from runwire.errors import CodeLocationUnavailableError
from runwire.instance import Instance
from runwire.launcher import LaunchRunContext, RunLauncher
from runwire.workspace import CheckRunHealthResult, WorkerStatus
from tests.control.fakes import FakeLocation, FakeWorkspace

UNREACHABLE_SHARE = 0.03
RETRY_SECONDS = 0.05

logger = logging.getLogger(__name__)


class NotesLauncherConfig(ComponentConfig):
    folder: str


class NotesLauncher(RunLauncher):
    """Leaves a note ``<run id>.<epoch>`` for each worker. Now and then the code location does not answer."""

    supports_resume_run = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def config_type(cls) -> type[NotesLauncherConfig]:
        return NotesLauncherConfig

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        return cls(Path(config_value.folder))

    def launch_run(self, context: LaunchRunContext) -> None:
        time.sleep(random.uniform(0.0, 0.01))
        if random.random() < UNREACHABLE_SHARE:
            raise CodeLocationUnavailableError("here", "no answer, by chance")
        self._note(context).touch()

    def check_run_worker_health(self, context: LaunchRunContext) -> CheckRunHealthResult:
        is_there = self._note(context).exists()
        return CheckRunHealthResult(WorkerStatus.RUNNING if is_there else WorkerStatus.NOT_FOUND)

    def terminate(self, context: LaunchRunContext, *, force: bool = False) -> bool:
        return self._note(context).exists()

    def _note(self, context: LaunchRunContext) -> Path:
        return self._folder / f"{context.record.run_id}.{context.record.worker_epoch}"


def workspace() -> FakeWorkspace:
    """What has the job of the runs."""
    return FakeWorkspace(FakeLocation("here", "etl"))


def main(home: str) -> None:
    logging.basicConfig(level=logging.ERROR)

    def report(error: BaseException) -> None:
        logger.error("one run: %s", error, exc_info=error)

    with Instance.from_home(Path(home)) as instance:
        daemon = QueueDaemon(instance, workspace())
        while True:
            try:
                daemon.run_iteration(report, lambda: False)
            except Exception as error:  # noqa: BLE001 - a daemon goes on as well
                report(error)
                time.sleep(RETRY_SECONDS)
            time.sleep(daemon.interval_seconds)


if __name__ == "__main__":
    main(sys.argv[1])
