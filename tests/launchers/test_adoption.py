"""Workers whose launcher and code server are gone are found and stopped by those that come after."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.config import ConfigurableClassData
from runwire.events.types import EventType
from runwire.runs.status import RunStatus
from runwire.testing.launcher_place import launcher_place
from runwire.testing.left_behind import eventually, is_alive, nothing_left_behind, processes
from runwire.workspace import WorkerStatus
from tests.launchers import test_default, test_subprocess


@pytest.fixture(autouse=True)
def _leaves_nothing() -> Iterator[None]:
    with nothing_left_behind():
        yield


@pytest.mark.parametrize("is_killed", [False, True], ids=["ended", "killed"])
@pytest.mark.parametrize(
    "data", [test_default.DATA, test_subprocess.DATA], ids=["default", "subprocess"]
)
def test_a_worker_is_adopted(tmp_path: Path, data: ConfigurableClassData, is_killed: bool) -> None:
    with launcher_place(tmp_path, data) as place:
        run_id = place.launch("cleaning")
        pid = place.wait_for_note("working")
        if is_killed:
            [server] = [other for other in processes() if os.getpgid(other) == other != pid]
            os.kill(server, signal.SIGKILL)
    assert is_alive(pid)
    with launcher_place(tmp_path, data) as place:
        health = place.launcher.check_run_worker_health(place.context(run_id))
        assert health.status is WorkerStatus.RUNNING
        place.report(run_id, EventType.RUN_CANCELING)
        assert place.launcher.terminate(place.context(run_id)) is True
        assert place.wait_for_end(run_id) is RunStatus.CANCELED
        assert place.noted("cleaned up") == [pid]
        eventually(lambda: not is_alive(pid), "the worker has ended")
        health = place.launcher.check_run_worker_health(place.context(run_id))
        assert health.status is WorkerStatus.SUCCESS
