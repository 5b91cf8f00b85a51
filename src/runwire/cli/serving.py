"""Serving an instance: its home, its code locations, and the words about them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import typer

from runwire import __version__
from runwire.cli.code_locations import open_workspace
from runwire.cli.location_news import LocationNews
from runwire.cli.logs import LogFormat, configure_logging
from runwire.daemons.required import daemons_of
from runwire.daemons.runner import DaemonRunner
from runwire.errors import HomeInvalidError
from runwire.instance import Instance
from runwire.locations.source_changes import SourceChanges
from runwire.locations.workspace import LocalWorkspace
from runwire.locations.workspace_file import Target
from runwire.server.serve import serve
from runwire.server.tls import TlsFiles

__all__ = [
    "Home",
    "TlsFiles",
    "announce",
    "dev_home",
    "run_server",
    "say_home",
]

DEV_HOME = ".runwire"


@dataclass(frozen=True, slots=True)
class Home:
    """The home of an instance, and why it is this one where nobody chose it."""

    path: Path
    why: str = ""


def dev_home(chosen: Path | None) -> Home:
    """The home of ``runwire dev``: the one that was chosen, or `.runwire` in the current folder. It is made.

    Raises:
        HomeInvalidError: it cannot be made.
    """
    path = (chosen or Path(DEV_HOME)).expanduser().absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
        if chosen is None and not (path / ".gitignore").exists():
            (path / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise HomeInvalidError(
            f"the home {path} cannot be made or written: {error.strerror}; name another with --home"
        ) from None
    return Home(path, "RUNWIRE_HOME is not set" if chosen is None else "")


def run_server(
    home: Home,
    targets: Sequence[Target],
    host: str | None,
    port: int | None,
    *,
    reloads_on_change: bool = False,
    runs_daemons: bool = False,
    log_format: LogFormat | None = None,
    tls: TlsFiles | None = None,
) -> None:
    """Serves until it is told to stop by SIGINT or SIGTERM; says where, and what it serves.

    Args:
        home: the home of the instance.
        targets: its code locations.
        host: where to listen; None for what the instance's settings say.
        port: at which port, likewise.
        reloads_on_change: whether a code location is reloaded when its files change.
        runs_daemons: whether the daemons of the instance run in this process as well.
        log_format: what lines of the log look like; None for what the instance's settings say.
        tls: the certificate; None for what the instance's settings say.
    """
    configure_logging(log_format or "text", "warning")
    say_home(home)
    with (
        Instance.from_home(home.path) as instance,
        open_workspace(instance, targets) as workspace,
        ExitStack() as stack,
    ):
        wanted = instance.settings.logging
        configure_logging(log_format or wanted.format, wanted.level)
        if reloads_on_change:
            stack.enter_context(SourceChanges(workspace.list_local_locations()))
        if runs_daemons:
            stack.enter_context(DaemonRunner(instance, daemons_of(instance, workspace)))
        chosen = instance.settings.server
        serve(
            instance,
            workspace,
            chosen.host if host is None else host,
            chosen.port if port is None else port,
            ready=lambda url: announce(url, workspace, stack),
            tls=tls,
        )


def say_home(home: Home) -> None:
    """Says which version serves which home."""
    typer.echo(f"runwire {__version__}")
    typer.echo(f"home      {home.path.absolute()}" + (f" ({home.why})" if home.why else ""))


def announce(url: str, workspace: LocalWorkspace, stack: ExitStack) -> None:
    """Says where the server is, now that it answers, and tells of its code locations until the end."""
    # An address that stands for all of this machine's is no address to go to.
    shown = url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    typer.echo(f"GraphiQL  {shown}/graphql")
    typer.echo("Ctrl-C stops the server.")
    if not workspace.list_locations():
        typer.echo("No code location is served (-f, -m, -w): only external systems can run jobs.")
    # The server answers already while user code is still being imported.
    stack.enter_context(LocationNews(workspace))
