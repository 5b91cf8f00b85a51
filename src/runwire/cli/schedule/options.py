"""Arguments and options that commands about schedules have in common."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from runwire.errors import InputInvalidError

Name = Annotated[str, typer.Argument(metavar="SCHEDULE", help="The name of the schedule.")]
Repository = Annotated[
    str | None,
    typer.Option(help="Its repository, where the name alone is ambiguous.", show_default=False),
]
Location = Annotated[
    str | None,
    typer.Option(help="Its code location, where the name alone is ambiguous.", show_default=False),
]


def instant(text: str | None, option: str) -> datetime | None:
    """An instant as ISO 8601 has it, in UTC where it does not say; None for None.

    Raises:
        InputInvalidError: it is none.
    """
    if text is None:
        return None
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise InputInvalidError(
            f"{option}: {text!r} is no instant; write one like 2026-11-22T17:05:00+01:00", [option]
        ) from None
    return given if given.tzinfo is not None else given.replace(tzinfo=UTC)
