"""Serving an instance: its home, its code locations, and the words about them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

import runwire
from runwire import __version__
from runwire.cli.printable import printable
from runwire.errors import HomeInvalidError, InputInvalidError
from runwire.instance import Instance
from runwire.locations.workspace import LocalWorkspace, LocationTarget
from runwire.server.serve import serve
from runwire.workspace import CodeLocationState, CodeLocationStatus

DEV_HOME = ".runwire"

_PACKAGE = Path(runwire.__file__).parent


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


def targets_of(files: Sequence[Path] | None, modules: Sequence[str] | None) -> list[LocationTarget]:
    """The code locations of files and modules.

    Raises:
        InputInvalidError: a file is not there.
    """
    for file in files or ():
        if not file.is_file():
            raise InputInvalidError(f"there is no file {file}", ["file"])
    return [
        *(LocationTarget(python_file=file) for file in files or ()),
        *(LocationTarget(module=module) for module in modules or ()),
    ]


def run_server(
    home: Home, targets: Sequence[LocationTarget], host: str | None, port: int | None
) -> None:
    """Serves until it is told to stop by SIGINT or SIGTERM; says where, and what it serves."""
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    typer.echo(f"runwire {__version__}")
    typer.echo(f"home      {home.path.absolute()}" + (f" ({home.why})" if home.why else ""))
    with Instance.from_home(home.path) as instance, LocalWorkspace(targets) as workspace:
        chosen = instance.settings.server
        serve(
            instance,
            workspace,
            chosen.host if host is None else host,
            chosen.port if port is None else port,
            ready=lambda url: _announce(url, workspace),
        )


def _announce(url: str, workspace: LocalWorkspace) -> None:
    # An address that stands for all of this machine's is no address to go to.
    shown = url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    typer.echo(f"GraphiQL  {shown}/graphql")
    typer.echo("Ctrl-C stops the server.")
    if not workspace.list_locations():
        typer.echo("No code location is served (-f, -m): only external systems can run jobs.")
    else:
        # The server answers already while user code is still being imported.
        threading.Thread(target=_tell_locations, args=(workspace,), daemon=True).start()


def _tell_locations(workspace: LocalWorkspace) -> None:
    workspace.wait_until_loaded()
    for location in workspace.list_locations():
        typer.echo("\n".join(location_lines(location.state)))


def location_lines(state: CodeLocationState) -> list[str]:
    """A code location as lines: its jobs, or why it did not load."""
    line = f"location  {state.name}: {state.status.value}"
    if state.status is CodeLocationStatus.LOADED:
        jobs = [job.name for repository in state.repositories for job in repository.jobs]
        return [printable(f"{line}, jobs: {', '.join(jobs) or 'none'}")]
    if state.load_error is None:
        return [line]
    error = state.load_error
    stack = [text for part in (error, *error.causes) for text in part.stack if not _is_inside(text)]
    return [
        printable(f"{line}: {error.message}"),
        *(f"    {printable(text)}" for part in stack for text in part.splitlines()),
    ]


def _is_inside(frame: str) -> bool:
    """Whether a frame is in the machinery that loads definitions, not in what a user wrote."""
    return f'File "{_PACKAGE}' in frame or 'File "<frozen importlib' in frame
