"""The workspace whose code servers are processes on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from runwire.errors import CodeLocationNotFoundError, InputInvalidError
from runwire.locations.code_location import LocalCodeLocation
from runwire.locations.target import LocationTarget
from runwire.locations.timeouts import LocationTimeouts
from runwire.workspace import CodeLocation, Workspace

__all__ = ["LocalWorkspace", "LocationTarget", "LocationTimeouts"]


class LocalWorkspace(Workspace):
    """Starts one code server a target, all at once, and ends them with `dispose` or as a context manager.

    This process never imports user code. A target that cannot be loaded is a location with an error.

    Raises:
        InputInvalidError: two targets have one name; nothing was started.
    """

    def __init__(
        self,
        targets: Sequence[LocationTarget],
        timeouts: LocationTimeouts | None = None,
    ) -> None:
        _check_names(targets)
        self._locations = {
            target.name: LocalCodeLocation(target, timeouts or LocationTimeouts())
            for target in sorted(targets, key=lambda target: target.name)
        }

    def get_location(self, name: str) -> CodeLocation:
        location = self._locations.get(name)
        if location is None:
            raise CodeLocationNotFoundError(name, self._locations)
        return location

    def list_locations(self) -> list[CodeLocation]:
        return list(self._locations.values())

    def wait_until_loaded(self, timeout_seconds: float | None = None) -> bool:
        """Waits until no location is LOADING; returns whether that is so. It need not be LOADED then."""
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        return all(
            location.wait_until_loaded(
                None if deadline is None else max(0.0, deadline - time.monotonic())
            )
            for location in self._locations.values()
        )

    def dispose(self) -> None:
        for location in self._locations.values():
            location.ask_to_end()
        for location in self._locations.values():
            location.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.dispose()


def _check_names(targets: Sequence[LocationTarget]) -> None:
    names: set[str] = set()
    for index, target in enumerate(targets):
        if target.name in names:
            raise InputInvalidError(
                f"two code locations are named {target.name!r}; give one of them another name",
                ["targets", str(index), "name"],
            )
        names.add(target.name)
