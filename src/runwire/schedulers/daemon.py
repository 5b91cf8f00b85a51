"""The scheduler whose ticks a daemon of runwire makes."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field

from runwire.config import ComponentConfig, ConfigurableClassData, WholeNumber
from runwire.scheduler import Scheduler, TickSettings


class DaemonSchedulerConfig(ComponentConfig):
    """Config of DaemonScheduler."""

    enabled: bool = True
    """Whether ticks are made; without, schedules can be started and stopped, and nothing comes of it."""
    max_catchup_ticks: WholeNumber = Field(default=1, ge=1, le=1000)
    """How many of the due times that passed while no daemon worked get a tick: the latest ones."""
    max_tick_retries: WholeNumber = Field(default=0, ge=0, le=1000)
    """How often a tick is tried again whose function raised or whose run config was refused."""


class DaemonScheduler(Scheduler):
    """Has the daemon SCHEDULER make ticks, in whichever process it works: ``runwire dev`` or ``runwire daemon``."""

    def __init__(self, ticks: TickSettings | None) -> None:
        self._ticks = ticks

    @classmethod
    def config_type(cls) -> type[DaemonSchedulerConfig]:
        return DaemonSchedulerConfig

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        config: DaemonSchedulerConfig = config_value
        if not config.enabled:
            return cls(None)
        return cls(
            TickSettings(
                max_catchup_ticks=config.max_catchup_ticks,
                max_tick_retries=config.max_tick_retries,
            )
        )

    @property
    def ticks(self) -> TickSettings | None:
        return self._ticks

    def debug_info(self) -> str:
        if self._ticks is None:
            return "No ticks are made: the config of DaemonScheduler says enabled: false."
        return (
            "The daemon SCHEDULER makes the ticks, and catches up on"
            f" {self._ticks.max_catchup_ticks} at most of those that it missed; a tick that failed is tried again"
            f" {self._ticks.max_tick_retries} times at most."
        )
