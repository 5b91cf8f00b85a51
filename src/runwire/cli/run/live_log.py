"""The log of a run as it grows, and how far its steps are."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from runwire import clock
from runwire.cli.printable import printable
from runwire.cli.run.event_lines import event_lines
from runwire.cli.run.step_progress import RunProgress, StepProgress, StepState
from runwire.cli.run.tables import print_json
from runwire.cli.run.words import duration
from runwire.client import RunEventsBatch

MAX_STEP_WIDTH = 32

_STYLES = {
    StepState.WAITING: "dim",
    StepState.RUNNING: "bold blue",
    StepState.RETRYING: "yellow",
    StepState.SUCCEEDED: "green",
    StepState.FAILED: "bold red",
    StepState.SKIPPED: "dim",
    StepState.NOT_RUN: "dim",
    StepState.CUT_OFF: "red",
}


class RunLog(Protocol):
    """Shows a run while it is followed, in a ``with``."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def show(self, batch: RunEventsBatch) -> None:
        """Shows the next events."""

    def notice(self, text: str) -> None:
        """Shows a line that is no event of the run."""


def open_log(step_keys: Iterable[str], *, as_json: bool) -> RunLog:
    """The log that fits stdout: JSON where that is asked for, live on a terminal, lines elsewhere."""
    if as_json:
        return JsonLog()
    console = Console(highlight=False, soft_wrap=True)
    keys = list(step_keys)
    live = console.is_terminal and not console.is_dumb_terminal
    return TerminalLog(console, keys) if live else LinesLog(keys)


class _Notices:
    """A log that needs nothing before and after, and tells notices on stderr."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def notice(self, text: str) -> None:
        typer.echo(text, err=True)


class JsonLog(_Notices):
    """One JSON object an event."""

    def show(self, batch: RunEventsBatch) -> None:
        print_json(batch.records)


class LinesLog(_Notices):
    """One line an event, and at the end one line a step."""

    def __init__(self, step_keys: list[str]) -> None:
        self._progress = RunProgress(step_keys)
        self._step_width = _step_width(step_keys)

    def show(self, batch: RunEventsBatch) -> None:
        self._progress.advance(batch)
        for event in batch.records:
            for line in event_lines(event, self._step_width):
                sys.stdout.write(line.plain + "\n")
        sys.stdout.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            for step in self._progress.steps.values():
                typer.echo(step_line(step, clock.now(), self._step_width).plain)


class TerminalLog:
    """Events scroll by above the steps, which are drawn anew in place."""

    def __init__(self, console: Console, step_keys: list[str]) -> None:
        self._console = console
        self._progress = RunProgress(step_keys)
        self._step_width = _step_width(step_keys)
        self._live = Live(
            console=console, get_renderable=self._steps, refresh_per_second=8, transient=True
        )

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, trace)
        if kind is None:
            for step in self._progress.steps.values():
                self._console.print(step_line(step, clock.now(), self._step_width))

    def show(self, batch: RunEventsBatch) -> None:
        self._progress.advance(batch)
        lines = [line for event in batch.records for line in event_lines(event, self._step_width)]
        if lines:
            self._console.print(Text("\n").join(lines))
        self._live.refresh()

    def notice(self, text: str) -> None:
        self._console.print(Text(text, "yellow"))

    def _steps(self) -> RenderableType:
        steps = list(self._progress.steps.values())
        shown = _most_telling(steps, room=max(4, self._console.height // 2))
        now = clock.now()
        table = Table.grid(padding=(0, 2))
        for step in shown:
            table.add_row(step_line(step, now, self._step_width))
        if len(shown) == len(steps):
            return table
        counts = [(state, self._progress.count(state)) for state in StepState]
        told = ", ".join(f"{number} {state.value}" for state, number in counts if number)
        return Group(table, Text(f"{len(steps)} steps: {told}", "dim"))


def step_line(step: StepProgress, now: datetime, step_width: int) -> Text:
    """A step, how far it is, and how long it took."""
    took = step.duration(now)
    return Text.assemble(
        (f"{printable(step.step_key):<{step_width}}", "cyan"),
        " ",
        (step.state.value, _STYLES[step.state]),
        ("" if took is None else f", {duration(took)}", "dim"),
    )


def _most_telling(steps: list[StepProgress], room: int) -> list[StepProgress]:
    """As many steps as there is room for, in order; those that run or went wrong before the others."""
    if len(steps) <= room:
        return steps
    dull = {StepState.WAITING, StepState.SUCCEEDED, StepState.SKIPPED, StepState.NOT_RUN}
    return [step for step in steps if step.state not in dull][: room - 1]


def _step_width(step_keys: list[str]) -> int:
    return min(MAX_STEP_WIDTH, max((len(key) for key in step_keys), default=12))
