"""The run coordinator with a queue: runs wait until a daemon launches them, within limits."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from runwire.config import (
    ComponentConfig,
    ConfigurableClassData,
    PositiveSeconds,
    Seconds,
    Section,
    WholeNumber,
)
from runwire.coordinator import RunCoordinator, SubmitRunContext
from runwire.runs.queueing import QueueSettings, TagLimit
from runwire.runs.run import RunRecord

UNLIMITED = -1

MAX_WORKERS = 100
"""How many runs may be launched at once at most: each takes a thread."""


class EachValue(BaseModel):
    """Whether a limit holds for each value of its tag by itself."""

    model_config = ConfigDict(extra="forbid")

    applyLimitPerUniqueValue: bool  # noqa: N815 - as users know it
    """Whether each value has a limit of its own."""


class TagConcurrencyLimit(BaseModel):
    """How many runs with a tag may be in progress at once."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=1)
    """The key of the tag."""
    value: str | EachValue | None = None
    """The value of the tag. Without one, all runs with the key count together."""
    limit: WholeNumber = Field(ge=0)
    """How many runs may be in progress."""

    def to_limit(self) -> TagLimit:
        """It as the queue takes it."""
        if isinstance(self.value, EachValue):
            per_value = self.value.applyLimitPerUniqueValue
            return TagLimit(key=self.key, max=self.limit, is_per_value=per_value)
        return TagLimit(key=self.key, max=self.limit, value=self.value)


def _each_once(limits: list[TagConcurrencyLimit]) -> list[TagConcurrencyLimit]:
    seen: set[tuple[str, str | None, bool]] = set()
    for limit in (each.to_limit() for each in limits):
        what = limit.key, limit.value, limit.is_per_value
        if what in seen:
            tag = limit.key if limit.value is None else f"{limit.key}={limit.value}"
            raise ValueError(f"there are two limits of one kind for tag {tag!r}; leave one out")
        seen.add(what)
    return limits


class QueuedRunCoordinatorConfig(ComponentConfig):
    """Config of QueuedRunCoordinator."""

    max_concurrent_runs: WholeNumber = Field(default=10, ge=UNLIMITED)
    """How many runs may be in progress at once: -1 for any number, 0 to pause the queue."""
    tag_concurrency_limits: Section[
        Annotated[list[TagConcurrencyLimit], AfterValidator(_each_once)]
    ] = Field(default_factory=list)
    """How many runs with some tag may be in progress at once."""
    dequeue_interval_seconds: PositiveSeconds = 5.0
    """How long the queue may take to notice that it can go on, at most. It looks far more often while runs wait."""
    dequeue_num_workers: WholeNumber = Field(default=4, ge=1, le=MAX_WORKERS)
    """How many runs are being launched at once, at most."""
    max_user_code_failure_retries: WholeNumber = Field(default=3, ge=0, le=100)
    """How often a run is put back into the queue because its code location did not answer when it was launched."""
    user_code_failure_retry_delay: Seconds = 10.0
    """For how many seconds nothing of a code location that did not answer is launched, unless it is loaded anew."""
    priority_ageing_seconds: PositiveSeconds | None = None
    """After how many seconds in the queue a run counts as one priority higher; when left out, never."""


class QueuedRunCoordinator(RunCoordinator):
    """Puts each run into the queue, from which the daemon QUEUE launches it.

    Args:
        settings: the limits.
    """

    def __init__(self, settings: QueueSettings | None = None) -> None:
        self._settings = settings or QueueSettings()

    @classmethod
    def config_type(cls) -> type[QueuedRunCoordinatorConfig]:
        return QueuedRunCoordinatorConfig

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        config: QueuedRunCoordinatorConfig = config_value
        wanted = config.max_concurrent_runs
        return cls(
            QueueSettings(
                max_concurrent_runs=None if wanted == UNLIMITED else wanted,
                tag_limits=tuple(each.to_limit() for each in config.tag_concurrency_limits),
                dequeue_interval_seconds=config.dequeue_interval_seconds,
                dequeue_num_workers=config.dequeue_num_workers,
                max_user_code_failure_retries=config.max_user_code_failure_retries,
                user_code_failure_retry_delay=config.user_code_failure_retry_delay,
                priority_ageing_seconds=config.priority_ageing_seconds,
            )
        )

    @property
    def queue(self) -> QueueSettings:
        return self._settings

    def submit_run(self, context: SubmitRunContext) -> RunRecord:
        return context.enqueue()
