"""Serving an instance in several processes, the workers, that accept from one socket.

The process that starts them serves nothing. It listens, repairs the storage, runs the daemons, if it shall, and keeps
the workers alive. User code is in code servers that stand alone, so that it is loaded once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import typer

from runwire.cli.code_locations import open_workspace
from runwire.cli.failures import describe, exit_code
from runwire.cli.logs import LogFormat, configure_logging
from runwire.cli.serving import Home, TlsFiles, announce, say_home
from runwire.cli.supervising import end, keep_alive
from runwire.daemons.required import daemons_of
from runwire.daemons.runner import DaemonRunner
from runwire.errors import InputInvalidError, RunwireError
from runwire.instance import Instance
from runwire.locations.target import CodeServerTarget
from runwire.locations.workspace_file import Target
from runwire.processes.ending import Ending
from runwire.server.address import listen, url_of
from runwire.server.serve import checked_settings, serve

_CLEAN_UP_SECONDS = 10.0
"""How long a worker may take to end beside what its configuration says."""


@dataclass(frozen=True, slots=True)
class Work:
    """What workers are to do. None stands for what the instance's settings say.

    Attributes:
        home: the home of the instance.
        targets: its code locations.
        host: where to listen.
        port: at which port.
        log_format: what lines of the log look like.
        tls: the certificate.
    """

    home: Path
    targets: tuple[Target, ...]
    host: str | None
    port: int | None
    log_format: LogFormat | None
    tls: TlsFiles | None

    def set_up(self, instance: Instance) -> str:
        """Has this process log as it shall; returns the host."""
        wanted = instance.settings.logging
        configure_logging(self.log_format or wanted.format, wanted.level)
        return instance.settings.server.host if self.host is None else self.host


def run_workers(work: Work, count: int, *, runs_daemons: bool = False) -> None:
    """Serves until it is told to stop by SIGINT or SIGTERM; a worker that dies is started again.

    Raises:
        InputInvalidError: the storage is not for several servers, or a code location is no code server.
        OpenAddressError, AddressUnavailableError, InvalidConfigurationError, TlsInvalidError: as `serve`.
        StorageUnavailableError: the storage cannot be used.
    """
    configure_logging(work.log_format or "text", "warning")
    say_home(Home(work.home))
    ending = Ending()
    with ending.told_by_signals(), Instance.from_home(work.home) as instance, ExitStack() as stack:
        host = work.set_up(instance)
        _check(instance, work.targets, count)
        _, encryption = checked_settings(instance, host, tls=work.tls)
        chosen = instance.settings.server
        shared = stack.enter_context(listen(host, chosen.port if work.port is None else work.port))
        own = _own_listeners(stack, host, chosen.worker_ports_from, count)
        instance.storage.repair()
        workspace = stack.enter_context(open_workspace(instance, work.targets))
        if runs_daemons:
            stack.enter_context(DaemonRunner(instance, daemons_of(instance, workspace)))
        context = multiprocessing.get_context("spawn")
        answers = context.Event()
        url = url_of(host, shared, "http" if encryption is None else "https")
        told: list[str] = []

        def start(number: int) -> BaseProcess:
            listeners = [shared, *own[number : number + 1]]
            process = context.Process(target=_work, args=(work, listeners, answers))
            process.start()
            return process

        def look() -> None:
            if answers.is_set() and not told:
                told.append(url)
                announce(url, workspace, stack)

        def finish(workers: Sequence[BaseProcess]) -> None:
            # What would still be accepted here would never be answered.
            for listener in (shared, *own):
                listener.close()
            end(workers, chosen.drain_seconds + chosen.shutdown_seconds + _CLEAN_UP_SECONDS)

        keep_alive(count, start, ending, look, finish)


def _check(instance: Instance, targets: Sequence[Target], count: int) -> None:
    if not instance.storage.suits_several_servers:
        raise InputInvalidError(
            f"--workers {count} needs PostgreSQL as the storage: set storage.postgres in runwire.yaml, or"
            " leave --workers out",
            ["workers"],
        )
    ours = [target.name for target in targets if not isinstance(target, CodeServerTarget)]
    if ours:
        raise InputInvalidError(
            f"with --workers, code locations are code servers, loaded once for all workers: start"
            f" {', '.join(ours)} by `runwire code-server`, and name it in workspace.yaml as grpc_server",
            ["workers"],
        )


def _own_listeners(
    stack: ExitStack, host: str, first_port: int | None, count: int
) -> list[socket.socket]:
    """A socket for each worker, by which it can be asked itself; none when no ports are named."""
    if first_port is None:
        return []
    return [stack.enter_context(listen(host, first_port + number)) for number in range(count)]


def _work(work: Work, listeners: Sequence[socket.socket], answers: Event) -> None:
    """What a worker does, from its beginning to its end."""
    os.setpgrp()  # Ctrl-C is for the process that started this one, which tells it to end once
    threading.Thread(target=_end_with_parent, name="runwire-parent", daemon=True).start()
    configure_logging(work.log_format or "text", "warning")
    try:
        with Instance.from_home(work.home) as instance:
            host = work.set_up(instance)
            port = listeners[0].getsockname()[1]
            with open_workspace(instance, work.targets) as workspace:
                serve(
                    instance,
                    workspace,
                    host,
                    port,
                    ready=lambda _: answers.set(),
                    tls=work.tls,
                    listeners=listeners,
                )
    except RunwireError as error:
        typer.echo(f"error: {describe(error)}", err=True)
        raise SystemExit(exit_code(error)) from None


def _end_with_parent() -> None:
    """Ends this process in order when the one that started it is gone: nobody would end it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
