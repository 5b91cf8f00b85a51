"""Runs by the beginning of their id."""

from __future__ import annotations

from runwire.client import RunwireClient
from runwire.errors import InputInvalidError, RunNotFoundError

_SHOWN = 5


def resolve_run_id(client: RunwireClient, text: str) -> str:
    """The id of the one run whose id is, or else begins with, the text.

    Raises:
        RunNotFoundError: there is none.
        InputInvalidError: there are several.
    """
    page = client.list_runs(run_id_prefix=text, limit=_SHOWN) if text else None
    found = [] if page is None else [run.run_id for run in page.runs]
    if text in found:
        return text
    if not found:
        raise RunNotFoundError(text)
    if len(found) == 1:
        return found[0]
    if client.get_run(text) is not None:
        return text
    more = ", …" if page is not None and page.has_next_page else ""
    raise InputInvalidError(
        f"several runs begin with {text!r}: {', '.join(found)}{more}; give more of the id",
        ["run_id"],
    )
