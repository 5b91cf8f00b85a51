"""A code location whose code server somebody else runs."""

from __future__ import annotations

import threading

from runwire.locations import protocol
from runwire.locations.code_location import PROBE_SECONDS, ServedCodeLocation, Tell
from runwire.locations.target import CodeServerTarget
from runwire.locations.timeouts import LocationTimeouts
from runwire.locations.wire import CodeServerCallError, CodeServerClient
from runwire.snapshots import CodeServerInfo
from runwire.workspace import (
    CheckRunHealthResult,
    CodeLocationStatus,
    WorkerRef,
    WorkerStatus,
)


class RemoteCodeLocation(ServedCodeLocation):
    """Asks the code server each second who it is, and for its definitions when that changes."""

    def __init__(self, target: CodeServerTarget, timeouts: LocationTimeouts, tell: Tell) -> None:
        super().__init__(target.name, timeouts, tell)
        self._server_client = CodeServerClient(target.address, target.token)
        self._looking = threading.Lock()
        self._listed: str | None = None
        """The id of the server whose definitions are known."""
        self._ending = threading.Event()
        self._follower = threading.Thread(
            target=self._follow, name=f"runwire-{target.name}", daemon=True
        )
        self._follower.start()

    def check_worker(self, worker: WorkerRef) -> CheckRunHealthResult:
        request = protocol.CheckWorkerRequest(
            worker.run_id, worker.epoch, dict(worker.instance_ref)
        )
        if self.state.status is CodeLocationStatus.UNREACHABLE:  # many may be looked at, one by one
            raise self._unavailable(self._why_unavailable())
        reply = self._call(protocol.CHECK_WORKER, request)
        return CheckRunHealthResult(WorkerStatus[reply.status], reply.message)

    def stop_worker(self, worker: WorkerRef, *, force: bool = False) -> bool:
        grace = 0.0 if force else self._timeouts.stop_grace_seconds
        request = protocol.StopWorkerRequest(
            worker.run_id, worker.epoch, dict(worker.instance_ref), grace
        )
        return self._call(protocol.STOP_WORKER, request).asked

    def reload(self) -> None:
        """Asks the code server for its definitions again. It loads nothing anew itself."""
        with self._looking:
            self._listed = None
        self._look()

    def end_soon(self) -> None:
        self._ending.set()

    def dispose(self) -> None:
        self._ending.set()
        self._follower.join()
        with self._changed:
            self._client = None
            self._lose("its workspace was closed", server=None)
        self._server_client.close()

    def _is_replaced(self, client: CodeServerClient) -> bool:
        self._look()
        return False

    def _follow(self) -> None:
        while not self._ending.is_set():
            self._look()
            self._ending.wait(PROBE_SECONDS)

    def _look(self) -> None:
        """Asks the server who it is, and notes what has changed."""
        with self._looking:
            try:
                self._note(self._ask_who())
            except CodeServerCallError as error:
                self._note_silence(str(error))

    def _ask_who(self) -> CodeServerInfo:
        request = protocol.PingRequest()
        return self._server_client.call(protocol.PING, request, timeout=PROBE_SECONDS).server

    def _note(self, server: CodeServerInfo) -> None:
        if server.server_id == self._listed:
            self._regain()
            return
        request = protocol.ListRepositoriesRequest()
        timeout = self._timeouts.call_seconds
        reply = self._server_client.call(protocol.LIST_REPOSITORIES, request, timeout=timeout)
        with self._changed:
            self._listed = server.server_id
            self._client = self._server_client
            self._take_definitions(server, reply)

    def _note_silence(self, problem: str) -> None:
        if not self._ending.is_set():
            self._lose(problem, server=self._state.server)
