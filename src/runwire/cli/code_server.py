"""``runwire code-server``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runwire.errors import InputInvalidError

File = Annotated[
    Path | None,
    typer.Option(
        "--file", "-f", metavar="FILE", help="A Python file with jobs.", show_default=False
    ),
]
Module = Annotated[
    str | None,
    typer.Option(
        "--module", "-m", metavar="MODULE", help="A Python module with jobs.", show_default=False
    ),
]
Host = Annotated[str, typer.Option(metavar="HOST", help="The address to listen on, with --port.")]
Port = Annotated[
    int | None,
    typer.Option(
        metavar="PORT",
        help="The port to listen on, 0 for a free one.",
        min=0,
        max=65535,
        show_default=False,
    ),
]
Socket = Annotated[
    Path | None,
    typer.Option(
        "--socket",
        metavar="PATH",
        help="The unix socket to listen on, instead of a port; only you may use it.",
        show_default=False,
    ),
]


def code_server(
    file: File = None,
    module: Module = None,
    host: Host = "127.0.0.1",
    port: Port = None,
    socket: Socket = None,
) -> None:
    """Serve the definitions of a file or module to servers elsewhere, until SIGTERM.

    They name it in workspace.yaml as grpc_server. They and the runs share the instance's storage, which must
    be reachable from here by the same paths.

    Off loopback a token is demanded: RUNWIRE_CODE_SERVER_TOKEN, at least 16 characters; it is sent as it is,
    so let only networks see it that you trust. Definitions are loaded once: start it again to load new ones.
    """
    from runwire.cli import code_serving  # noqa: PLC0415 -- gRPC and more; no other command needs it

    if (port is None) == (socket is None):
        raise InputInvalidError("name where to listen: --port or --socket", ["port"])
    if (file is None) == (module is None):
        raise InputInvalidError("name what to serve: -f FILE or -m MODULE", ["file"])
    if file is not None and not file.is_file():
        raise InputInvalidError(f"there is no file {file}", ["file"])
    target = code_serving.LocationTarget(python_file=file, module=module)
    if socket is not None:
        code_serving.serve_on_socket(target, socket)
    else:
        code_serving.serve_on_port(target, host, port or 0)
