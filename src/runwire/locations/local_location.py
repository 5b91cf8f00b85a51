"""A code location that is served by processes of ours: one after the other, and for a while two."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from runwire.error_info import ErrorInfo
from runwire.locations import protocol
from runwire.locations.code_location import PROBE_SECONDS, ServedCodeLocation, Tell
from runwire.locations.restart_delays import RestartDelays
from runwire.locations.server_process import CodeServerNotReadyError, CodeServerProcess
from runwire.locations.source_changes import files_named_in
from runwire.locations.target import LocationTarget
from runwire.locations.timeouts import LocationTimeouts
from runwire.locations.wire import CodeServerCallError, CodeServerClient
from runwire.locations.worker_presence import check_worker, run_dir_of, stop_workers
from runwire.snapshots import CodeServerInfo
from runwire.workspace import (
    CheckRunHealthResult,
    CodeLocationStatus,
    CodeOrigin,
    WorkerRef,
)

logger = logging.getLogger(__name__)

END_NOTICE_SECONDS = 1.0
"""How long after a call that was not answered the end of the process may take to be seen."""


@dataclass(eq=False)
class _Server:
    """A process that serves, or is about to, and the way to call it. `client` is None until it is ready."""

    process: CodeServerProcess
    began_at: float = field(default_factory=time.monotonic)
    client: CodeServerClient | None = None


class LocalCodeLocation(ServedCodeLocation):
    """Starts its code server when it is made, and looks after it in a thread until `dispose`.

    A server that ends by itself is started again; `reload` starts a new one beside it. Definitions that
    failed to load are not loaded again by themselves, unless it was a signal that ended their process.

    Args:
        target: what to serve.
        timeouts: how long to wait for it.
        tell: as for every served location.
        preload: modules that its run workers will need.
    """

    def __init__(
        self,
        target: LocationTarget,
        timeouts: LocationTimeouts,
        tell: Tell,
        preload: Sequence[str] = (),
    ) -> None:
        super().__init__(target.name, timeouts, tell)
        self._target = target
        self._preload = tuple(preload)
        self._current: _Server | None = None
        self._living: set[_Server] = set()
        self._ending = ""  # how the last one ended that had served
        self._source_files: frozenset[str] = frozenset()
        self._wanted, self._begun, self._done = 1, 0, 0  # loads that were asked for, by number
        self._restart_at: float | None = None
        self._delays = RestartDelays()
        self._keeper = threading.Thread(
            target=self._keep, name=f"runwire-{target.name}", daemon=True
        )
        self._keeper.start()

    @property
    def origin(self) -> CodeOrigin:
        return self._target.origin()

    @property
    def source_files(self) -> frozenset[str]:
        """The files that its definitions were last loaded from, or should have been."""
        own = self._target.source().python_file
        return self._source_files | (frozenset() if own is None else {own})

    def check_worker(self, worker: WorkerRef) -> CheckRunHealthResult:
        return check_worker(run_dir_of(worker.instance_ref, worker.run_id), worker.epoch)

    def stop_worker(self, worker: WorkerRef, *, force: bool = False) -> bool:
        return stop_workers(
            run_dir_of(worker.instance_ref, worker.run_id),
            worker.epoch,
            grace_seconds=self._timeouts.stop_grace_seconds,
            force=force,
        )

    def reload(self) -> None:
        with self._changed:
            # One load is enough for all who ask before it begins.
            mine = self._wanted = self._begun + 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._done >= mine or self._disposed)

    def end_soon(self) -> None:
        with self._changed:
            self._disposed = True
            self._changed.notify_all()
            living = list(self._living)
        for server in living:
            server.process.let_go()

    def dispose(self) -> None:
        self.end_soon()
        with self._changed:
            living = list(self._living)
        for server in living:
            server.process.end(self._timeouts.end_grace_seconds)
        self._keeper.join()  # one that it has started meanwhile it ends itself
        with self._changed:
            self._changed.wait_for(lambda: not self._living)

    # ----------------------------------------------------------------------------- looking after

    def _keep(self) -> None:
        while (task := self._wait_for_task()) is not None:
            task()

    def _wait_for_task(self) -> Callable[[], None] | None:
        """What is to be done next, once there is something; None at the end."""
        with self._changed:
            while not self._disposed:
                if self._wanted > self._begun:
                    return self._load_as_asked
                due = self._seconds_to_restart()
                if due is not None and due <= 0:
                    return self._restart
                if self._is_silent():
                    self._changed.wait(PROBE_SECONDS)
                    if self._is_silent():
                        return self._probe
                else:
                    self._changed.wait(due)
        return None

    def _seconds_to_restart(self) -> float | None:
        return None if self._restart_at is None else self._restart_at - time.monotonic()

    def _is_silent(self) -> bool:
        unreachable = self._state.status is CodeLocationStatus.UNREACHABLE
        return unreachable and not self._disposed and self._wanted == self._begun

    def _load_as_asked(self) -> None:
        with self._changed:
            self._begun = self._wanted
            self._restart_at = None
            if self._state.status is CodeLocationStatus.FAILED:
                self._move(CodeLocationStatus.LOADING, load_error=None)
        try:
            self._load(is_restart=False)
        finally:
            with self._changed:
                self._done = self._begun
                self._changed.notify_all()

    def _restart(self) -> None:
        self._restart_at = None
        self._load(is_restart=True)

    # ----------------------------------------------------------------------------------- loading

    def _load(self, *, is_restart: bool) -> None:
        """Starts a server, lets it load the definitions, and replaces the present one by it."""
        try:
            server, info, loaded = self._start()
        except CodeServerNotReadyError as error:
            self._replace(None)
            self._fail(error.info, is_retried=is_restart or error.is_killed)
            return
        with self._changed:
            if server not in self._living:  # it has ended meanwhile
                self._replace(None)
                self._fail(
                    ErrorInfo(server.process.describe_end(), "ChildProcessError"), is_retried=True
                )
                return
            self._note_source_files(loaded)
            self._replace(server)
            self._take_definitions(info, loaded)
            if is_restart and isinstance(loaded, protocol.LoadFailed):
                self._plan_restart(0)

    def _note_source_files(self, loaded: protocol.RepositoriesLoaded | protocol.LoadFailed) -> None:
        files = frozenset(loaded.source_files)
        if isinstance(loaded, protocol.LoadFailed):
            # What was not imported for the error is what the mend may be in.
            files |= self._source_files | files_named_in(loaded.error)
        self._source_files = files

    def _fail(self, error: ErrorInfo, *, is_retried: bool) -> None:
        with self._changed:
            if self._disposed:
                return
            self._move(CodeLocationStatus.FAILED, load_error=error, server=None)
            if is_retried:
                self._plan_restart(0)

    def _plan_restart(self, lived_seconds: float) -> None:
        self._restart_at = time.monotonic() + self._delays.next(lived_seconds)

    def _start(
        self,
    ) -> tuple[_Server, CodeServerInfo, protocol.RepositoriesLoaded | protocol.LoadFailed]:
        server = self._start_process()
        try:
            info = server.process.wait_until_ready().server
            server.client = CodeServerClient(info.address)
            request = protocol.ListRepositoriesRequest()
            timeout = self._timeouts.start_seconds  # it may be a lot
            loaded = server.client.call(protocol.LIST_REPOSITORIES, request, timeout=timeout)
        except Exception as error:
            problem = self._why_not_ready(server, error)
            server.process.end(grace_seconds=0)
            raise problem from error
        return server, info, loaded

    def _start_process(self) -> _Server:
        try:
            process = CodeServerProcess(
                self._target,
                start_timeout_seconds=self._timeouts.start_seconds,
                preload=self._preload,
            )
        except Exception as error:
            raise CodeServerNotReadyError(ErrorInfo.from_exception(error)) from error
        server = _Server(process)
        with self._changed:
            self._living.add(server)
            is_too_late = self._disposed
        threading.Thread(
            target=self._wait_for_end,
            args=(server,),
            name=f"runwire-wait-{process.pid}",
            daemon=True,
        ).start()
        if is_too_late:
            process.end(self._timeouts.end_grace_seconds)
        return server

    def _why_not_ready(self, server: _Server, error: Exception) -> CodeServerNotReadyError:
        if isinstance(error, CodeServerNotReadyError):
            return error
        if server.process.wait_for_end(END_NOTICE_SECONDS):
            ending = ErrorInfo(server.process.describe_end(), "ChildProcessError")
            return CodeServerNotReadyError(ending, is_killed=True)
        return CodeServerNotReadyError(ErrorInfo.from_exception(error))

    def _replace(self, server: _Server | None) -> None:
        """Takes another server, or none, for the present one, which may finish what it has begun."""
        with self._changed:
            old, self._current = self._current, server
            self._client = None if server is None else server.client
            self._restart_at = None
            self._changed.notify_all()
        if old is not None:
            threading.Thread(
                target=self._retire,
                args=(old,),
                name=f"runwire-retire-{old.process.pid}",
                daemon=True,
            ).start()

    def _retire(self, server: _Server) -> None:
        """Tells a server to end once its run workers have. Calls that it is answering come first."""
        client = server.client
        if client is None:
            return
        self._wait_until_unused(client)
        request = protocol.ShutdownRequest(drain=True)
        try:
            client.call(protocol.SHUTDOWN, request, timeout=PROBE_SECONDS)
        except CodeServerCallError:
            # It cannot even be asked. Its workers go on without it.
            server.process.end(self._timeouts.end_grace_seconds)

    # ------------------------------------------------------------------------------- their ends

    def _wait_for_end(self, server: _Server) -> None:
        server.process.end_group()
        ending = server.process.describe_end()
        server.process.clean_up()
        with self._changed:
            if server is self._current:
                self._note_end(ending, time.monotonic() - server.began_at)
            self._living.discard(server)
            self._changed.notify_all()
        if server.client is not None:
            server.client.close()

    def _note_end(self, ending: str, lived_seconds: float) -> None:
        self._current = self._client = None
        self._ending = ending
        if self._disposed:
            self._lose(ending, server=None)
        elif self._state.status is CodeLocationStatus.FAILED:
            self._set(replace(self._state, server=None))
        else:
            logger.warning("code location %s is started again: %s", self._name, ending)
            self._move(CodeLocationStatus.LOADING, load_error=None, server=None)
            self._plan_restart(lived_seconds)

    def _is_replaced(self, client: CodeServerClient) -> bool:
        with self._changed:
            server = self._current
            if server is None or server.client is not client:
                return not self._disposed
        if not server.process.wait_for_end(END_NOTICE_SECONDS):
            self._probe()
            return False
        with self._changed:
            self._changed.wait_for(lambda: server is not self._current)
        return not self._disposed

    def _probe(self) -> None:
        """Finds out whether the server answers, and notes it."""
        with self._changed:
            server = self._current
        if server is None or server.client is None:
            return
        problem = ""
        try:
            server.client.call(protocol.PING, protocol.PingRequest(), timeout=PROBE_SECONDS)
        except CodeServerCallError as error:
            problem = str(error)
        with self._changed:
            if server is not self._current:  # it has ended since
                return
            if problem:
                self._lose(problem, server=self._state.server)
            else:
                self._regain()

    def _why_unavailable(self) -> str | None:
        if self._state.status is CodeLocationStatus.LOADING and self._ending:
            return self._ending
        return super()._why_unavailable()
