"""The contract of a scheduler: what starts and stops schedules, and says how their ticks are made."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from runwire.config.configurable import ConfigurableClass
from runwire.storage.schedule_storage import ScheduleStorage
from runwire.ticks.source import TickSourceOrigin, TickSourceState, TickSourceStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class TickSettings:
    """How the daemon SCHEDULER makes ticks.

    Attributes:
        max_catchup_ticks: how many of the due times that passed while no daemon worked get a tick: the latest ones.
        max_tick_retries: how often a tick is tried again whose function raised or whose run config was refused.
    """

    max_catchup_ticks: int = 1
    max_tick_retries: int = 0


class Scheduler(ConfigurableClass):
    """Starts and stops schedules. Thread-safe.

    What is kept about schedules is in the storage, whichever scheduler there is: one that makes ticks in another
    system tells that system as well, and does so before the storage is told, so that what fails has changed nothing
    here.
    """

    @property
    def ticks(self) -> TickSettings | None:
        """How the daemon SCHEDULER makes ticks; None when it makes none, for something else does or nothing."""
        return None

    def start_schedule(
        self, storage: ScheduleStorage, origin: TickSourceOrigin, *, at: float
    ) -> TickSourceState:
        """Starts a schedule, which is due never before that; nothing changes when it runs already.

        Args:
            storage: keeps the schedules.
            origin: where it is defined.
            at: when that is, in epoch seconds.

        Returns:
            What is kept about it now.
        """
        return storage.set_tick_source_status(origin, TickSourceStatus.RUNNING, at=at)

    def stop_schedule(
        self, storage: ScheduleStorage, origin: TickSourceOrigin, *, at: float
    ) -> TickSourceState:
        """Stops a schedule, of which no tick is made any more; nothing changes when it is stopped already.

        Args and result as of `start_schedule`.
        """
        return storage.set_tick_source_status(origin, TickSourceStatus.STOPPED, at=at)

    @abstractmethod
    def debug_info(self) -> str:
        """What it does and how, in a sentence for people."""

    def wipe(self, storage: ScheduleStorage) -> None:
        """Deletes what is kept about all schedules and sensors, and their ticks."""
        storage.wipe()

    def dispose(self) -> None:
        """Frees what it holds. Harmless when called twice."""
