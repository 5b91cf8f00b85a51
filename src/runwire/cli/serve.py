"""``runwire dev`` and ``runwire serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from runwire.cli.options import Files, Home, Host, Modules, Port, WorkspaceFile
from runwire.errors import InputInvalidError

Reload = Annotated[
    bool,
    typer.Option("--reload/--no-reload", help="Whether to load files anew when they change."),
]

LogFormat = Annotated[
    Literal["text", "json"] | None,
    typer.Option(
        "--log-format",
        help="What lines of the log look like; runwire.yaml's, or text.",
        show_default=False,
    ),
]

TlsCertificate = Annotated[
    Path | None,
    typer.Option(
        "--tls-certificate",
        metavar="FILE",
        help="Serve https with this certificate (PEM).",
        show_default=False,
    ),
]
TlsKey = Annotated[
    Path | None,
    typer.Option(
        "--tls-key",
        metavar="FILE",
        help="Its private key (PEM), if it is not in the same file; a password is taken from"
        " RUNWIRE_TLS_KEY_PASSWORD.",
        show_default=False,
    ),
]

Workers = Annotated[
    int,
    typer.Option(
        "--workers",
        metavar="N",
        help="In how many processes to serve; more than one on PostgreSQL only.",
        min=1,
        max=64,
    ),
]

Daemons = Annotated[
    bool, typer.Option("--daemons", help="Run the daemons of the instance in this process as well.")
]


def dev(
    file: Files = None,
    module: Modules = None,
    workspace: WorkspaceFile = None,
    host: Host = None,
    port: Port = None,
    home: Home = None,
    reload: Reload = True,
    log_format: LogFormat = None,
) -> None:
    """Serve your jobs on this machine, with GraphiQL to try them.

    Without --home and RUNWIRE_HOME, data is kept in .runwire where you are.

    A file that does not load is served with its error. A change of what was loaded is loaded at once; runs
    that have begun go on with what they began with. The daemons of the instance run along.
    """
    from runwire.cli import code_locations, serving  # noqa: PLC0415 -- the whole server; no other command needs it

    targets = code_locations.workspace_targets(file, module, workspace)
    if not targets and not workspace:
        raise InputInvalidError(
            "name what to serve: -f FILE, -m MODULE or -w FILE; or write workspace.yaml here",
            ["file"],
        )
    made = serving.dev_home(home)
    serving.run_server(
        made,
        targets,
        host,
        port,
        reloads_on_change=reload,
        runs_daemons=True,
        log_format=log_format,
    )


def serve(
    file: Files = None,
    module: Modules = None,
    workspace: WorkspaceFile = None,
    host: Host = None,
    port: Port = None,
    home: Home = None,
    daemons: Daemons = False,
    log_format: LogFormat = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    workers: Workers = 1,
) -> None:
    """Serve an instance.

    Its daemons run elsewhere, by `runwire daemon`, unless --daemons is given.

    Off loopback a token is demanded: RUNWIRE_TOKEN, or auth.token in runwire.yaml.

    With --workers, code locations must be code servers of their own (grpc_server in workspace.yaml), so that
    they are loaded once; daemons run once as well, beside the workers.
    """
    from runwire.cli import code_locations, serving  # noqa: PLC0415 -- the whole server; no other command needs it

    if home is None:
        raise InputInvalidError(
            "name the instance's home: --home or RUNWIRE_HOME; `runwire dev` does without", ["home"]
        )
    if tls_key is not None and tls_certificate is None:
        raise InputInvalidError("--tls-key goes with --tls-certificate; name both", ["tls-key"])
    targets = code_locations.workspace_targets(file, module, workspace)
    tls = None if tls_certificate is None else serving.TlsFiles(tls_certificate, tls_key)
    if workers > 1:
        from runwire.cli import worker_serving  # noqa: PLC0415 -- one process does without

        wanted = worker_serving.Work(home, tuple(targets), host, port, log_format, tls)
        worker_serving.run_workers(wanted, workers, runs_daemons=daemons)
        return
    serving.run_server(
        serving.Home(home),
        targets,
        host,
        port,
        runs_daemons=daemons,
        log_format=log_format,
        tls=tls,
    )
