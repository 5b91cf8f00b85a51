"""``runwire instance …``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import typer

from runwire.cli.failures import EXIT_CODES_HELP, ExitCode
from runwire.cli.options import AsJson, Home, Token, Url, connect
from runwire.cli.printable import printable
from runwire.cli.run.tables import print_columns, print_json
from runwire.cli.run.words import local_time
from runwire.client import DEFAULT_URL, CodeLocation, DaemonStatus
from runwire.errors import InputInvalidError
from runwire.workspace import CodeLocationStatus

instance_app = typer.Typer(
    help="Look at the instance, and look after what it stores.", no_args_is_help=True
)


@instance_app.callback()
def commands() -> None:
    """Look at the instance, and look after what it stores."""


@instance_app.command()
def info(as_json: AsJson = False, url: Url = DEFAULT_URL, token: Token = None) -> None:
    """Show what the instance is made of, and its code locations."""
    with connect(url, token) as client:
        health = client.execute("InstanceHealth")
    if as_json:
        typer.echo(json.dumps(health))
    else:
        print_columns([(name, printable(value)) for name, value in _rows(health)])


@instance_app.command()
def health(as_json: AsJson = False, url: Url = DEFAULT_URL, token: Token = None) -> None:
    """Show whether the daemons do their work and the code locations can be used.

    Exits with 1 if a daemon is not healthy that should be, or a code location cannot be used.
    """
    with connect(url, token) as client:
        daemons, locations = client.list_daemons(), client.list_code_locations()
    if as_json:
        print_json([{"daemons": daemons, "codeLocations": locations}])
    else:
        rows = [*map(_daemon_row, daemons), *map(_location_row, locations)]
        print_columns([tuple(map(printable, row)) for row in rows])
    if any(daemon.healthy is False for daemon in daemons) or any(map(_is_broken, locations)):
        raise typer.Exit(ExitCode.FAILED)


@instance_app.command(epilog=EXIT_CODES_HELP)
def migrate(home: Home = None) -> None:
    """Bring what the instance stores to the schema of this version.

    Stop every process of runwire that uses it first, and make a copy. Nothing happens to what has the schema
    already; what was cut short goes on when it is done again.
    """
    from runwire.cli import migrating  # noqa: PLC0415 -- other commands start faster without

    if home is None:
        raise InputInvalidError("name the instance's home: --home or RUNWIRE_HOME", ["home"])
    migrating.migrate(home.expanduser())


@instance_app.command(epilog=EXIT_CODES_HELP)
def reindex(home: Home = None) -> None:
    """Make the asset index anew from the instance-wide log.

    Harmless when nothing is wrong, and while the instance is in use: what is stored meanwhile waits.
    """
    from runwire.instance import Instance  # noqa: PLC0415 -- other commands start faster without

    if home is None:
        raise InputInvalidError("name the instance's home: --home or RUNWIRE_HOME", ["home"])
    with Instance.from_home(home.expanduser()) as instance:
        index = instance.storage.event_log_storage.asset_index
        index.reindex()
        typer.echo(f"assets in the index: {index.get_assets_count()}")


def _rows(health: Mapping[str, Any]) -> list[tuple[str, str]]:
    instance = health["instance"]
    rows = [
        ("instance", instance["name"]),
        ("version", instance["version"]),
        ("run coordinator", _component(instance["runCoordinator"])),
        ("run launcher", _component(instance["runLauncher"])),
    ]
    for storage in instance["storages"]:
        found, head = storage["schemaRevision"], storage["headRevision"]
        told = _component(storage["component"])
        if found is not None:
            told += f", revision {found}, newest {head}"
        rows.append((f"storage of {storage['kind'].lower().replace('_', ' ')}", told))
    rows += [(f"location {place['name']}", _location(place)) for place in health["codeLocations"]]
    return rows


def _component(component: Mapping[str, Any]) -> str:
    return f"{component['module']}.{component['className']}"


def _location(location: Mapping[str, Any]) -> str:
    error = location["loadError"]
    return str(location["status"]) if error is None else f"{location['status']}: {error['message']}"


def _daemon_row(daemon: DaemonStatus) -> tuple[str, str, str]:
    beat, told = daemon.last_heartbeat, []
    if not daemon.required:
        told.append("not required")
    if beat is not None:
        told.append(f"last heartbeat {local_time(beat.timestamp)} on {beat.hostname}")
    if daemon.standbys:
        told.append(f"{len(daemon.standbys)} standing by")
    if beat is not None and beat.errors:
        told.append(f"latest error: {_first_line(beat.errors[0].message)}")
    return f"daemon {daemon.daemon_type}", daemon.state, ", ".join(told)


def _location_row(location: CodeLocation) -> tuple[str, str, str]:
    error = location.load_error
    told = "" if error is None else _first_line(error.message)
    return f"location {location.name}", location.status.value, told


def _is_broken(location: CodeLocation) -> bool:
    return location.status in {CodeLocationStatus.FAILED, CodeLocationStatus.UNREACHABLE}


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
