"""Limits, a queue, and which of its runs one pass launches: what users of the reference rely on."""

from __future__ import annotations

from dataclasses import dataclass

from runwire.runs.queueing import QueueSettings, TagLimit
from runwire.runs.status import RunStatus
from runwire.runs.tags import PRIORITY_TAG

S = RunStatus
Tags = dict[str, str]

TINY = TagLimit(key="database", value="tiny", max=1)
DATABASE = TagLimit(key="database", max=2)
JOHANN = TagLimit(key="user", value="johann", max=2)
FOO = TagLimit(key="foo", max=2)
BAR = TagLimit(key="foo", value="bar", max=1)
EACH = TagLimit(key="foo", is_per_value=True, max=1)
TWO_EACH = TagLimit(key="foo", is_per_value=True, max=2)


def _foo(*values: str) -> list[Tags]:
    return [{"foo": value} for value in values]


def _database(*values: str) -> list[Tags]:
    return [{"database": value} for value in values]


@dataclass(frozen=True)
class Case:
    """One pass.

    Attributes:
        name: names it.
        settings: the limits.
        queue: the tags of the runs that wait, in the order of their queueing.
        launched: which of them one pass launches, by index, in that order.
        in_progress: statuses and tags of other runs.
    """

    name: str
    settings: QueueSettings
    queue: list[Tags]
    launched: list[int]
    in_progress: tuple[tuple[RunStatus, Tags], ...] = ()


def _limited(*limits: TagLimit, max_concurrent_runs: int | None = 10) -> QueueSettings:
    return QueueSettings(max_concurrent_runs=max_concurrent_runs, tag_limits=limits)


def _running(number: int) -> tuple[tuple[RunStatus, Tags], ...]:
    return tuple(((S.STARTING, S.STARTED, S.CANCELING)[n % 3], {}) for n in range(number))


CASES = [
    *(
        Case(
            f"max 4, {number} in progress",
            _limited(max_concurrent_runs=4),
            [{}] * 5,
            list(range(max(0, 4 - number))),
            _running(number),
        )
        for number in range(6)
    ),
    Case("no limit", _limited(max_concurrent_runs=None), [{}] * 6, [0, 1, 2, 3, 4, 5], _running(5)),
    Case("paused", _limited(max_concurrent_runs=0), [{}], []),
    Case(
        "priorities",
        _limited(),
        [{}, {PRIORITY_TAG: "-1"}, {PRIORITY_TAG: "3"}],
        [2, 0, 1],
    ),
    Case(
        "a malformed priority counts as 0",
        _limited(),
        [{PRIORITY_TAG: "-1"}, {PRIORITY_TAG: "high"}, {}, {PRIORITY_TAG: "1"}],
        [3, 1, 2, 0],
    ),
    Case("a value", _limited(TINY), _database("tiny", "tiny", "large"), [0, 2]),
    Case("a key", _limited(DATABASE), _database("tiny", "tiny", "large"), [0, 1]),
    Case(
        "two tags",
        _limited(TINY, JOHANN),
        [
            {"database": "tiny", "user": "johann"},
            {"database": "tiny"},
            {"user": "johann"},
            {"user": "johann"},
        ],
        [0, 2],
    ),
    Case("a key and a value of it", _limited(FOO, BAR), _foo("bar", "bar", "x", "x"), [0, 2]),
    Case("each value", _limited(EACH), _foo("bar", "bar", "x", "x"), [0, 2]),
    Case("each value and the key", _limited(EACH, FOO), _foo("bar", "bar", "x", "y"), [0, 2]),
    Case(
        "each value and a value",
        _limited(TWO_EACH, BAR),
        _foo("bar", "baz", "bar", "baz", "baz"),
        [0, 1, 3],
    ),
    Case(
        "runs in progress count with their tags",
        _limited(EACH),
        _foo("bar", "x", "y"),
        [2],
        ((S.STARTED, {"foo": "bar"}), (S.CANCELING, {"foo": "x"})),
    ),
    Case("a limit of 0", _limited(TagLimit(key="foo", max=0)), [*_foo("a"), {}], [1]),
]
