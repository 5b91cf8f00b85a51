"""An event of a run as lines for people: time, level, step, message, and what its type adds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from runwire.cli.printable import printable
from runwire.client import ErrorInfo, RunEvent

_LEVEL_STYLES = {
    "DEBUG": "dim",
    "INFO": "",
    "WARNING": "yellow",
    "ERROR": "red",
    "CRITICAL": "bold red",
}
_INDENT = "    "


def event_lines(event: RunEvent, step_width: int) -> list[Text]:
    """The lines of an event; the column of its step has at least the width that is given."""
    style = _LEVEL_STYLES.get(event.level, "")
    head, *more = _message(event).splitlines() or [""]
    line = Text.assemble(
        (f"{event.timestamp.astimezone():%H:%M:%S.%f}"[:-3], "dim"),
        " ",
        (f"{event.level:<8}", style),
        " ",
        (f"{printable(event.step_key or '-'):<{step_width}}", "cyan" if event.step_key else "dim"),
        " ",
        (head, style),
    )
    return [line, *(Text(_INDENT + text, style) for text in [*more, *_details(event)])]


def _message(event: RunEvent) -> str:
    kind = f"{event.event_type} " if event.event_type else ""
    late = "" if event.applied else " (came too late, changed nothing)"
    return printable(f"{kind}{event.message}{late}")


def _details(event: RunEvent) -> Iterator[str]:
    if event.error is not None:
        for part in (event.error, *event.error.causes):
            yield from _error_lines(part)
    for entry in (event.data or {}).get("metadata") or ():
        head, *more = printable(f"{entry['label']}: {_value(entry['value'])}").splitlines()
        yield from (head, *(_INDENT + line for line in more))


def _error_lines(error: ErrorInfo) -> Iterator[str]:
    name = f"{error.class_name}: " if error.class_name else ""
    for text in (f"{name}{error.message}", *error.stack):
        yield from printable(text).splitlines()


def _value(value: Mapping[str, Any]) -> str:
    """A metadata value: whatever its type's field is, for types unknown here as well."""
    fields = {k: v for k, v in value.items() if k not in {"__typename", "format", "number"}}
    if len(fields) == 1:
        (only,) = fields.values()
        return only if isinstance(only, str) else json.dumps(only, ensure_ascii=False)
    return json.dumps(fields, ensure_ascii=False)
