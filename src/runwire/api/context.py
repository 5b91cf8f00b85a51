"""What the resolvers of one operation share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

import strawberry

from runwire.api.access import Principal
from runwire.feed import DaemonFeed, InstanceFeed, RunFeed
from runwire.instance import Instance
from runwire.lanes import Lanes
from runwire.storage import EventLogStorage, RunStorage
from runwire.workspace import Workspace


class Loader(Protocol):
    """Loads rows of one kind in batches and remembers them for one operation."""

    def __init__(self, context: ApiContext) -> None: ...


L = TypeVar("L", bound=Loader)


@dataclass(frozen=True, slots=True)
class Covered:
    """How far a resumable stream has come.

    Attributes:
        cursor: that of the last item that it covers; whoever goes on from it misses nothing.
        position: that item's, which grows along the stream.
        caught_up: whether it reaches the head, so that what follows is live.
    """

    cursor: str
    position: int
    caught_up: bool


class OperationContext:
    """What the server and a resumable stream tell each other.

    Attributes:
        resume_after: the cursor to start from, whatever the operation says; None for what it says.
        covered: how far the stream has come with the message that it gave last; None where it has no cursors.
    """

    resume_after: str | None = None
    covered: Covered | None = None


class ApiContext(OperationContext):
    """The instance and what an operation needs to ask it.

    The server makes one for each operation. A loader that resolvers ask for is made on first use and lives
    as long as the context, or until `renew`, so nothing that is remembered outlives an operation.
    """

    def __init__(
        self,
        instance: Instance,
        workspace: Workspace,
        lanes: Lanes,
        feed: RunFeed,
        instance_feed: InstanceFeed,
        daemon_feed: DaemonFeed,
        viewer: Principal,
    ) -> None:
        self.instance = instance
        self.workspace = workspace
        self.lanes = lanes
        self.feed = feed
        self.instance_feed = instance_feed
        self.daemon_feed = daemon_feed
        self.viewer = viewer
        self._loaders: dict[type[Any], Any] = {}

    @property
    def run_storage(self) -> RunStorage:
        """Keeps the runs."""
        return self.instance.storage.run_storage

    @property
    def event_log_storage(self) -> EventLogStorage:
        """Keeps the event logs."""
        return self.instance.storage.event_log_storage

    def loader(self, kind: type[L]) -> L:
        """The loader of a kind."""
        found: L | None = self._loaders.get(kind)
        if found is None:
            found = self._loaders[kind] = kind(self)
        return found

    def renew(self) -> None:
        """Forgets what was loaded: before a mutation, and between two batches of a stream."""
        self._loaders.clear()


ApiInfo: TypeAlias = strawberry.Info[ApiContext, None]
