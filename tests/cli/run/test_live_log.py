from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console

from runwire.cli.run.live_log import JsonLog, LinesLog, TerminalLog
from runwire.runs.status import RunStatus
from tests.cli.run.test_step_progress import batch, event

BEGUN = batch(event("STEP_START", "load", 1))
ENDED = batch(
    event("STEP_SUCCESS", "load", 3.5),
    event("STEP_START", "report", 3.5),
    event("STEP_FAILURE", "report", 64),
    event("RUN_FAILURE", None, 64),
    status=RunStatus.FAILURE,
    ended=64,
)
STEPS = ["load", "report", "publish"]
SUMMARY = ["load    succeeded, 2.5 s", "report  failed, 1 min 0 s", "publish did not run"]
TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def test_lines_are_the_events_and_then_the_steps(capsys: pytest.CaptureFixture[str]) -> None:
    with LinesLog(STEPS) as log:
        log.show(BEGUN)
        log.show(ENDED)
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[2:4] for line in shown[:5]] == [
        ["load", "STEP_START"],
        ["load", "STEP_SUCCESS"],
        ["report", "STEP_START"],
        ["report", "STEP_FAILURE"],
        ["-", "RUN_FAILURE"],
    ]
    assert shown[5:] == SUMMARY


def test_what_is_interrupted_has_no_summary(capsys: pytest.CaptureFixture[str]) -> None:
    log = LinesLog(STEPS)
    log.show(BEGUN)
    log.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_json_is_one_object_an_event_under_the_names_of_the_schema(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with JsonLog() as log:
        log.show(ENDED)
        log.notice("for people")
    captured = capsys.readouterr()
    events = [json.loads(line) for line in captured.out.splitlines()]
    assert [(e["stepKey"], e["eventType"]) for e in events] == [
        ("load", "STEP_SUCCESS"),
        ("report", "STEP_START"),
        ("report", "STEP_FAILURE"),
        (None, "RUN_FAILURE"),
    ]
    assert captured.err == "for people\n"


def on_a_terminal(height: int) -> tuple[TerminalLog, io.StringIO]:
    screen = io.StringIO()
    console = Console(
        file=screen,
        force_terminal=True,
        width=80,
        height=height,
        highlight=False,
        soft_wrap=True,
        _environ={"TERM": "xterm"},
    )
    return TerminalLog(console, STEPS), screen


def plain(text: str) -> list[str]:
    return [line.rstrip() for line in TERMINAL_CODES.sub("", text).replace("\r", "").splitlines()]


def live_part(screen: io.StringIO) -> list[str]:
    """What was drawn last in place of what was there before."""
    return plain(screen.getvalue().rpartition("\x1b[2K")[2])


def test_a_terminal_shows_how_far_each_step_is_below_the_events() -> None:
    log, screen = on_a_terminal(height=40)
    with log:
        log.show(BEGUN)
        now = live_part(screen)
        log.show(ENDED)
        log.notice("connection lost")
    assert [line.partition(",")[0] for line in now] == [
        "load    running",
        "report  waiting",
        "publish waiting",
    ]
    shown = plain(screen.getvalue())
    assert shown[-3:] == SUMMARY
    for end in (" load    STEP_START m", " report  STEP_FAILURE m", "connection lost"):
        assert [line for line in shown if line.endswith(end)] != []


def test_a_small_terminal_shows_the_steps_that_run_and_counts_the_others() -> None:
    log, screen = on_a_terminal(height=5)
    more = [event("STEP_START", f"step_{n}") for n in range(7)]
    with log:
        log.show(batch(event("STEP_START", "load"), event("STEP_SUCCESS", "load"), *more))
        now = live_part(screen)
    assert [line.split()[0] for line in now[:-1]] == ["step_0", "step_1", "step_2"]
    assert now[-1] == "10 steps: 2 waiting, 7 running, 1 succeeded"
