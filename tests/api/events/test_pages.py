"""Pages of a run's log: in both directions, filtered, with cursors of this log only."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.errors import StorageUnavailableError
from runwire.events import Cursor, CursorScope, EventType
from runwire.runs import RunRecord
from tests.api.conftest import Api

EVENTS = """
query(
  $filter: EventFilter, $first: Int, $after: String, $last: Int, $before: String
) {
  run(runId: "r1") {
    events(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
      nodes { position cursor }
      edges { cursor node { position } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      totalCount
    }
  }
}
"""


async def page(api: Api, **variables: Any) -> dict[str, Any]:
    """A page of the log of r1, checked for what holds of any page."""
    found: dict[str, Any] = (await api.ask(EVENTS, **variables))["run"]["events"]
    cursors = [node["cursor"] for node in found["nodes"]]
    assert [edge["cursor"] for edge in found["edges"]] == cursors
    assert [edge["node"]["position"] for edge in found["edges"]] == positions(found)
    assert found["pageInfo"]["startCursor"] == (cursors[0] if cursors else None)
    assert found["pageInfo"]["endCursor"] == (cursors[-1] if cursors else None)
    return found


def positions(found: dict[str, Any]) -> list[int]:
    return [node["position"] for node in found["nodes"]]


def ends(found: dict[str, Any]) -> tuple[bool, bool]:
    """Whether there is more before the page, and after it."""
    return found["pageInfo"]["hasPreviousPage"], found["pageInfo"]["hasNextPage"]


@pytest.fixture
def run(api: Api) -> RunRecord:
    """A run whose log has ten lines; every third one names a step."""
    record = api.add_managed_run("r1")
    for number in range(1, 11):
        api.store("r1", None, message=f"line {number}", step_key=None if number % 3 else "s")
    return record


def cursor(run: RunRecord, position: int) -> str:
    return str(Cursor(CursorScope.RUN, run.log_id, position))


async def test_the_cursor_of_a_record_is_that_of_its_position(api: Api, run: RunRecord) -> None:
    found = await page(api)
    assert positions(found) == list(range(1, 11))
    assert [node["cursor"] for node in found["nodes"]] == [cursor(run, n) for n in range(1, 11)]


@pytest.mark.parametrize("filter", [None, {"stepKeys": ["s"]}, {"text": "LINE"}])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 10, 11])
async def test_a_log_can_be_walked_in_both_directions(
    api: Api, run: RunRecord, size: int, filter: dict[str, Any] | None
) -> None:
    wanted = [3, 6, 9] if filter == {"stepKeys": ["s"]} else list(range(1, 11))
    walked: list[int] = []
    after, has_next = None, True
    while has_next:
        found = await page(api, filter=filter, first=size, after=after)
        assert ends(found)[0] == bool(walked)
        walked += positions(found)
        after, has_next = found["pageInfo"]["endCursor"], found["pageInfo"]["hasNextPage"]
    assert walked == wanted
    walked, before, has_previous = [], None, True
    while has_previous:
        found = await page(api, filter=filter, last=size, before=before)
        assert ends(found)[1] == bool(walked)
        walked = positions(found) + walked
        before, has_previous = (
            found["pageInfo"]["startCursor"],
            found["pageInfo"]["hasPreviousPage"],
        )
    assert walked == wanted


@pytest.mark.parametrize(
    ("variables", "wanted", "more"),
    [
        ({"after": 3, "before": 7}, [4, 5, 6], (True, True)),
        ({"after": 3, "before": 7, "first": 2}, [4, 5], (True, True)),
        ({"after": 3, "before": 7, "last": 2}, [5, 6], (True, True)),
        ({"after": 0, "before": 4}, [1, 2, 3], (False, True)),
        ({"after": 10}, [], (True, False)),
        ({"after": 0}, list(range(1, 11)), (False, False)),
        ({"before": 1}, [], (False, True)),
        ({"before": 1, "last": 5}, [], (False, True)),
        ({"after": 5, "before": 6}, [], (True, True)),
        ({"after": 7, "before": 3}, [], (True, True)),
        ({"after": 9, "before": 10}, [], (True, True)),
        ({"after": 9, "before": 10, "last": 1}, [], (True, True)),
        ({"after": 1, "before": 2}, [], (True, True)),
    ],
)
async def test_cursors_are_exclusive(
    api: Api,
    run: RunRecord,
    variables: dict[str, int],
    wanted: list[int],
    more: tuple[bool, bool],
) -> None:
    given = {
        name: cursor(run, value) if name in {"after", "before"} else value
        for name, value in variables.items()
    }
    found = await page(api, **given)
    assert (positions(found), ends(found)) == (wanted, more)


async def test_a_filtered_page_tells_of_matching_records_beyond_its_cursors(
    api: Api, run: RunRecord
) -> None:
    only = {"stepKeys": ["s"]}
    found = await page(api, filter=only, after=cursor(run, 4), before=cursor(run, 9))
    assert (positions(found), ends(found)) == ([6], (True, True))
    found = await page(api, filter=only, after=cursor(run, 2), before=cursor(run, 10))
    assert (positions(found), ends(found)) == ([3, 6, 9], (False, False))


async def test_a_page_is_of_100_records_unless_asked_otherwise(api: Api) -> None:
    api.add_managed_run("r1")
    api.store("r1", *[None] * 1001)
    assert positions(await page(api)) == list(range(1, 101))
    found = await page(api, first=1000)
    assert (positions(found), ends(found)) == (list(range(1, 1001)), (False, True))


async def test_a_run_without_events_has_an_empty_log(api: Api) -> None:
    run = api.add_managed_run("r1")
    found = await page(api, after=cursor(run, 0))
    assert (positions(found), ends(found), found["totalCount"]) == ([], (False, False), 0)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"first": 0}, "`first` is 0; give 1 to 1,000"),
        ({"last": 1001}, "`last` is 1001; give 1 to 1,000"),
        ({"first": 1, "last": 1}, "give `first` or `last`, not both"),
        ({"filter": {"text": "\ud800"}}, "the text is not valid Unicode"),
        ({"filter": {"stepKeys": ["s", "\ud800"]}}, "the text is not valid Unicode"),
    ],
)
async def test_wrong_arguments_are_refused(
    api: Api, run: RunRecord, variables: dict[str, Any], message: str
) -> None:
    assert await api.refusal(EVENTS, **variables) == ("INVALID_ARGUMENT", message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a cursor"),
        ("HEAD", "'HEAD' is not a cursor"),
        ("\ud800", "is not a cursor"),
        (str(Cursor(CursorScope.INSTANCE, "log", 1)), "belongs to the instance scope"),
        (str(Cursor(CursorScope.RUN, "log", 1)), "belongs to another log"),
        ("ahead", "the cursor is at 11, the log ends at 10"),
    ],
)
@pytest.mark.parametrize("argument", ["after", "before"])
async def test_a_cursor_that_is_not_of_this_log_is_refused(
    api: Api, run: RunRecord, argument: str, text: str, message: str
) -> None:
    given = cursor(run, 11) if text == "ahead" else text
    code, told = await api.refusal(EVENTS, **{argument: given})
    assert code == "CURSOR_INVALID"
    assert message in told


async def test_a_cursor_of_a_run_that_was_made_again_is_refused(api: Api, run: RunRecord) -> None:
    old = cursor(run, 1)
    api.instance.terminate_run("r1", api.workspace)
    api.instance.delete_run("r1", api.workspace)
    api.add_managed_run("r1")
    api.store("r1", None, None)
    assert (await api.refusal(EVENTS, after=old))[0] == "CURSOR_INVALID"


@pytest.fixture
def mixed(api: Api) -> None:
    """A log of many kinds of records."""
    api.add_managed_run("r1")
    api.store("r1", EventType.RUN_START)
    api.store("r1", EventType.STEP_START, step_key="a")
    api.store("r1", None, message="Straße 100%", step_key="a")
    api.store("r1", None, message="plain")
    api.store("r1", EventType.STEP_FAILURE, step_key="b")


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize(
    ("filter", "wanted"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"eventTypes": ["STEP_START", "STEP_FAILURE"]}, [2, 5]),
        ({"eventTypes": []}, []),
        ({"eventTypes": None}, [1, 2, 3, 4, 5]),
        ({"typed": True}, [1, 2, 5]),
        ({"typed": False}, [3, 4]),
        ({"levels": ["ERROR", "INFO"]}, [3, 4, 5]),
        ({"levels": []}, []),
        ({"stepKeys": ["a"]}, [2, 3]),
        ({"stepKeys": []}, []),
        ({"text": "STRASSE"}, []),
        ({"text": "sTRAßE"}, [3]),
        ({"text": "%"}, [3]),
        ({"text": ""}, [1, 2, 3, 4, 5]),
        ({"typed": False, "stepKeys": ["a", "b"], "levels": ["INFO"]}, [3]),
    ],
)
async def test_each_filter_gives_the_records_that_it_names(
    api: Api, filter: dict[str, Any], wanted: list[int]
) -> None:
    found = await page(api, filter=filter)
    assert (positions(found), found["totalCount"]) == (wanted, len(wanted))


async def test_a_log_that_cannot_be_read_is_null_and_leaves_the_run(
    api: Api, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise StorageUnavailableError("the file is damaged")

    monkeypatch.setattr(api.instance.storage.event_log_storage, "get_records", broken)
    result = await api.execute('{ run(runId: "r1") { status events { nodes { id } } } }')
    assert result.data == {"run": {"status": "MANAGED", "events": None}}
    assert result.errors is not None
    assert result.errors[0].extensions == {"code": "UNAVAILABLE"}


async def test_a_count_stops_where_it_is_told(api: Api, run: RunRecord) -> None:
    document = (
        'query($limit: Int) { run(runId: "r1") { events(first: 1) { totalCount(limit: $limit) } } }'
    )
    for limit, wanted in [(3, 3), (None, 10)]:
        answer = await api.ask(document, limit=limit)
        assert answer == {"run": {"events": {"totalCount": wanted}}}
    assert (await api.refusal(document, limit=-1))[0] == "INVALID_ARGUMENT"
