"""A tick tells nothing that its status excludes; final statuses stay."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.testing.samples import an_error
from runwire.ticks import RunRequest, Tick, TickStatus, may_follow

FITTING: dict[TickStatus, dict[str, Any]] = {
    TickStatus.STARTED: {},
    TickStatus.SKIPPED: {"ended_at": 2.0, "skip_reason": "no new files"},
    TickStatus.SUCCESS: {"ended_at": 2.0},
    TickStatus.FAILURE: {"ended_at": 2.0, "error": an_error()},
}


def a_tick(status: TickStatus, **fields: Any) -> Tick:
    return Tick(
        tick_id=1, source_id="s", key="k", status=status, due_at=1.0, started_at=1.5, **fields
    )


@pytest.mark.parametrize("status", TickStatus, ids=lambda status: status.value)
def test_what_does_not_fit_the_status_is_refused(status: TickStatus) -> None:
    fitting = FITTING[status]
    assert a_tick(status, **fitting).status is status
    wrong: list[dict[str, Any]] = []
    wrong.append({**fitting, "error": None if "error" in fitting else an_error()})
    wrong.append({**fitting, "ended_at": None if "ended_at" in fitting else 2.0})
    if status is not TickStatus.SKIPPED:
        wrong.append({**fitting, "skip_reason": "no new files"})
    for fields in wrong:
        with pytest.raises(ValueError, match=status.value):
            a_tick(status, **fields)


def test_only_what_is_not_final_is_followed() -> None:
    followed = {
        (status.value, following.value)
        for status in TickStatus
        for following in TickStatus
        if may_follow(status, following)
    }
    assert followed == {
        ("STARTED", "STARTED"),
        ("STARTED", "SKIPPED"),
        ("STARTED", "SUCCESS"),
        ("STARTED", "FAILURE"),
        ("FAILURE", "STARTED"),
    }


def test_run_keys_are_those_of_the_requests_that_have_one() -> None:
    requests = tuple(RunRequest(job_name="daily", run_key=key) for key in ("b", None, "a", "b"))
    assert a_tick(TickStatus.STARTED, requests=requests).run_keys == ("b", "a", "b")
    assert a_tick(TickStatus.STARTED).run_keys == ()
