"""``runwire dev`` and ``runwire serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runwire.cli.options import Files, Host, Modules, Port
from runwire.errors import InputInvalidError

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


def dev(
    file: Files = None,
    module: Modules = None,
    host: Host = None,
    port: Port = None,
    home: Home = None,
) -> None:
    """Serve your jobs on this machine, with GraphiQL to try them.

    Without --home and RUNWIRE_HOME, data is kept in .runwire where you are.

    A file that does not load is served with its error.
    """
    from runwire.cli import serving  # noqa: PLC0415 -- the whole server; no other command needs it

    if not file and not module:
        raise InputInvalidError("name what to serve: -f FILE or -m MODULE", ["file"])
    made = serving.dev_home(home)
    serving.run_server(made, serving.targets_of(file, module), host, port)


def serve(
    file: Files = None,
    module: Modules = None,
    host: Host = None,
    port: Port = None,
    home: Home = None,
) -> None:
    """Serve an instance.

    Off loopback a token is demanded: RUNWIRE_TOKEN, or auth.token in runwire.yaml.
    """
    from runwire.cli import serving  # noqa: PLC0415 -- the whole server; no other command needs it

    if home is None:
        raise InputInvalidError(
            "name the instance's home: --home or RUNWIRE_HOME; `runwire dev` does without", ["home"]
        )
    serving.run_server(serving.Home(home), serving.targets_of(file, module), host, port)
