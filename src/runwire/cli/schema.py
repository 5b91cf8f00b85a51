"""``runwire schema …``: the published schemas, from the code, and what was released of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from runwire import __version__
from runwire.cli.failures import ExitCode
from runwire.errors import InputInvalidError

FOLDER = Path("schema")
SCHEMA_FILE = "schema.graphql"

schema_app = typer.Typer(help="The published schemas.", no_args_is_help=True)


@schema_app.command()
def export(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write the GraphQL schema to this file; or, to this folder, the JSON Schemas of runwire.yaml,"
            " of workspace.yaml and of what webhooks get as well.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Print the GraphQL schema, or write what is published."""
    if output is None:
        typer.echo(_graphql(), nl=False)
    elif output.is_dir():
        _write(output, _published())
    else:
        _write(output.parent, {output.name: _graphql()})


@schema_app.command()
def check(
    place: Annotated[
        Path,
        typer.Argument(
            metavar="PLACE",
            readable=False,
            help="The folder to check, or the GraphQL schema alone.",
        ),
    ] = FOLDER,
    changelog: Annotated[
        Path,
        typer.Option(
            metavar="FILE", readable=False, help="Where what breaks the last release must be named."
        ),
    ] = Path("CHANGELOG.md"),
) -> None:
    """Check that a folder has what the code exports, that the documents fit, and that no release is broken.

    Prints what differs, and what is wrong; exits with 1 if anything is.
    """
    # The API is what takes long to import; no other command needs it.
    from runwire.cli.schema_check import (  # noqa: PLC0415
        broken_promises,
        document_faults,
        last_release,
        schema_diff,
    )

    graphql = _graphql()
    expected = {place / name: text for name, text in _published().items()}
    if not place.is_dir():
        expected = {place: graphql}
    complaints = [
        line
        for file, text in expected.items()
        for line in schema_diff(str(file), _read(file), text)
    ]
    complaints += document_faults(graphql)
    if place.is_dir() and last_release(place) is not None:
        complaints += broken_promises(place, graphql, _read(changelog))
    for line in complaints:
        typer.echo(line)
    if complaints:
        typer.echo(
            "error: the schema has changed; write it with `runwire schema export --output"
            f" {place}`, and mend the documents",
            err=True,
        )
        raise typer.Exit(ExitCode.FAILED)


@schema_app.command()
def release(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder of the schemas.")
    ] = FOLDER,
) -> None:
    """Keep the schema and the documents as those of this version, so that `check` refuses what breaks them."""
    from runwire.cli.schema_check import release_files  # noqa: PLC0415

    files = release_files(__version__, _graphql())
    snapshot = folder / "released" / f"{__version__}.graphql"
    if snapshot.exists():
        raise InputInvalidError(
            f"{snapshot} is there; a released version stays as it is, so raise the version",
            ["folder"],
        )
    _write(folder, files)
    typer.echo(f"{__version__}: the schema and {len(files) - 1} documents")


@schema_app.command()
def documents() -> None:
    """Print the ids by which documents are sent as `documentId`, each with the document's name."""
    from runwire.server.trusted import document_id, packaged_documents  # noqa: PLC0415

    for name, text in packaged_documents().items():
        typer.echo(f"{document_id(text)} {name}")


def _graphql() -> str:
    from runwire.api.schema import print_schema  # noqa: PLC0415

    return print_schema()


def _published() -> dict[str, str]:
    """What is published: texts by the names of their files."""
    from runwire.cli.config_schemas import config_schemas  # noqa: PLC0415
    from runwire.webhooks.event import json_schema  # noqa: PLC0415

    return {SCHEMA_FILE: _graphql(), **config_schemas(), "webhook-event.schema.json": json_schema()}


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputInvalidError(f"{file} cannot be read: {problem}", ["file"]) from None


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        file = folder / name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputInvalidError(
                f"{file} cannot be written: {error.strerror}", ["output"]
            ) from None
