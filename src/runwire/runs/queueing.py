"""The rules of the run queue: who goes first, and which limits a run falls under. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import NamedTuple

from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.runs.tags import PRIORITY_TAG

MAX_PRIORITY = 10**9
"""A priority beyond it, in either direction, counts as this."""


class LimitKind(Enum):
    """What a limit counts."""

    INSTANCE = "INSTANCE"
    """All runs in progress."""
    KEY = "KEY"
    """Those that have a tag of a key, whatever its value."""
    VALUE = "VALUE"
    """Those that have a tag of a key and a value."""
    EACH_VALUE = "EACH_VALUE"
    """As VALUE, for each value of the key by itself."""


class Limit(NamedTuple):
    """A limit on the runs in progress; of a limit for each value of a key, that of one value.

    Attributes:
        kind: what it counts.
        max: how many it lets be in progress.
        key: the key of the tag; None for INSTANCE.
        value: the value of the tag; None where every value counts.
    """

    kind: LimitKind
    max: int
    key: str | None = None
    value: str | None = None

    def describe(self) -> str:
        """It in words, for messages."""
        if self.key is None:
            return f"the limit of {self.max} runs in progress"
        tag = self.key if self.value is None else f"{self.key}={self.value}"
        return f"the limit of {self.max} runs in progress with tag {tag}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TagLimit:
    """A limit as it is configured.

    Attributes:
        key: the key of the tag.
        max: how many runs with it may be in progress.
        value: only with this value; None for any.
        is_per_value: whether each value has its own `max`; `value` is None then.
    """

    key: str
    max: int
    value: str | None = None
    is_per_value: bool = False


@dataclass(frozen=True, kw_only=True)
class QueueSettings:
    """How runs are taken from the queue.

    Attributes:
        max_concurrent_runs: how many runs may be in progress; None for any number, 0 while the queue is paused.
        tag_limits: how many runs with some tag may be.
        dequeue_interval_seconds: how long the queue may take to notice something, at most.
        dequeue_num_workers: how many runs are being launched at once, at most.
        max_user_code_failure_retries: how often a run is put back because its code location did not answer.
        user_code_failure_retry_delay: for how many seconds nothing is asked of that code location then.
        priority_ageing_seconds: after how long in the queue a run counts as one priority higher; None for never.
    """

    max_concurrent_runs: int | None = 10
    tag_limits: tuple[TagLimit, ...] = ()
    dequeue_interval_seconds: float = 5.0
    dequeue_num_workers: int = 4
    max_user_code_failure_retries: int = 3
    user_code_failure_retry_delay: float = 10.0
    priority_ageing_seconds: float | None = None

    @property
    def is_paused(self) -> bool:
        """Whether nothing is taken from the queue."""
        return self.max_concurrent_runs == 0

    @cached_property
    def instance_limit(self) -> Limit | None:
        """The limit on all runs; None when there is none."""
        if self.max_concurrent_runs is None:
            return None
        return Limit(LimitKind.INSTANCE, self.max_concurrent_runs)

    def limits_of(self, tags: Mapping[str, str]) -> tuple[Limit, ...]:
        """The limits that a run with these tags falls under, that of the instance first."""
        return (*self._instance_limits, *self.tag_limits_of(tags))

    def tag_limits_of(self, tags: Mapping[str, str]) -> tuple[Limit, ...]:
        """The limits that a run falls under by its tags."""
        return tuple(self._tag_limits_of(tags)) if self.tag_limits else ()

    def order_of(self, record: RunRecord) -> tuple[float, float, int]:
        """What runs in the queue are sorted by: who goes first has the smallest."""
        enqueued_at = record.created_at if record.enqueued_at is None else record.enqueued_at
        first: float = -priority_of(record.run.tags)
        if self.priority_ageing_seconds is not None:
            # All grow older at once, so that the order of two runs never changes.
            first = enqueued_at + self.priority_ageing_seconds * first
        return first, enqueued_at, record.storage_id

    @cached_property
    def _instance_limits(self) -> tuple[Limit, ...]:
        return () if self.instance_limit is None else (self.instance_limit,)

    def _tag_limits_of(self, tags: Mapping[str, str]) -> Iterator[Limit]:
        for limit in self.tag_limits:
            value = tags.get(limit.key)
            if value is None:
                continue
            if limit.is_per_value:
                yield Limit(LimitKind.EACH_VALUE, limit.max, limit.key, value)
            elif limit.value is None:
                yield Limit(LimitKind.KEY, limit.max, limit.key)
            elif limit.value == value:
                yield Limit(LimitKind.VALUE, limit.max, limit.key, value)


def priority_of(tags: Mapping[str, str]) -> int:
    """The priority that a run's tags ask for; higher goes first. 0 without a tag, or with one that is no integer."""
    written = tags.get(PRIORITY_TAG)
    if written is None or len(written) > 40:
        return 0
    try:
        priority = int(written)
    except ValueError:
        return 0
    return max(-MAX_PRIORITY, min(MAX_PRIORITY, priority))


def came_from_queue(record: RunRecord) -> bool:
    """Whether a run waits, since it was in the queue, for a worker to begin it."""
    return (
        record.status is RunStatus.STARTING
        and record.enqueued_at is not None
        and record.resume_attempts == 0
    )
