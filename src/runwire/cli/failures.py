"""What goes wrong as the command line tells it: words on stderr and an exit code, never a traceback."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import typer
from typer.core import TyperGroup

from runwire.cli.printable import printable
from runwire.client import (
    NotAuthorizedError,
    RequestFailedError,
    RequestRefusedError,
    ServerUnreachableError,
)
from runwire.errors import (
    ForbiddenError,
    InvalidError,
    NotFoundError,
    RunwireError,
    UnavailableError,
)


class ExitCode(IntEnum):
    """The exit codes. Those from 64 on are the ones of sysexits.h."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    CANCELED = 3
    UNAVAILABLE = 69
    NOT_ALLOWED = 77
    INTERRUPTED = 130


EXIT_CODES_HELP = (
    "Exit codes: 0 done, or the run ended in SUCCESS; 1 failed, or the run ended in FAILURE; 2 bad input;"
    " 3 the run was CANCELED; 69 the server, a code location or an address is not available; 77 not allowed;"
    " 130 interrupted."
)

_REFUSALS = {
    "RunStateConflict": ExitCode.FAILED,
    "BackfillStateConflict": ExitCode.FAILED,
    "LaunchFailed": ExitCode.FAILED,
    "PartitionConfigFailed": ExitCode.FAILED,
    "TerminateFailed": ExitCode.FAILED,
    "CodeLocationUnavailable": ExitCode.UNAVAILABLE,
    "Forbidden": ExitCode.NOT_ALLOWED,
}
"""The exit codes of refusals by their GraphQL type; the others say that the input is bad."""

_FAULTS = {
    "INTERNAL": ExitCode.FAILED,
    "TIMEOUT": ExitCode.FAILED,
    "UNAVAILABLE": ExitCode.UNAVAILABLE,
}
"""The exit codes of GraphQL errors by their code; the others say that an argument is bad."""


def exit_code(error: RunwireError) -> ExitCode:
    """The exit code of an error."""
    match error:
        case RequestRefusedError():
            return _REFUSALS.get(error.type_name, ExitCode.BAD_INPUT)
        case RequestFailedError():
            return _FAULTS.get(error.code or "INTERNAL", ExitCode.BAD_INPUT)
        case ServerUnreachableError() | UnavailableError():
            return ExitCode.UNAVAILABLE
        case NotAuthorizedError() | ForbiddenError():
            return ExitCode.NOT_ALLOWED
        case InvalidError() | NotFoundError():
            return ExitCode.BAD_INPUT
        case _:
            return ExitCode.FAILED


def describe(error: RunwireError) -> str:
    """An error in words, with what to do about it."""
    text = str(error)
    match error:
        case ServerUnreachableError():
            text += "; start one with `runwire dev`, or name another with --url"
        case NotAuthorizedError():
            text += "; give its token with --token or RUNWIRE_TOKEN"
        case RequestRefusedError(type_name="RunConfigInvalid"):
            text = _with_problems(error)
        case RequestRefusedError(type_name="JobAmbiguous"):
            text += " (--repository, --location)"
        case _:
            pass
    return printable(text)


def _with_problems(error: RequestRefusedError) -> str:
    lines = [error.message.partition("\n")[0]]
    for problem in error.details.get("errors", ()):
        path = ".".join(problem["path"]) or "(top level)"
        lines.append(f"  {path}: {problem['message']}")
    return "\n".join(lines)


class Commands(TyperGroup):
    """The root of all commands, where errors that are expected end."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except RunwireError as error:
            typer.echo(f"error: {describe(error)}", err=True)
            raise typer.Exit(exit_code(error)) from None
