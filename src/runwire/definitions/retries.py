"""How steps that fail are tried again: what ops ask for, and what their definitions say."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from runwire.definitions.places import caller_place, refusal

MAX_DELAY_SECONDS = 30 * 24 * 3600.0
"""The longest delay: who waits longer wants a schedule."""


class Backoff(Enum):
    """How the delay grows from retry to retry: by one delay each time, or doubling."""

    LINEAR = "linear"
    EXPONENTIAL = "exponential"


class Jitter(Enum):
    """How chance spreads steps that failed together: anything up to the delay, or the delay give or take one."""

    FULL = "full"
    PLUS_MINUS = "plus_minus"


class RetryMode(Enum):
    """Whether an executor tries steps again."""

    ENABLED = "enabled"
    DISABLED = "disabled"


@dataclass(frozen=True)
class RetryPolicy:
    """When a step that failed is tried again, for ``@op(retry_policy=...)``.

    The wait before the n-th retry is `delay` seconds; with LINEAR backoff n times that; with EXPONENTIAL backoff 2ⁿ - 1
    times. FULL jitter takes a random part of it, PLUS_MINUS adds a random part of `delay` or takes it away. A step
    that waits occupies nothing: no process, no place among the steps at once, no slot of a pool.

    Attributes:
        max_retries: how often it is tried again at most.
        delay: seconds; None for none.
        backoff: how the delay grows; None for not at all.
        jitter: how it is spread; None for not at all.

    Raises:
        InvalidDefinitionError: a value does not fit, or there is a backoff or a jitter and no delay.
    """

    max_retries: int = 1
    delay: float | None = None
    backoff: Backoff | None = None
    jitter: Jitter | None = None

    def __post_init__(self) -> None:
        _check_count(self.max_retries, "RetryPolicy")
        _check_seconds(self.delay, "RetryPolicy", "delay")
        for name, value, kind in (
            ("backoff", self.backoff, Backoff),
            ("jitter", self.jitter, Jitter),
        ):
            if value is not None and not isinstance(value, kind):
                members = " or ".join(f"{kind.__name__}.{member.name}" for member in kind)
                raise _refused("RetryPolicy", f"{name} is {value!r}", f"give {members}")
            if value is not None and self.delay is None:
                raise _refused("RetryPolicy", f"it has a {name}, but no delay", "give delay=...")

    def seconds_before(self, retry: int, random: Callable[[], float] = random.random) -> float:
        """How long a step waits before a retry, in seconds.

        Args:
            retry: its number, from 1.
            random: gives a number from 0 to 1.
        """
        wait = delay = self.delay or 0.0
        if self.backoff is Backoff.LINEAR:
            wait *= retry
        elif self.backoff is Backoff.EXPONENTIAL:
            wait *= 2.0 ** min(retry, 64) - 1
        if self.jitter is Jitter.FULL:
            wait *= random()
        elif self.jitter is Jitter.PLUS_MINUS:
            wait += (2 * random() - 1) * delay
        return min(max(wait, 0.0), MAX_DELAY_SECONDS)


class RetryRequested(Exception):  # noqa: N818 - users raise it by this name; it is an outcome, not a fault
    """Raised by an op: the step is to be tried again, whatever its retry policy says.

    ``raise RetryRequested(max_retries=3, seconds_to_wait=10) from error`` keeps the reason.

    Attributes:
        max_retries: how often at most; when the step was tried again so often, it has failed.
        seconds_to_wait: how long it waits before; not at all when None.

    Raises:
        InvalidDefinitionError: a value does not fit.
    """

    def __init__(self, max_retries: int = 1, seconds_to_wait: float | None = None) -> None:
        _check_count(max_retries, "RetryRequested")
        _check_seconds(seconds_to_wait, "RetryRequested", "seconds_to_wait")
        super().__init__("the op asks to be tried again")
        self.max_retries = max_retries
        self.seconds_to_wait = seconds_to_wait


def checked_retry_policy(policy: object, source: str, subject: str) -> RetryPolicy | None:
    """The retry policy of an op or a job.

    Raises:
        InvalidDefinitionError: it is none.
    """
    if policy is None or isinstance(policy, RetryPolicy):
        return policy
    raise refusal(
        source,
        subject,
        f"its retry policy is a {type(policy).__name__}",
        "give RetryPolicy(max_retries=..., delay=...)",
    )


def _check_count(value: object, subject: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _refused(subject, f"max_retries is {value!r}", "give a whole number, from 0")


def _check_seconds(value: object, subject: str, name: str) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is None or (is_number and 0 <= value <= MAX_DELAY_SECONDS and math.isfinite(value)):  # type: ignore[operator, arg-type]
        return
    raise _refused(subject, f"{name} is {value!r}", "give seconds, from 0 to those of 30 days")


def _refused(subject: str, problem: str, mend: str) -> Exception:
    return refusal(caller_place(), subject, problem, mend)
