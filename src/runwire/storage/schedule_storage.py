"""The contract of the storage of schedules, sensors and their ticks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from runwire.errors import TickNotFoundError, TickSourceNotFoundError
from runwire.ticks.source import (
    TickSourceOrigin,
    TickSourceState,
    TickSourceStatus,
    TickSourceType,
)
from runwire.ticks.tick import Tick, TickPlace, TickStatus

MAX_TICK_KEY = 512
"""The most characters that the key of a tick has, in the form in which it is stored."""


@dataclass(frozen=True, slots=True)
class TicksPage:
    """Some ticks, newest first, and whether older ones follow that match."""

    ticks: list[Tick]
    has_more: bool


@dataclass(frozen=True, slots=True)
class CursorMove:
    """Where the cursor of a tick's source goes.

    Attributes:
        cursor: the new cursor.
        version: the `cursor_version` that was read before the evaluation.
        at: when that is, in epoch seconds.
    """

    cursor: str | None
    version: int
    at: float


class ScheduleStorage(ABC):
    """Keeps what schedules and sensors must remember, and their ticks.

    A tick belongs to a schedule or sensor that was added; `source_id` names it
    (`runwire.ticks.TickSourceOrigin.source_id`). What a method wrote is seen by all others, in all processes, when
    it returns; all but `create_tick` have synced it to disk by then. A method that raises has changed nothing,
    where it does not say otherwise. All methods are thread-safe, and readers never write.

    Nothing rests on a lease: of any number of daemons that work on the same schedule or sensor at once, one makes
    each tick (`create_tick`), one moves its cursor, and one writes what came of it (`update_tick`).

    Every method raises StorageUnavailableError when the storage cannot be read or written.
    """

    # ------------------------------------------------------------ schedules and sensors

    @abstractmethod
    def add_tick_source(
        self,
        origin: TickSourceOrigin,
        status: TickSourceStatus,
        *,
        at: float,
        by_default: bool = False,
    ) -> tuple[TickSourceState, bool]:
        """Adds a schedule or sensor, unless it is there; then nothing changes.

        Args:
            origin: where it is defined.
            status: its status.
            at: when that is, in epoch seconds; a running one runs since then.
            by_default: whether the default status of its definition wants it so.

        Returns:
            What is kept about it, and whether this call added it.
        """

    @abstractmethod
    def find_tick_source(self, source_id: str) -> TickSourceState | None:
        """What is kept about a schedule or sensor; None when it was not added."""

    def get_tick_source(self, source_id: str) -> TickSourceState:
        """What is kept about a schedule or sensor.

        Raises:
            TickSourceNotFoundError: it was not added.
        """
        state = self.find_tick_source(source_id)
        if state is None:
            raise TickSourceNotFoundError(source_id)
        return state

    @abstractmethod
    def get_tick_sources(
        self,
        *,
        source_ids: Collection[str] | None = None,
        source_type: TickSourceType | None = None,
        location_name: str | None = None,
        repository_name: str | None = None,
        status: TickSourceStatus | None = None,
    ) -> list[TickSourceState]:
        """What is kept about those that match all of it, by location, repository, name and type; all by default."""

    @abstractmethod
    def set_tick_source_status(
        self, origin: TickSourceOrigin, status: TickSourceStatus, *, at: float
    ) -> TickSourceState:
        """Starts or stops a schedule or sensor; adds it if it is not there.

        It is not `by_default` any more. One that has the status already keeps `running_since` and `updated_at`.
        The cursor stays. Once it returns STOPPED, no tick is made any more.

        Args:
            origin: where it is defined.
            status: the new status.
            at: when that is, in epoch seconds.

        Returns:
            What is kept about it now.
        """

    @abstractmethod
    def set_tick_source_cursor(
        self, source_id: str, cursor: str | None, *, at: float, version: int | None = None
    ) -> TickSourceState:
        """Sets the cursor, and raises its version, so that an evaluation that is under way cannot move it.

        Args:
            source_id: the schedule or sensor.
            cursor: the new cursor; None to begin anew.
            at: when that is, in epoch seconds.
            version: the `cursor_version` that it must have; None for any.

        Returns:
            What is kept about it now.

        Raises:
            TickSourceNotFoundError: it was not added.
            CursorConflictError: the cursor has another version.
        """

    @abstractmethod
    def delete_tick_source(self, source_id: str) -> None:
        """Deletes a schedule or sensor with its cursor and all its ticks.

        Most ticks go first, in batches: when this is cut short, some are gone, and it can be done again.

        Raises:
            TickSourceNotFoundError: it was not added.
        """

    # ------------------------------------------------------------ ticks

    @abstractmethod
    def create_tick(
        self, source_id: str, key: str, *, due_at: float, started_at: float
    ) -> tuple[Tick, bool]:
        """Makes a tick in STARTED, unless the source has one with the key. Moves `last_due_at` forward.

        Of any number of callers with the same key, one makes the tick. It need not be synced: a tick that a power
        cut took was not evaluated to any effect.

        Args:
            source_id: the schedule or sensor.
            key: tells the tick from others of its source, as by the instant that is due, or the tick before it;
                at most `MAX_TICK_KEY` characters.
            due_at: when a schedule was due; for a sensor, when the evaluation begins.
            started_at: when the evaluation begins.

        Returns:
            The tick, and whether this call made it; the tick that has the key, as it is, and False otherwise.

        Raises:
            TickSourceNotFoundError: the schedule or sensor was not added, or is deleted.
            TickSourceStoppedError: it is stopped, and no tick has the key.
            ValueError: the key is too long.
        """

    @abstractmethod
    def update_tick(self, tick: Tick, *, move: CursorMove | None = None) -> Tick:
        """Writes what became of a tick and moves the cursor of its source, all in one transaction.

        A compare-and-set: the stored tick must have the version of the given one, and a status that the new one
        may follow (`runwire.ticks.may_follow`). So a daemon that was paused cannot write over what another one has
        done since. `tick_id`, `source_id`, `key` and `due_at` never change.

        Args:
            tick: the tick as it was read, with what is new about it.
            move: where the cursor goes; None to leave it. It is kept on the tick too.

        Returns:
            The tick as it is stored, with a version that is larger by one.

        Raises:
            TickNotFoundError: there is no such tick.
            TickConflictError: the tick has changed since it was read, or its status is final.
            CursorConflictError: somebody has set the cursor since it was read; the tick is not written either.
            ValueError: what never changes is not as stored.
        """

    @abstractmethod
    def find_tick(self, tick_id: int) -> Tick | None:
        """The tick of an id; None when there is none."""

    def get_tick(self, tick_id: int) -> Tick:
        """The tick of an id.

        Raises:
            TickNotFoundError: there is none.
        """
        tick = self.find_tick(tick_id)
        if tick is None:
            raise TickNotFoundError(tick_id)
        return tick

    @abstractmethod
    def get_ticks(
        self,
        source_id: str,
        *,
        before: float | None = None,
        after: float | None = None,
        statuses: Collection[TickStatus] | None = None,
        beyond: TickPlace | None = None,
        limit: int,
    ) -> TicksPage:
        """Ticks of a source, the newest first: by `due_at`, then by `tick_id`, both descending.

        Empty for a source that was not added.

        Args:
            source_id: the schedule or sensor.
            before: only ticks that were due before this instant.
            after: only ticks that were due after this instant.
            statuses: only ticks in one of these; all by default.
            beyond: only ticks that follow this place in the list, as that of the last tick of the page before. It
                need not belong to a tick that still exists.
            limit: how many ticks at most.
        """

    @abstractmethod
    def get_batch_ticks(
        self,
        source_ids: Sequence[str],
        *,
        statuses: Collection[TickStatus] | None = None,
        limit: int,
    ) -> dict[str, list[Tick]]:
        """The newest ticks of each of many sources, as `get_ticks` orders them; no key for those without any."""

    @abstractmethod
    def purge_ticks(
        self,
        before: float,
        *,
        statuses: Collection[TickStatus] | None = None,
        source_id: str | None = None,
        limit: int,
    ) -> int:
        """Deletes at most `limit` ticks that were due before an instant, in one transaction.

        A key that is purged can make a tick again; `last_due_at` stays, and tells.

        Args:
            before: the instant in epoch seconds, exclusive.
            statuses: only ticks in one of these; all by default.
            source_id: only ticks of this schedule or sensor.
            limit: how many ticks at most.

        Returns:
            How many it deleted; fewer than `limit` when none is left.
        """

    # ------------------------------------------------------------ the whole

    @abstractmethod
    def wipe(self) -> None:
        """Deletes all schedules and sensors with their ticks."""

    @abstractmethod
    def dispose(self) -> None:
        """Frees files and connections. Harmless when called twice."""
