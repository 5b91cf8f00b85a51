"""Retry policies, and what is refused of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runwire import Backoff, Jitter, RetryPolicy, RetryRequested, job, op
from runwire.definitions import JobDefinition
from runwire.errors import InvalidDefinitionError

LEAST, HALF, MOST = (lambda: 0.0), (lambda: 0.5), (lambda: 1.0)


@pytest.mark.parametrize(
    ("policy", "random", "waits"),
    [
        (RetryPolicy(3), HALF, [0, 0, 0]),
        (RetryPolicy(3, delay=2), HALF, [2, 2, 2]),
        (RetryPolicy(3, delay=2, backoff=Backoff.LINEAR), HALF, [2, 4, 6]),
        (RetryPolicy(3, delay=2, backoff=Backoff.EXPONENTIAL), HALF, [2, 6, 14]),
        (RetryPolicy(3, delay=2, jitter=Jitter.FULL), LEAST, [0, 0, 0]),
        (RetryPolicy(3, delay=2, jitter=Jitter.FULL), MOST, [2, 2, 2]),
        (RetryPolicy(3, delay=2, backoff=Backoff.LINEAR, jitter=Jitter.FULL), HALF, [1, 2, 3]),
        (RetryPolicy(3, delay=2, jitter=Jitter.PLUS_MINUS), LEAST, [0, 0, 0]),
        (RetryPolicy(3, 2, Backoff.EXPONENTIAL, Jitter.PLUS_MINUS), LEAST, [0, 4, 12]),
        (RetryPolicy(3, 2, Backoff.EXPONENTIAL, Jitter.PLUS_MINUS), MOST, [4, 8, 16]),
    ],
)
def test_how_long_a_step_waits(
    policy: RetryPolicy, random: Callable[[], float], waits: list[float]
) -> None:
    assert [policy.seconds_before(retry, random) for retry in (1, 2, 3)] == waits


def test_no_wait_is_longer_than_thirty_days() -> None:
    policy = RetryPolicy(10_000, delay=1, backoff=Backoff.EXPONENTIAL)
    assert policy.seconds_before(9_999) == 30 * 24 * 3600


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("RetryPolicy(-1)", "RetryPolicy: max_retries is -1; give a whole number, from 0"),
        ("RetryPolicy(1.5)", "RetryPolicy: max_retries is 1.5; give a whole number, from 0"),
        ("RetryPolicy(True)", "RetryPolicy: max_retries is True; give a whole number, from 0"),
        (
            "RetryPolicy(delay=-1)",
            "RetryPolicy: delay is -1; give seconds, from 0 to those of 30 days",
        ),
        (
            "RetryPolicy(delay=float('inf'))",
            "RetryPolicy: delay is inf; give seconds, from 0 to those of 30 days",
        ),
        (
            "RetryPolicy(delay=float('nan'))",
            "RetryPolicy: delay is nan; give seconds, from 0 to those of 30 days",
        ),
        (
            "RetryPolicy(backoff=Backoff.LINEAR)",
            "RetryPolicy: it has a backoff, but no delay; give delay=...",
        ),
        (
            "RetryPolicy(jitter=Jitter.FULL)",
            "RetryPolicy: it has a jitter, but no delay; give delay=...",
        ),
        (
            "RetryPolicy(delay=1, backoff='linear')",
            "RetryPolicy: backoff is 'linear'; give Backoff.LINEAR or Backoff.EXPONENTIAL",
        ),
        (
            "RetryRequested(seconds_to_wait='1')",
            "RetryRequested: seconds_to_wait is '1'; give seconds, from 0 to those of 30 days",
        ),
        (
            "op(lambda: None, name='load', retry_policy=3)",
            "op 'load': its retry policy is a int; give RetryPolicy(max_retries=..., delay=...)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    refusal: Callable[[str], str], code: str, problem: str
) -> None:
    imports = "from runwire import Backoff, Jitter, RetryPolicy, RetryRequested, op\n"
    if code.startswith("op("):
        code = "@op(retry_policy=3)\ndef load(): ...  # no HERE\n"
        assert refusal(
            imports + code.replace("# no HERE", "").replace("\ndef", "  # HERE\ndef")
        ) == (problem)
    else:
        assert refusal(f"{imports}made = {code}  # HERE\n") == problem


def test_that_of_a_use_goes_before_that_of_the_op_and_that_before_that_of_the_job() -> None:
    once, twice, thrice = RetryPolicy(1), RetryPolicy(2), RetryPolicy(3)

    @op
    def plain() -> None: ...

    @op(retry_policy=twice)
    def stubborn() -> None: ...

    @job(op_retry_policy=once)
    def etl() -> None:
        plain()
        stubborn()
        stubborn.with_retry_policy(thrice).alias("very")()

    policies = {node.handle: node.retry_policy for node in etl.nodes}
    assert policies == {"plain": None, "stubborn": twice, "very": thrice}
    assert etl.op_retry_policy is once


def test_jobs_without_are_as_before(load_job: Callable[[str], JobDefinition]) -> None:
    made = load_job("@op\ndef load(): ...\n\n@job\ndef etl():\n    load()\n")
    assert (made.op_retry_policy, made.nodes[0].retry_policy) == (None, None)


def test_a_request_tells_what_it_is() -> None:
    request = RetryRequested(max_retries=3, seconds_to_wait=1.5)
    assert (request.max_retries, request.seconds_to_wait) == (3, 1.5)
    with pytest.raises(InvalidDefinitionError, match="max_retries is None"):
        RetryRequested(None)  # type: ignore[arg-type]
