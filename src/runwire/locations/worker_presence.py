"""Whether the worker of a run lives, as told by a file in the run's folder: ``worker.<epoch>.lock``.

A worker writes there who it is, and holds a lock on the file, so whoever can read the folder can find it, whoever
started it. Where its process can be looked at, that tells whether it lives. Elsewhere, as in another container, the
lock does, which the system frees at the end of the process, and of its forks. Only a process that is the worker, or
what is left of its group, is ever sent a signal.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from runwire import clock
from runwire.execution.filesystem_io import make_folder
from runwire.instance import InstanceRef, LocalArtifactStorage
from runwire.processes.identity import ProcessIdentity
from runwire.workspace import CheckRunHealthResult, WorkerStatus

OUT, ERR = "worker.out", "worker.err"
"""The files of a run's folder with what its workers print."""

LOCK_SECONDS = 5.0
"""How long a worker tries to take its lock, at which others may be looking."""


class WorkerRecord(msgspec.Struct, frozen=True):
    """What a worker writes into its file. `ended`: it has done its work and ends in order."""

    process: ProcessIdentity
    epoch: int
    started_at: float
    ended: bool = False


@dataclass(frozen=True, slots=True)
class WorkerTrace:
    """A file of a worker: whether it lives, and what it says of itself; None when it says nothing yet."""

    lives: bool
    record: WorkerRecord | None


def run_dir_of(instance_ref: Mapping[str, Any], run_id: str) -> Path:
    """The folder of a run on this machine.

    Raises:
        InvalidConfigurationError: the instance ref does not fit.
    """
    ref = InstanceRef.from_dict(instance_ref)
    return ref.local_artifact_storage.rehydrate(LocalArtifactStorage).run_dir(run_id)


class WorkerPresence:
    """The presence of the worker that this process is, until the process ends."""

    def __init__(self, file: Path, descriptor: int, record: WorkerRecord) -> None:
        self._file = file
        self._descriptor = descriptor
        self._record = record

    @classmethod
    def begin(cls, run_dir: Path, epoch: int) -> WorkerPresence:
        """Takes the lock and tells who this is.

        Raises:
            BlockingIOError: another process is the worker of this epoch.
            OSError: the file cannot be written.
        """
        make_folder(run_dir)
        file = _file(run_dir, epoch)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
            record = WorkerRecord(ProcessIdentity.of_this(), epoch, clock.timestamp())
            presence = cls(file, descriptor, record)
            presence._write()
        except BaseException:
            os.close(descriptor)
            raise
        return presence

    def tell_end(self) -> None:
        """Tells that the worker has done its work; the lock goes on until the process ends."""
        self._record = msgspec.structs.replace(self._record, ended=True)
        self._write()

    def _write(self) -> None:
        body = msgspec.json.encode(self._record)
        os.pwrite(self._descriptor, body, 0)
        os.ftruncate(self._descriptor, len(body))


def announce_worker(run_dir: Path, epoch: int, pid: int) -> None:
    """Writes who a worker is that was just started, so that it is found before it has come to do so itself.

    Raises:
        OSError: the file cannot be written.
    """
    record = WorkerRecord(ProcessIdentity.of(pid), epoch, clock.timestamp())
    try:
        descriptor = os.open(_file(run_dir, epoch), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # it was faster, or is the second with its epoch, which will end
        return
    except FileNotFoundError:  # its run was deleted meanwhile, as it will find
        return
    try:
        os.write(descriptor, msgspec.json.encode(record))
    finally:
        os.close(descriptor)


def remove_traces(run_dir: Path, up_to_epoch: int) -> None:
    """Removes what starting workers left in the folder of a run that is deleted, and the folder if that was all."""
    for file in (run_dir / OUT, run_dir / ERR, *_files(run_dir, up_to_epoch)):
        file.unlink(missing_ok=True)
    with suppress(OSError):  # there is more in it, or it is gone
        run_dir.rmdir()


def check_worker(run_dir: Path, epoch: int) -> CheckRunHealthResult:
    """Whether the worker of an epoch lives."""
    trace = _look(_file(run_dir, epoch))
    if trace is None or (trace.record is None and not trace.lives):
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "No worker was seen.")
    who = f"Its process (pid {trace.record.process.pid})" if trace.record else "Its process"
    if trace.lives:
        return CheckRunHealthResult(WorkerStatus.RUNNING, f"{who} runs.")
    if trace.record is not None and trace.record.ended:
        return CheckRunHealthResult(WorkerStatus.SUCCESS, f"{who} has ended in order.")
    return CheckRunHealthResult(
        WorkerStatus.FAILED, f"{who} is gone; {run_dir / ERR} has its last words."
    )


def stop_workers(
    run_dir: Path, up_to_epoch: int, *, grace_seconds: float, force: bool = False
) -> bool:
    """Asks the live workers up to an epoch to stop, and kills their process groups after a grace.

    With `force` they are killed at once, and so is what workers that are gone have left in their groups.

    Returns:
        Whether there was a live one.
    """
    found = False
    for file in _files(run_dir, up_to_epoch):
        trace = _look(file)
        if trace is None:
            continue
        found = found or trace.lives
        if trace.record is None:
            continue
        if force:
            trace.record.process.kill_group()
        elif trace.lives:
            _interrupt(file, trace.record.process, grace_seconds)
    return found


def _interrupt(file: Path, worker: ProcessIdentity, grace_seconds: float) -> None:
    def kill_if_alive() -> None:
        trace = _look(file)
        if trace is not None and trace.lives:
            worker.kill_group()

    worker.send_signal(signal.SIGTERM)
    timer = threading.Timer(grace_seconds, kill_if_alive)
    timer.daemon = True
    timer.start()


def _file(run_dir: Path, epoch: int) -> Path:
    return run_dir / f"worker.{epoch}.lock"


def _files(run_dir: Path, up_to_epoch: int) -> Iterator[Path]:
    for file in run_dir.glob("worker.*.lock"):
        text = file.name.split(".")[1]
        if text.isdecimal() and int(text) <= up_to_epoch:
            yield file


def _look(file: Path) -> WorkerTrace | None:
    with _opened(file) as descriptor:
        if descriptor is None:
            return None
        is_held = _is_held(descriptor)
        record = _record(os.pread(descriptor, 4096, 0))
    lives = None if record is None else record.process.lives
    return WorkerTrace(is_held if lives is None else lives, record)


@contextmanager
def _opened(file: Path) -> Iterator[int | None]:
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_held(descriptor: int) -> bool:
    """Whether somebody has the lock; looks with a shared one, so that two who look see no worker in the other."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _record(body: bytes) -> WorkerRecord | None:
    try:
        return msgspec.json.decode(body, type=WorkerRecord)
    except msgspec.MsgspecError:
        return None


def _lock(descriptor: int) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise BlockingIOError("another process is the worker of this epoch") from None
            time.sleep(0.005)
