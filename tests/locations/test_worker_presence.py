"""The lock files by which workers are found, with real processes that hold them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from runwire.locations.worker_presence import (
    WorkerPresence,
    announce_worker,
    check_worker,
    remove_traces,
    stop_workers,
)
from runwire.testing.left_behind import pause
from runwire.workspace import CheckRunHealthResult, WorkerStatus

PATIENCE = 30.0

WORKER = """
import os, signal, subprocess, sys, time
from pathlib import Path
from runwire.locations.worker_presence import WorkerPresence
presence = WorkerPresence.begin(Path(sys.argv[1]), int(sys.argv[2]))
{body}
print("ready", flush=True)
time.sleep(600)
"""

Start = Callable[..., "Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a process that holds the lock of an epoch, and does some more."""
    started: list[Popen[str]] = []

    def start(epoch: int = 1, body: str = "") -> Popen[str]:
        process = Popen(
            [sys.executable, "-c", WORKER.format(body=body), str(tmp_path), str(epoch)],
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def status(run_dir: Path, epoch: int = 1) -> WorkerStatus:
    return check_worker(run_dir, epoch).status


def test_without_a_trace_there_is_none(tmp_path: Path) -> None:
    nothing = CheckRunHealthResult(WorkerStatus.NOT_FOUND, "No worker was seen.")
    assert check_worker(tmp_path / "none", 1) == nothing
    assert not stop_workers(tmp_path / "none", 1, grace_seconds=0)
    assert list(tmp_path.iterdir()) == []


def test_one_that_lives_runs_and_others_of_its_run_are_unknown(
    tmp_path: Path, start: Start
) -> None:
    worker = start(2)
    runs = CheckRunHealthResult(WorkerStatus.RUNNING, f"Its process (pid {worker.pid}) runs.")
    assert check_worker(tmp_path, 2) == runs
    assert status(tmp_path, 1) is status(tmp_path, 3) is WorkerStatus.NOT_FOUND


def test_one_that_was_killed_has_failed(tmp_path: Path, start: Start) -> None:
    worker = start()
    worker.kill()
    worker.wait()
    assert check_worker(tmp_path, 1) == CheckRunHealthResult(
        WorkerStatus.FAILED,
        f"Its process (pid {worker.pid}) is gone; {tmp_path / 'worker.err'} has its last words.",
    )


def test_one_that_was_stopped_by_a_signal_still_runs(tmp_path: Path, start: Start) -> None:
    pause(start().pid)
    assert status(tmp_path) is WorkerStatus.RUNNING


def test_one_that_told_its_end_succeeded_once_it_is_gone(tmp_path: Path, start: Start) -> None:
    worker = start(body="presence.tell_end()")
    assert status(tmp_path) is WorkerStatus.RUNNING
    worker.kill()
    worker.wait()
    assert status(tmp_path) is WorkerStatus.SUCCESS


def test_a_fork_of_a_worker_does_not_pass_for_it(tmp_path: Path, start: Start) -> None:
    """As a process of `multiprocessing` that outlives the worker would."""
    worker = start(body="if os.fork() == 0: time.sleep(600)")
    worker.kill()
    worker.wait()
    assert status(tmp_path) is WorkerStatus.FAILED
    assert not stop_workers(tmp_path, 1, grace_seconds=0, force=True)  # it kills what was left


def test_a_worker_that_closes_what_it_has_open_is_still_found(tmp_path: Path, start: Start) -> None:
    """As an op may that reads all files of the home, or closes all descriptors."""
    start(body="os.closerange(3, 100); open(Path(sys.argv[1], 'worker.1.lock')).close()")
    assert status(tmp_path) is WorkerStatus.RUNNING


def test_elsewhere_the_lock_tells(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another container numbers mean other processes, which are sent nothing."""
    worker = start()
    monkeypatch.setattr("runwire.processes.identity._place", lambda: "another")
    assert status(tmp_path) is WorkerStatus.RUNNING
    assert stop_workers(tmp_path, 1, grace_seconds=0, force=True)
    worker.terminate()
    assert worker.wait(PATIENCE) == -signal.SIGTERM
    assert status(tmp_path) is WorkerStatus.FAILED


def test_a_process_that_has_got_the_number_of_a_worker_is_left_alone(
    tmp_path: Path, start: Start
) -> None:
    worker = start()
    file = tmp_path / "worker.1.lock"
    record = json.loads(file.read_bytes())
    record["process"]["began"] -= 1
    file.write_bytes(json.dumps(record).encode())
    assert status(tmp_path) is WorkerStatus.FAILED
    assert not stop_workers(tmp_path, 1, grace_seconds=0, force=True)
    assert not stop_workers(tmp_path, 1, grace_seconds=0)
    worker.terminate()
    assert worker.wait(PATIENCE) == -signal.SIGTERM


def test_a_worker_is_found_before_it_has_come_to_tell_of_itself(tmp_path: Path) -> None:
    """As one that is spawned, and imports for long."""
    with Popen([sys.executable, "-c", "import time; time.sleep(600)"], process_group=0) as process:
        announce_worker(tmp_path, 1, process.pid)
        announce_worker(tmp_path, 1, os.getpid())
        runs = CheckRunHealthResult(WorkerStatus.RUNNING, f"Its process (pid {process.pid}) runs.")
        assert check_worker(tmp_path, 1) == runs
        assert stop_workers(tmp_path, 1, grace_seconds=PATIENCE)
        assert process.wait(PATIENCE) == -signal.SIGTERM
    assert status(tmp_path) is WorkerStatus.FAILED


def test_one_of_a_run_that_was_deleted_meanwhile_is_not_announced(tmp_path: Path) -> None:
    announce_worker(tmp_path / "deleted", 1, os.getpid())
    assert list(tmp_path.iterdir()) == []


def test_two_that_look_at_once_do_not_see_each_other(tmp_path: Path, start: Start) -> None:
    worker = start()
    worker.kill()
    worker.wait()
    look = (
        "import sys; from pathlib import Path\n"
        "from runwire.locations.worker_presence import check_worker\n"
        "for _ in range(2000): assert check_worker(Path(sys.argv[1]), 1).status.value == 'FAILED'"
    )
    lookers = [Popen([sys.executable, "-c", look, str(tmp_path)]) for _ in range(3)]
    assert [looker.wait() for looker in lookers] == [0, 0, 0]


def test_a_worker_that_looks_at_itself_keeps_its_lock(tmp_path: Path, start: Start) -> None:
    start(
        body=(
            "from runwire.locations.worker_presence import check_worker\n"
            "assert check_worker(Path(sys.argv[1]), 1).status.value == 'RUNNING'"
        )
    )
    assert status(tmp_path) is WorkerStatus.RUNNING


def test_of_two_workers_with_one_epoch_the_second_is_refused(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runwire.locations.worker_presence.LOCK_SECONDS", 0.05)
    worker = start()
    with pytest.raises(BlockingIOError, match="another process is the worker of this epoch"):
        WorkerPresence.begin(tmp_path, 1)
    assert check_worker(tmp_path, 1).message == f"Its process (pid {worker.pid}) runs."


def test_stopping_interrupts(tmp_path: Path, start: Start) -> None:
    worker = start()
    assert stop_workers(tmp_path, 1, grace_seconds=PATIENCE)
    assert worker.wait(PATIENCE) == -signal.SIGTERM


def test_one_that_ignores_it_is_killed_after_the_grace_with_its_group(
    tmp_path: Path, start: Start
) -> None:
    worker = start(
        body=(
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
            "Path(sys.argv[1], 'child').write_text(str(child.pid))"
        )
    )
    child = int((tmp_path / "child").read_text())
    assert stop_workers(tmp_path, 1, grace_seconds=0.1)
    assert worker.wait(PATIENCE) == -signal.SIGKILL
    _wait_until_gone(child)


def test_force_kills_at_once_also_one_that_is_stopped_and_spares_later_epochs(
    tmp_path: Path, start: Start
) -> None:
    first, second, third = start(1), start(2), start(3)
    pause(first.pid)
    assert stop_workers(tmp_path, 2, grace_seconds=PATIENCE, force=True)
    assert first.wait(PATIENCE) == second.wait(PATIENCE) == -signal.SIGKILL
    assert third.poll() is None
    assert status(tmp_path, 3) is WorkerStatus.RUNNING


def test_an_empty_or_torn_file_says_nothing(tmp_path: Path) -> None:
    for body in (b"", b'{"process": {"pid": 1, "epo'):
        (tmp_path / "worker.1.lock").write_bytes(body)
        assert status(tmp_path) is WorkerStatus.NOT_FOUND
        assert not stop_workers(tmp_path, 1, grace_seconds=0, force=True)


def test_the_traces_of_starts_are_removed_and_nothing_else(tmp_path: Path) -> None:
    started, worked = tmp_path / "started", tmp_path / "worked"
    for run_dir in (started, worked):
        run_dir.mkdir()
        for name in ("worker.out", "worker.err", "worker.1.lock", "worker.2.lock"):
            (run_dir / name).touch()
    (worked / "worker.3.lock").touch()
    (worked / "load").mkdir()
    for run_dir in (started, worked, tmp_path / "none"):
        remove_traces(run_dir, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["worked"]
    assert sorted(path.name for path in worked.iterdir()) == ["load", "worker.3.lock"]


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while Path(f"/proc/{pid}").exists():
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.01)
