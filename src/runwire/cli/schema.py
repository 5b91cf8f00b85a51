"""``runwire schema …``: the published schema, from the code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runwire.cli.failures import ExitCode
from runwire.errors import InputInvalidError

DEFAULT_FILE = Path("schema/schema.graphql")

schema_app = typer.Typer(help="The published GraphQL schema.", no_args_is_help=True)


@schema_app.command()
def export(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write it to this file.", show_default=False),
    ] = None,
) -> None:
    """Print the schema, or write it to a file."""
    text = _exported()
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputInvalidError(
            f"{output} cannot be written: {error.strerror}", ["output"]
        ) from None


@schema_app.command()
def check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", readable=False, help="The file to check.")
    ] = DEFAULT_FILE,
) -> None:
    """Check that a file is the schema that the code exports, and that the documents fit it.

    Prints what differs and what is wrong in graphql/; exits with 1 if anything is.
    """
    # The API is what takes long to import; no other command needs it.
    from runwire.cli.schema_check import document_faults, schema_diff  # noqa: PLC0415

    try:
        published = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputInvalidError(f"{file} cannot be read: {problem}", ["file"]) from None
    exported = _exported()
    complaints = [*schema_diff(str(file), published, exported), *document_faults(exported)]
    for line in complaints:
        typer.echo(line)
    if complaints:
        typer.echo(
            "error: the schema has changed; write it with `runwire schema export --output"
            f" {file}`, and mend the documents",
            err=True,
        )
        raise typer.Exit(ExitCode.FAILED)


def _exported() -> str:
    from runwire.api.schema import print_schema  # noqa: PLC0415

    return print_schema()
