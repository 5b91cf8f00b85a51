"""What a log makes of its steps."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import msgspec

from runwire.error_info import ErrorInfo
from runwire.events import EventLogRecord, EventType, LogLevel
from runwire.events.payloads import EngineEventData, StepSuccessData
from runwire.runs.run import Run, StepCounts
from runwire.runs.steps import (
    STEP_STATS_EVENTS,
    StepAttempt,
    StepHistory,
    StepMarker,
    StepStatus,
    StepTally,
    fold_steps,
    settle_steps,
)
from runwire.storages.stored_form import new_record

S, E = StepStatus, EventType

ERROR = ErrorInfo("no", "ValueError")


def log(*events: tuple[Any, ...]) -> list[EventLogRecord]:
    """Records of (timestamp, type, step key, body) tuples."""
    return [
        EventLogRecord(
            run_id="r1",
            position=position,
            timestamp=float(timestamp),
            level=LogLevel.INFO,
            stored_type=None if event_type is None else event_type.value,
            message="",
            step_key=step_key,
            body=None if not body else msgspec.json.encode(body[0]),
        )
        for position, (timestamp, event_type, step_key, *body) in enumerate(events, 1)
    ]


def history(*events: tuple[Any, ...]) -> StepHistory:
    """The history of step `a` after events of (timestamp, type, body) tuples."""
    folded = fold_steps({}, log(*((event[0], event[1], "a", *event[2:]) for event in events)))
    assert list(folded) == ["a"]
    return folded["a"]


def attempt(
    number: int, status: StepStatus, started: float, ended: float | None = None
) -> StepAttempt:
    return StepAttempt(number=number, status=status, started_at=started, ended_at=ended)


def test_a_step_begins_and_succeeds() -> None:
    began = history((1, E.STEP_START))
    assert began == StepHistory(status=S.IN_PROGRESS, attempts=(attempt(1, S.IN_PROGRESS, 1),))
    assert (began.started_at, began.ended_at) == (1, None)
    ended = history((1, E.STEP_START), (3, E.STEP_SUCCESS))
    assert ended == StepHistory(status=S.SUCCESS, attempts=(attempt(1, S.SUCCESS, 1, 3),))
    assert (ended.started_at, ended.ended_at) == (1, 3)


def test_a_step_that_is_tried_again_keeps_its_attempts_and_its_last_error() -> None:
    told = history(
        (1, E.STEP_START),
        (2, E.STEP_UP_FOR_RETRY, {"error": ERROR}),
        (5, E.STEP_RESTARTED),
        (6, E.STEP_SUCCESS),
    )
    assert told == StepHistory(
        status=S.SUCCESS,
        attempts=(attempt(1, S.UP_FOR_RETRY, 1, 2), attempt(2, S.SUCCESS, 5, 6)),
        error=ERROR,
    )
    assert (told.started_at, told.ended_at) == (1, 6)


def test_a_step_that_waits_for_its_next_attempt() -> None:
    assert history((1, E.STEP_START), (2, E.STEP_UP_FOR_RETRY)).status is S.UP_FOR_RETRY


def test_a_failed_step_tells_its_error() -> None:
    told = history((1, E.STEP_START), (2, E.STEP_FAILURE, {"error": ERROR}))
    assert told == StepHistory(
        status=S.FAILURE, attempts=(attempt(1, S.FAILURE, 1, 2),), error=ERROR
    )


def test_a_skipped_step_has_no_attempt() -> None:
    assert history((1, E.STEP_SKIPPED)) == StepHistory(status=S.SKIPPED)


def test_a_start_that_is_told_of_twice_counts_once() -> None:
    told = history((1, E.STEP_START), (2, E.STEP_START))
    assert told.attempts == (attempt(1, S.IN_PROGRESS, 1),)


def test_an_attempt_whose_end_was_lost_is_abandoned_by_the_next() -> None:
    told = history((1, E.STEP_START), (4, E.STEP_RESTARTED))
    assert told.status is S.IN_PROGRESS
    assert told.attempts == (attempt(1, S.ABANDONED, 1), attempt(2, S.IN_PROGRESS, 4))


def test_a_step_that_another_worker_begins_anew_has_another_attempt() -> None:
    """Whether it says so, or begins it as if it were the first to do so."""
    for again in (E.STEP_RESTARTED, E.STEP_START):
        first, second = log((1, E.STEP_START, "a"), (4, again, "a"))
        records = [replace(first, epoch=1), replace(second, epoch=2)]
        told = fold_steps({}, records)["a"]
        assert [(each.number, each.status, each.epoch) for each in told.attempts] == [
            (1, S.ABANDONED, 1),
            (2, S.IN_PROGRESS, 2),
        ]


def test_a_step_that_was_interrupted_and_begins_anew_has_another_attempt() -> None:
    told = history(
        (1, E.STEP_START),
        (2, E.STEP_FAILURE, {"error": ERROR}),
        (4, E.STEP_RESTARTED),
        (5, E.STEP_SUCCESS),
    )
    assert (told.status, told.attempts) == (
        S.SUCCESS,
        (attempt(1, S.FAILURE, 1, 2), attempt(2, S.SUCCESS, 4, 5)),
    )


def test_an_attempt_whose_beginning_nobody_told_of_begins_with_its_end() -> None:
    assert history((7, E.STEP_FAILURE)).attempts == (attempt(1, S.FAILURE, 7, 7),)
    took = history((7, E.STEP_SUCCESS, {"data": StepSuccessData(1500.0)}))
    assert took.attempts == (attempt(1, S.SUCCESS, 5.5, 7),)


def marker(start: str | None = None, end: str | None = None) -> dict[str, Any]:
    return {"data": EngineEventData(start, end)}


def test_markers_are_paired_by_name() -> None:
    told = history(
        (1, E.STEP_WORKER_STARTING, marker("process_start")),
        (2, E.ENGINE_EVENT, marker("init")),
        (3, E.STEP_WORKER_STARTED, marker(end="process_start")),
        (4, E.ENGINE_EVENT, marker("process_start", "init")),
        (5, E.ENGINE_EVENT, marker(end="lost")),
    )
    assert told == StepHistory(
        markers=(
            StepMarker(name="process_start", started_at=1, ended_at=3),
            StepMarker(name="init", started_at=2, ended_at=4),
            StepMarker(name="process_start", started_at=4),
            StepMarker(name="lost", ended_at=5),
        )
    )


def test_an_end_closes_the_marker_of_its_name_that_began_last() -> None:
    told = history(
        (1, E.ENGINE_EVENT, marker("load")),
        (2, E.ENGINE_EVENT, marker("load")),
        (3, E.ENGINE_EVENT, marker(end="load")),
        (4, E.ENGINE_EVENT, marker(end="load")),
    )
    assert told.markers == (
        StepMarker(name="load", started_at=1, ended_at=4),
        StepMarker(name="load", started_at=2, ended_at=3),
    )


def test_an_engine_event_that_cannot_be_read_marks_nothing() -> None:
    damaged = log((1, E.ENGINE_EVENT, "a", {"data": {"kind": "?"}}))
    assert fold_steps({}, damaged) == {"a": StepHistory()}
    assert history((1, E.ENGINE_EVENT)) == StepHistory()


def test_materializations_and_expectations_are_counted_for_their_step() -> None:
    told = history(
        (1, E.ASSET_MATERIALIZATION),
        (2, E.ASSET_MATERIALIZATION),
        (3, E.ASSET_OBSERVATION),
        (4, E.STEP_EXPECTATION_RESULT),
    )
    assert told == StepHistory(materializations=2, expectations=1)


def test_lines_and_events_that_do_not_tell_of_steps_name_none() -> None:
    others = [each for each in E if each not in STEP_STATS_EVENTS]
    assert {E.STEP_OUTPUT, E.LOGS_CAPTURED, E.ASSET_OBSERVATION} <= set(others)
    assert fold_steps({}, log((1, None, "a"), *((2, each, "a") for each in others))) == {}
    assert fold_steps({}, log((1, E.STEP_START, None), (2, None, None))) == {}


def test_counts_agree_with_histories_whatever_the_events_are() -> None:
    chance = random.Random(7)
    for _ in range(200):
        events = log(
            *(
                (at, chance.choice([None, *E]), chance.choice([None, "a", "b", "c"]))
                for at in range(1, chance.randrange(2, 30))
            )
        )
        tally = StepTally()
        for event in events:
            tally.count(event.stored_type, event.step_key)
        tally.count("FROM_ANOTHER_VERSION", "z")
        histories = fold_steps({}, events)
        states = Counter(each.status for each in histories.values())
        types = Counter(event.event_type for event in events)
        run = new_record(1, Run(job_name="daily", steps_planned=2), 1.0)
        assert tally.counts(run, has_ended=False) == StepCounts(
            planned=max(2, len(histories)),
            in_progress=states[S.IN_PROGRESS] + states[S.UP_FOR_RETRY],
            succeeded=states[S.SUCCESS],
            failed=states[S.FAILURE],
            skipped=states[S.SKIPPED],
            materializations=types[E.ASSET_MATERIALIZATION],
            expectations=types[E.STEP_EXPECTATION_RESULT],
        )
        assert tally.counts(run, has_ended=True).in_progress == 0


def test_folding_goes_on_where_it_stopped_and_leaves_what_it_was_given() -> None:
    events = log(
        (1, E.STEP_START, "a"), (2, E.STEP_START, "b"), (3, E.STEP_SUCCESS, "a"), (4, None, "c")
    )
    for cut in range(len(events) + 1):
        before = fold_steps({}, events[:cut])
        kept = dict(before)
        assert fold_steps(before, events[cut:]) == fold_steps({}, events)
        assert before == kept


UPSTREAM = {"a": (), "b": ("a",), "c": ("b",), "d": ("a",), "e": ()}


def statuses(run_ended: bool, *events: tuple[Any, ...]) -> dict[str, str]:
    settled = settle_steps(fold_steps({}, log(*events)), UPSTREAM, run_ended=run_ended)
    return {key: each.status.value for key, each in settled.items()}


def test_steps_of_the_plan_that_have_not_begun_are_told_of() -> None:
    assert statuses(False) == dict.fromkeys("abcde", "NOT_STARTED")


def test_what_lies_below_a_failed_step_will_never_run() -> None:
    assert statuses(False, (1, E.STEP_START, "a"), (2, E.STEP_FAILURE, "a")) == {
        "a": "FAILURE",
        "b": "ABANDONED",
        "c": "ABANDONED",
        "d": "ABANDONED",
        "e": "NOT_STARTED",
    }


def test_what_lies_below_a_step_that_waits_or_was_skipped_is_not_given_up() -> None:
    assert statuses(False, (1, E.STEP_UP_FOR_RETRY, "a"), (2, E.STEP_SKIPPED, "b")) == {
        "a": "UP_FOR_RETRY",
        "b": "SKIPPED",
        "c": "NOT_STARTED",
        "d": "NOT_STARTED",
        "e": "NOT_STARTED",
    }


def test_what_had_not_ended_when_the_run_did_is_abandoned() -> None:
    events = [
        (1, E.STEP_START, "a"),
        (2, E.STEP_SUCCESS, "a"),
        (3, E.STEP_START, "b"),
        (4, E.STEP_UP_FOR_RETRY, "d"),
        (5, E.STEP_SKIPPED, "e"),
    ]
    assert statuses(True, *events) == {
        "a": "SUCCESS",
        "b": "ABANDONED",
        "c": "ABANDONED",
        "d": "ABANDONED",
        "e": "SKIPPED",
    }
    settled = settle_steps(fold_steps({}, log(*events)), UPSTREAM, run_ended=True)
    assert settled["b"].attempts == (attempt(1, S.ABANDONED, 3),)
    assert settled["d"].attempts == (attempt(1, S.UP_FOR_RETRY, 4, 4),)


def test_steps_that_no_plan_names_are_told_of_after_it() -> None:
    settled = settle_steps(fold_steps({}, log((1, E.STEP_START, "z"))), {"a": ()}, run_ended=False)
    assert {key: each.status for key, each in settled.items()} == {
        "a": S.NOT_STARTED,
        "z": S.IN_PROGRESS,
    }
