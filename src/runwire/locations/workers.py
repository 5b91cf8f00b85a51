"""The run workers that a process started: started, waited for, and reported when they are lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runwire.control import report_lost_worker
from runwire.errors import StorageUnavailableError
from runwire.execution.filesystem_io import make_folder
from runwire.fault_points import fault_point
from runwire.instance import Instance, InstanceRef
from runwire.locations.definition_loading import check_directory
from runwire.locations.protocol import (
    DefinitionSource,
    StartWorkerRequest,
    WorkerParameters,
    encode,
)
from runwire.locations.worker_presence import (
    ERR,
    OUT,
    announce_worker,
    check_worker,
    remove_traces,
    run_dir_of,
)
from runwire.processes.exits import describe_exit
from runwire.processes.starter import Child, ChildRequest, ChildStarter
from runwire.workspace import WorkerStatus

logger = logging.getLogger(__name__)

ENTRY = "runwire.locations.run_worker"
REPORT_ATTEMPTS = 5


@dataclass(frozen=True)
class StartedWorker:
    """A worker, and what it was started for."""

    child: Child
    request: StartWorkerRequest
    run_dir: Path


class RunWorkers:
    """Starts run workers, and waits for each in a thread; one that did not end its run is reported. Thread-safe.

    A worker leads a process group of its own and outlives this process; `worker_presence` finds it then.

    Args:
        source: the definitions that workers load, unless they are forked from a process that has.
        sys_path: where their imports come from; where each has them from by itself when empty.
        starter: starts them.
        fork_socket: where they find a fork server for the processes of their steps; None where there is none.
    """

    def __init__(
        self,
        source: DefinitionSource,
        sys_path: tuple[str, ...],
        starter: ChildStarter,
        fork_socket: str | None = None,
    ) -> None:
        self._source = source
        self._sys_path = sys_path
        self._starter = starter
        self._fork_socket = fork_socket
        self._changed = threading.Condition()
        self._live = 0
        self._draining = False

    def start(self, request: StartWorkerRequest) -> int:
        """Starts a worker and returns its pid.

        Raises:
            OSError: the process, or the files for what it prints, cannot be made; or this drains.
            InvalidConfigurationError: the instance ref does not fit.
        """
        with self._changed:
            if self._draining:
                raise OSError("the code server was replaced and starts no more workers; try again")
            self._live += 1
        try:
            worker = self._start(request)
        except BaseException:
            self._count_end()
            raise
        threading.Thread(
            target=self._wait, args=(worker,), name=f"runwire-wait-{worker.child.pid}", daemon=True
        ).start()
        return worker.child.pid

    def drain(self, then: Callable[[], None]) -> None:
        """Starts no more workers, and calls back, from a thread, when none is left."""

        def wait() -> None:
            self.wait_until_ended()
            then()

        with self._changed:
            self._draining = True
        threading.Thread(target=wait, name="runwire-drain", daemon=True).start()

    def wait_until_ended(self, timeout_seconds: float | None = None) -> bool:
        """Waits until every worker that was started has ended and is reported; returns whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._live, timeout_seconds)

    def _start(self, request: StartWorkerRequest) -> StartedWorker:
        check_directory(self._source.directory)
        run_dir = run_dir_of(request.instance_ref, request.run_id)
        make_folder(run_dir)
        fault_point("code_server.before_fork")
        # Files, not pipes: nobody need be there to read them, and they never fill.
        with (run_dir / OUT).open("ab") as out, (run_dir / ERR).open("ab") as err:
            child = self._starter.start(
                ChildRequest(
                    entry=ENTRY,
                    payload=encode(self._parameters(request)),
                    title=request.run_id,
                    directory=self._source.directory,
                    stdout=out.fileno(),
                    stderr=err.fileno(),
                )
            )
        fault_point("code_server.after_fork")
        announce_worker(run_dir, request.epoch, child.pid)
        return StartedWorker(child, request, run_dir)

    def _parameters(self, request: StartWorkerRequest) -> WorkerParameters:
        return WorkerParameters(
            run_id=request.run_id,
            job_name=request.job_name,
            repository_name=request.repository_name,
            epoch=request.epoch,
            instance_ref=request.instance_ref,
            source=self._source,
            sys_path=self._sys_path,
            fork_socket=self._fork_socket,
        )

    def _wait(self, worker: StartedWorker) -> None:
        try:
            with worker.child as child:
                exit_code = child.wait()
            self._look_after(worker, exit_code)
        except Exception:
            logger.exception(
                "run %s: its worker is lost, and that cannot be stored", worker.request.run_id
            )
        finally:
            self._count_end()

    def _look_after(self, worker: StartedWorker, exit_code: int | None) -> None:
        health = check_worker(worker.run_dir, worker.request.epoch)
        if health.status is WorkerStatus.SUCCESS or health.status is WorkerStatus.RUNNING:
            return  # RUNNING: the fork server is gone, the worker is not; monitoring looks after it
        how = "ended" if exit_code is None else describe_exit(exit_code)
        words = worker.run_dir / ERR
        ending = f"Its process (pid {worker.child.pid}) {how}; {words} has its last words."
        if not _report(worker.request, ending):
            remove_traces(worker.run_dir, worker.request.epoch)

    def _count_end(self) -> None:
        with self._changed:
            self._live -= 1
            self._changed.notify_all()


def _report(request: StartWorkerRequest, ending: str) -> bool:
    """Tells that a worker is lost; returns whether there still is its run. A storage that is busy is asked again."""
    for attempt in range(REPORT_ATTEMPTS - 1):
        with suppress(StorageUnavailableError):
            return _report_once(request, ending)
        time.sleep(2**attempt)
    return _report_once(request, ending)


def _report_once(request: StartWorkerRequest, ending: str) -> bool:
    ref = InstanceRef.from_dict(request.instance_ref)
    with Instance.from_ref(ref) as instance:
        report_lost_worker(
            instance.storage,
            request.run_id,
            request.epoch,
            ending,
            max_resume_attempts=ref.run_monitoring.automatic_resumes,
        )
        return instance.storage.run_storage.find_run_record(request.run_id) is not None
