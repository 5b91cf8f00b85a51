"""The workspace of code servers: those that are processes of ours, and those that others run."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from runwire.errors import CodeLocationNotFoundError, InputInvalidError
from runwire.locations.code_location import ServedCodeLocation
from runwire.locations.local_location import LocalCodeLocation
from runwire.locations.remote_location import RemoteCodeLocation
from runwire.locations.target import CodeServerTarget, LocationTarget
from runwire.locations.timeouts import LocationTimeouts
from runwire.workspace import CodeLocation, CodeLocationState, Workspace

__all__ = ["CodeServerTarget", "LocalWorkspace", "LocationTarget", "LocationTimeouts"]

logger = logging.getLogger(__name__)


class LocalWorkspace(Workspace):
    """Starts one code server a target, all at once, and ends them with `dispose` or as a context manager.

    This process never imports user code. A target that cannot be loaded is a location with an error.

    Args:
        targets: what to serve, and code servers of others to call.
        timeouts: how long to wait for code servers.
        preload: modules that run workers will need, such as those of the instance's components.

    Raises:
        InputInvalidError: two targets have one name; nothing was started.
    """

    def __init__(
        self,
        targets: Sequence[LocationTarget | CodeServerTarget],
        timeouts: LocationTimeouts | None = None,
        *,
        preload: Sequence[str] = (),
    ) -> None:
        _check_names(targets)
        self._timeouts = timeouts or LocationTimeouts()
        self._preload = preload
        self._watching = threading.Lock()
        self._callbacks: list[Callable[[CodeLocationState], None]] = []
        self._locations = {
            target.name: self._open(target)
            for target in sorted(targets, key=lambda target: target.name)
        }

    def get_location(self, name: str) -> CodeLocation:
        location = self._locations.get(name)
        if location is None:
            raise CodeLocationNotFoundError(name, self._locations)
        return location

    def list_locations(self) -> list[CodeLocation]:
        return list(self._locations.values())

    def list_local_locations(self) -> list[LocalCodeLocation]:
        """Those whose code servers are processes of ours, by name."""
        return [
            location
            for location in self._locations.values()
            if isinstance(location, LocalCodeLocation)
        ]

    def wait_until_loaded(self, timeout_seconds: float | None = None) -> bool:
        """Waits until no location is LOADING; returns whether that is so. It need not be LOADED then."""
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        return all(
            location.wait_until_settled(
                None if deadline is None else max(0.0, deadline - time.monotonic())
            )
            for location in self._locations.values()
        )

    def watch(self, callback: Callable[[CodeLocationState], None]) -> None:
        with self._watching:
            self._callbacks.append(callback)

    def end_watch(self, callback: Callable[[CodeLocationState], None]) -> None:
        with self._watching:
            self._callbacks = [known for known in self._callbacks if known != callback]

    def dispose(self) -> None:
        for location in self._locations.values():
            location.end_soon()
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

    def _open(self, target: LocationTarget | CodeServerTarget) -> ServedCodeLocation:
        if isinstance(target, CodeServerTarget):
            return RemoteCodeLocation(target, self._timeouts, self._tell)
        return LocalCodeLocation(target, self._timeouts, self._tell, self._preload)

    def _tell(self, state: CodeLocationState) -> None:
        with self._watching:
            callbacks = tuple(self._callbacks)
        for callback in callbacks:
            try:
                callback(state)
            except Exception:
                logger.exception("a watcher of code locations failed on %s", state.name)


def _check_names(targets: Sequence[LocationTarget | CodeServerTarget]) -> None:
    names: set[str] = set()
    for index, target in enumerate(targets):
        if target.name in names:
            raise InputInvalidError(
                f"two code locations are named {target.name!r}; give one of them another name",
                ["targets", str(index), "name"],
            )
        names.add(target.name)
