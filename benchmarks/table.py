"""The table of results."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

HEADINGS = ("what", "measured", "unit", "floor", "ratio", "aim", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One result.

    Attributes:
        name: what was done.
        measured: how much of the unit it came to.
        unit: such as ``events/s`` or ``ms``.
        floor: what the platform gives for the same work without runwire, in the same unit, if there is such.
        ratio: measured by floor.
        aim: what is aimed at, in words.
        met: whether the aim is met; None without an aim.
    """

    name: str
    measured: float
    unit: str
    floor: float | None = None
    ratio: float | None = None
    aim: str = ""
    met: bool | None = None


def rate_row(
    name: str,
    unit: str,
    measure: Callable[[], float],
    measure_floor: Callable[[], float],
    *,
    at_least: float | None = None,
    rounds: int = 25,
) -> Row:
    """Measures a rate and its floor in turns, so that what else the machine does hits both; medians count.

    Args:
        name: what is done.
        unit: the unit of the rates.
        measure: does it once and returns the rate.
        measure_floor: the same for the floor.
        at_least: the ratio that is aimed at.
        rounds: how often; the first, which warms up, does not count.
    """
    pairs = [(measure(), measure_floor()) for _ in range(rounds + 1)][1:]
    ratio = statistics.median(rate / floor for rate, floor in pairs)
    return Row(
        name=name,
        measured=statistics.median(rate for rate, _ in pairs),
        unit=unit,
        floor=statistics.median(floor for _, floor in pairs),
        ratio=ratio,
        aim="" if at_least is None else f"at least {at_least:.0%} of the floor",
        met=None if at_least is None else ratio >= at_least,
    )


def render(rows: Sequence[Row]) -> str:
    """The rows as text, in columns."""
    cells = [HEADINGS, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(_justified(row, widths)).rstrip() for row in cells)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        _number(row.measured),
        row.unit,
        "" if row.floor is None else _number(row.floor),
        "" if row.ratio is None else f"{row.ratio:.0%}",
        row.aim,
        {True: "met", False: "MISSED", None: ""}[row.met],
    )


def _justified(row: tuple[str, ...], widths: list[int]) -> list[str]:
    is_number = (False, True, False, True, True, False, False)
    return [
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(row, widths, is_number, strict=True)
    ]


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:,.3g}"
