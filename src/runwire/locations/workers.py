"""The run workers of a code server: started, stopped, and waited for."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from typing import IO, cast

from runwire.errors import StorageUnavailableError
from runwire.execution.filesystem_io import make_folder
from runwire.instance import Instance, InstanceRef, LocalArtifactStorage
from runwire.locations.lost_worker import describe_exit, report_lost_worker
from runwire.locations.protocol import (
    DefinitionSource,
    StartWorkerRequest,
    WorkerParameters,
    encode,
)

logger = logging.getLogger(__name__)

REPORT_ATTEMPTS = 5


class RunWorkers:
    """The live workers that this process started, by run. Thread-safe.

    A worker is a process of its own session, so it outlives this one and takes what it starts with it when
    it is killed. A thread waits for each; if the worker did not end its run, the thread does.
    """

    def __init__(self, source: DefinitionSource, sys_path: tuple[str, ...]) -> None:
        self._source = source
        self._sys_path = sys_path
        self._lock = threading.Lock()
        self._live: dict[str, list[Popen[bytes]]] = {}
        self._reports: set[threading.Thread] = set()

    def start(self, request: StartWorkerRequest) -> int:
        """Starts a worker and returns its pid.

        Raises:
            OSError: the process, or the files for what it prints, cannot be made.
            InvalidConfigurationError: the instance ref does not fit.
        """
        ref = InstanceRef.from_dict(request.instance_ref)
        folder = ref.local_artifact_storage.rehydrate(LocalArtifactStorage).run_dir(request.run_id)
        make_folder(folder)
        worker = self._spawn(request.run_id, folder)
        with self._lock:
            self._live.setdefault(request.run_id, []).append(worker)
        self._hand_parameters(worker, request)
        threading.Thread(
            target=self._reap,
            args=(worker, request, ref, folder / "worker.err"),
            name=f"runwire-reap-{worker.pid}",
            daemon=True,
        ).start()
        return worker.pid

    def has(self, run_id: str) -> bool:
        """Whether a run has a live worker."""
        return bool(self._alive(run_id))

    def stop(self, run_id: str, grace_seconds: float) -> bool:
        """Interrupts the worker of a run, and kills its process group after a grace.

        Returns whether there was a live one.
        """
        workers = self._alive(run_id)
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
            timer = threading.Timer(grace_seconds, _kill_group, [worker])
            timer.daemon = True
            timer.start()
        return bool(workers)

    def drain(self, timeout_seconds: float) -> None:
        """Waits for reports of lost workers that are being written."""
        deadline = time.monotonic() + timeout_seconds
        with self._lock:
            reports = list(self._reports)
        for thread in reports:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _alive(self, run_id: str) -> list[Popen[bytes]]:
        with self._lock:
            workers = list(self._live.get(run_id, ()))
        return [worker for worker in workers if worker.poll() is None]

    def _spawn(self, run_id: str, folder: Path) -> Popen[bytes]:
        # Files, not pipes: nobody need be there to read them, and they never fill.
        with (folder / "worker.out").open("ab") as out, (folder / "worker.err").open("ab") as err:
            return Popen(
                # The run id is there for people who list processes. -P: the working directory must
                # not shadow the modules that the worker itself needs.
                [sys.executable, "-P", "-m", "runwire.locations.run_worker", run_id],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                cwd=self._source.directory,
                start_new_session=True,
            )

    def _hand_parameters(self, worker: Popen[bytes], request: StartWorkerRequest) -> None:
        parameters = WorkerParameters(
            run_id=request.run_id,
            job_name=request.job_name,
            repository_name=request.repository_name,
            epoch=request.epoch,
            instance_ref=request.instance_ref,
            source=self._source,
            sys_path=self._sys_path,
        )
        pipe = cast("IO[bytes]", worker.stdin)
        # A worker that has died already is told of by the thread that waits for it.
        with suppress(BrokenPipeError), pipe:
            pipe.write(encode(parameters) + b"\n")

    def _reap(
        self, worker: Popen[bytes], request: StartWorkerRequest, ref: InstanceRef, errors: Path
    ) -> None:
        exit_code = worker.wait()
        thread = threading.current_thread()
        with self._lock:
            self._reports.add(thread)
            workers = self._live[request.run_id]
            workers.remove(worker)
            if not workers:
                del self._live[request.run_id]
        ending = f"Its process (pid {worker.pid}) {describe_exit(exit_code)}; {errors} has its last words."
        try:
            _report(ref, request, ending)
        except Exception:
            logger.exception(
                "run %s: its worker is lost, and that cannot be stored", request.run_id
            )
        finally:
            with self._lock:
                self._reports.discard(thread)


def _report(ref: InstanceRef, request: StartWorkerRequest, ending: str) -> None:
    """Ends the run if its worker did not. Nobody else will, so a storage that is busy is asked again."""
    for attempt in range(REPORT_ATTEMPTS):
        try:
            with Instance.from_ref(ref) as instance:
                report_lost_worker(instance.storage, request.run_id, request.epoch, ending)
            return
        except StorageUnavailableError:
            if attempt + 1 == REPORT_ATTEMPTS:
                raise
            time.sleep(2**attempt)


def _kill_group(worker: Popen[bytes]) -> None:
    if worker.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
