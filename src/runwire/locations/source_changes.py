"""Reloading code locations when the files that they were loaded from change."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self, TypeAlias

import runwire
from runwire import clock
from runwire.error_info import ErrorInfo

LOOK_SECONDS = 1.0
QUIET_SECONDS = 0.3
"""How long files must stay as they are before they are loaded: an editor may be at it still."""

_OURS = os.path.join(os.path.dirname(runwire.__file__), "")  # noqa: PTH118, PTH120 - a text

_PLACE = re.compile(r'File "(/[^"]+)", line|^(/[^\n]+?):\d+: ')
"""A file as a traceback names it, or as the message of a load error begins."""

Signature: TypeAlias = tuple[int, int] | None
"""The time of the last change in nanoseconds, and the size; None when there is no file."""


@dataclass(frozen=True, slots=True)
class Look:
    """How files were at a time, in epoch seconds."""

    at: float
    files: Mapping[str, Signature]


class Reloadable(Protocol):
    """A code location of ours."""

    @property
    def source_files(self) -> frozenset[str]:
        """The files that it was loaded from."""

    def reload(self) -> None:
        """Loads it anew."""


class SourceChanges:
    """Looks at the files of each location once a second, in a thread for each, until it is stopped.

    Works as a context manager.
    """

    def __init__(self, locations: Iterable[Reloadable]) -> None:
        self._locations = tuple(locations)
        self._ending = threading.Event()

    def start(self) -> None:
        """Begins to look; what changes from now on has changed. To be called once."""
        for location in self._locations:
            threading.Thread(
                target=self._follow,
                args=(location, look_at(location.source_files)),
                name="runwire-source-changes",
                daemon=True,
            ).start()

    def stop(self) -> None:
        """Ends it. A reload that has begun goes on. Harmless when called twice."""
        self._ending.set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _follow(self, location: Reloadable, seen: Look) -> None:
        while not self._ending.wait(LOOK_SECONDS):
            seen = self._look(location, seen)

    def _look(self, location: Reloadable, seen: Look) -> Look:
        """Reloads the location if its files are not as seen; returns how they were before that.

        So what changes while it is being reloaded is a change still.
        """
        now = look_at(location.source_files)
        if not changed_files(seen, now):
            return now
        while not self._ending.wait(QUIET_SECONDS):
            before, now = now, look_at(location.source_files)
            if before.files == now.files:
                break
        if not self._ending.is_set():
            location.reload()
        return now


def files_named_in(error: ErrorInfo) -> set[str]:
    """The files where an error arose, and all on the way there but our own."""
    texts = [text for part in (error, *error.causes) for text in (part.message, *part.stack)]
    found = {path for text in texts for pair in _PLACE.findall(text) for path in pair if path}
    return {path for path in found if not path.startswith(_OURS)}


def look_at(files: Iterable[str]) -> Look:
    """How files are now."""
    return Look(clock.timestamp(), {file: _signature(file) for file in files})


def changed_files(before: Look, now: Look) -> list[str]:
    """The files that have changed between two looks. One that is new to the second has if it is younger."""
    return sorted(file for file in now.files if _is_changed(file, before, now))


def _is_changed(file: str, before: Look, now: Look) -> bool:
    signature = now.files[file]
    if file in before.files:
        return signature != before.files[file]
    return signature is not None and signature[0] > before.at * 1e9


def _signature(file: str) -> Signature:
    try:
        status = os.stat(file)  # noqa: PTH116 - of texts, a few hundred times a second
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
