"""Telling what becomes of code locations, on the terminal of whoever serves them."""

from __future__ import annotations

import threading
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self

import typer

import runwire
from runwire.cli.printable import printable
from runwire.workspace import CodeLocationState, CodeLocationStatus, Workspace

_PACKAGE = Path(runwire.__file__).parent


class LocationNews:
    """Prints each code location once it is loaded or has failed, and again when that changes.

    A context manager: it prints from its beginning to its end, in a thread.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._news: SimpleQueue[CodeLocationState | None] = SimpleQueue()
        self._shown: dict[str, CodeLocationState] = {}
        self._thread = threading.Thread(target=self._print, name="runwire-news", daemon=True)

    def __enter__(self) -> Self:
        self._workspace.watch(self._news.put)
        for location in self._workspace.list_locations():
            self._news.put(location.state)
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._workspace.end_watch(self._news.put)
        self._news.put(None)
        self._thread.join(1.0)

    def _print(self) -> None:
        while (state := self._news.get()) is not None:
            if self._is_news(state):
                self._shown[state.name] = state
                typer.echo("\n".join(location_lines(state)))

    def _is_news(self, state: CodeLocationState) -> bool:
        shown = self._shown.get(state.name)
        if state.status is CodeLocationStatus.LOADING or state == shown:
            return False
        return shown is None or state.updated_at >= shown.updated_at


def location_lines(state: CodeLocationState) -> list[str]:
    """A code location as lines: its jobs, or why it did not load."""
    line = f"location  {state.name}: {state.status.value}"
    if state.status is CodeLocationStatus.LOADED:
        jobs = [job.name for repository in state.repositories for job in repository.jobs]
        return [printable(f"{line}, jobs: {', '.join(jobs) or 'none'}")]
    if state.load_error is None:
        return [line]
    error = state.load_error
    stack = [text for part in (error, *error.causes) for text in part.stack if not _is_inside(text)]
    return [
        printable(f"{line}: {error.message}"),
        *(f"    {printable(text)}" for part in stack for text in part.splitlines()),
    ]


def _is_inside(frame: str) -> bool:
    """Whether a frame is in the machinery that loads definitions, not in what a user wrote."""
    return f'File "{_PACKAGE}' in frame or 'File "<frozen importlib' in frame
