"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runwire.client import RunwireClient

Url = Annotated[
    str, typer.Option("--url", envvar="RUNWIRE_URL", help="The endpoint of the server.")
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="RUNWIRE_TOKEN",
        help="The token of the server, where it demands one.",
        show_default=False,
    ),
]
RunId = Annotated[
    str, typer.Argument(metavar="RUN_ID", help="The id of the run, or the beginning of it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]

Files = Annotated[
    list[Path] | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="A Python file with jobs; may be repeated.",
        show_default=False,
    ),
]
Modules = Annotated[
    list[str] | None,
    typer.Option(
        "--module",
        "-m",
        metavar="MODULE",
        help="A Python module with jobs; may be repeated.",
        show_default=False,
    ),
]
WorkspaceFile = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        "-w",
        metavar="FILE",
        help="A file that names code locations, instead of -f and -m; by default workspace.yaml where you"
        " are, if it is there.",
        show_default=False,
    ),
]
Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="FOLDER",
        envvar="RUNWIRE_HOME",
        readable=False,  # whether it can be used is the instance's to say
        help="The folder that keeps the instance's data and runwire.yaml.",
        show_default=False,
    ),
]
Host = Annotated[
    str | None,
    typer.Option(
        metavar="HOST",
        help="The address to listen on; runwire.yaml's, or 127.0.0.1.",
        show_default=False,
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        metavar="PORT",
        help="The port to listen on, 0 for a free one; runwire.yaml's, or 3333.",
        min=0,
        max=65535,
        show_default=False,
    ),
]


def connect(url: str, token: str | None) -> RunwireClient:
    """The client of a server; an empty token is none."""
    return RunwireClient(url, token or None)
