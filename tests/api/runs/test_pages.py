"""Lists of runs: pages in every order and direction, each filter, counts."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.api.opaque import pack
from runwire.control import NewRun
from runwire.events import EventType
from runwire.workspace import JobSelector
from tests.api.conftest import Api

RUNS = """
query(
  $filter: RunsFilter, $orderBy: RunOrder,
  $first: Int, $after: String, $last: Int, $before: String
) {
  runs(
    filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before
  ) {
    nodes { runId }
    edges { cursor node { runId } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    totalCount
  }
}
"""


async def page(api: Api, **variables: Any) -> dict[str, Any]:
    """A page of runs, checked for what holds of any page."""
    found: dict[str, Any] = (await api.ask(RUNS, **variables))["runs"]
    cursors = [edge["cursor"] for edge in found["edges"]]
    assert [edge["node"] for edge in found["edges"]] == found["nodes"]
    assert found["pageInfo"]["startCursor"] == (cursors[0] if cursors else None)
    assert found["pageInfo"]["endCursor"] == (cursors[-1] if cursors else None)
    return found


def ids(found: dict[str, Any]) -> list[str]:
    return [node["runId"] for node in found["nodes"]]


def ends(found: dict[str, Any]) -> tuple[bool, bool]:
    """Whether there is more before the page, and after it."""
    return found["pageInfo"]["hasPreviousPage"], found["pageInfo"]["hasNextPage"]


async def walk_forward(api: Api, size: int, **variables: Any) -> list[str]:
    walked: list[str] = []
    after = None
    while True:
        found = await page(api, first=size, after=after, **variables)
        assert ends(found)[0] == bool(walked)
        walked += ids(found)
        if not found["pageInfo"]["hasNextPage"]:
            return walked
        assert len(found["nodes"]) == size
        after = found["pageInfo"]["endCursor"]


async def walk_backward(api: Api, size: int, **variables: Any) -> list[str]:
    walked: list[str] = []
    before = None
    while True:
        found = await page(api, last=size, before=before, **variables)
        assert ends(found)[1] == bool(walked)
        walked = ids(found) + walked
        if not found["pageInfo"]["hasPreviousPage"]:
            return walked
        assert len(found["nodes"]) == size
        before = found["pageInfo"]["startCursor"]


def add_runs_with_ties(api: Api) -> None:
    """Runs that began and ended together, one of them never, one not yet, made in another order."""
    for run_id in ("a", "b", "c", "d", "e", "f", "g"):
        api.add_managed_run(run_id)
    for run_id, started_at, ended_at in [
        ("a", 30.0, 90.0),
        ("b", 10.0, 90.0),
        ("c", 10.0, None),
        ("e", 30.0, 40.0),
        ("f", 10.0, 90.0),
    ]:
        api.store(run_id, EventType.RUN_START, timestamp=started_at)
        if ended_at is not None:
            api.store(run_id, EventType.RUN_SUCCESS, timestamp=ended_at)


ORDERS = [
    (None, "gfedcba"),
    ({}, "gfedcba"),
    ({"direction": "ASC"}, "abcdefg"),
    ({"field": "STARTED_AT", "direction": "ASC"}, "bcfaedg"),
    ({"field": "STARTED_AT", "direction": "DESC"}, "eafcbgd"),
    ({"field": "ENDED_AT", "direction": "ASC"}, "eabfcdg"),
    ({"field": "ENDED_AT", "direction": "DESC"}, "fbaegdc"),
    ({"field": "UPDATED_AT", "direction": "ASC"}, "abcdefg"),
]


@pytest.mark.parametrize(("order", "wanted"), ORDERS)
@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8])
async def test_every_order_can_be_walked_in_both_directions(
    api: Api, order: dict[str, str] | None, wanted: str, size: int
) -> None:
    """Ties follow the order of making; runs without the instant come last either way."""
    add_runs_with_ties(api)
    assert "".join(await walk_forward(api, size, orderBy=order)) == wanted
    assert "".join(await walk_backward(api, size, orderBy=order)) == wanted


@pytest.mark.parametrize(("order", "wanted"), ORDERS)
async def test_two_cursors_give_what_lies_between_them(
    api: Api, order: dict[str, str] | None, wanted: str
) -> None:
    add_runs_with_ties(api)
    everything = await page(api, orderBy=order)
    cursors = [edge["cursor"] for edge in everything["edges"]]
    between = {"orderBy": order, "after": cursors[1], "before": cursors[5]}
    assert "".join(ids(await page(api, **between))) == wanted[2:5]
    first = await page(api, first=2, **between)
    assert ("".join(ids(first)), ends(first)) == (wanted[2:4], (True, True))
    last = await page(api, last=2, **between)
    assert ("".join(ids(last)), ends(last)) == (wanted[3:5], (True, True))
    nothing = await page(api, orderBy=order, after=cursors[3], before=cursors[4])
    assert (ids(nothing), ends(nothing)) == ([], (True, True))


async def test_a_page_is_of_25_runs_unless_asked_otherwise(api: Api) -> None:
    for number in range(30):
        api.add_run(f"r{number:02}")
    found = await page(api)
    assert (len(found["nodes"]), ends(found)) == (25, (False, True))


async def test_no_runs_make_an_empty_page(api: Api) -> None:
    found = await page(api)
    assert (found["nodes"], ends(found), found["totalCount"]) == ([], (False, False), 0)


async def test_a_cursor_outlives_its_run_and_runs_that_come_meanwhile(api: Api) -> None:
    for run_id in ("a", "b", "c"):
        api.add_run(run_id)
    found = await page(api, first=2)
    api.instance.delete_run("b", api.workspace)
    api.add_run("d")
    assert ids(await page(api, after=found["pageInfo"]["endCursor"])) == ["a"]


async def test_the_end_of_the_list_has_no_page_after_it(api: Api) -> None:
    api.add_run("a")
    end = (await page(api))["pageInfo"]["endCursor"]
    found = await page(api, after=end)
    assert (ids(found), ends(found)) == ([], (True, False))


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"first": 0}, "`first` is 0; give 1 to 100"),
        ({"first": -1}, "`first` is -1; give 1 to 100"),
        ({"first": 101}, "`first` is 101; give 1 to 100"),
        ({"last": 0}, "`last` is 0; give 1 to 100"),
        ({"last": 101}, "`last` is 101; give 1 to 100"),
        ({"first": 1, "last": 1}, "give `first` or `last`, not both"),
        ({"filter": {"jobNames": ["a", "\ud800"]}}, "the text is not valid Unicode"),
        ({"filter": {"runIds": ["\ud800"]}}, "the text is not valid Unicode"),
        ({"filter": {"runIdPrefix": "\ud800"}}, "the text is not valid Unicode"),
        ({"filter": {"locationName": "\ud800"}}, "the text is not valid Unicode"),
        ({"filter": {"tags": [{"key": "\ud800"}]}}, "the text is not valid Unicode"),
        (
            {"filter": {"tags": [{"key": "a", "values": ["\udfff"]}]}},
            "the text is not valid Unicode",
        ),
    ],
)
async def test_wrong_arguments_are_refused(api: Api, variables: Any, message: str) -> None:
    api.add_run("a")
    assert await api.refusal(RUNS, **variables) == ("INVALID_ARGUMENT", message)


CREATED: list[Any] = ["CREATED_AT", True]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "HEAD",
        "nonsense",
        "\ud800",
        pack(2, "runs", *CREATED, 1.0, 1),
        pack(1, "steps", *CREATED, 1.0, 1),
        pack(1, "runs", *CREATED, 1.0),
        pack(1, "runs", *CREATED, "1.0", 1),
        pack(1, "runs", *CREATED, True, 1),
        pack(1, "runs", *CREATED, 1.0, -1),
        pack(1, "runs", *CREATED, 1.0, 2**63),
        pack(1, "runs", *CREATED, 2**60, 1),
        pack(1, "runs", *CREATED, 1.0, None),
        pack(1, "runs", "CREATED_AT", 1, 1.0, 1),
    ],
)
@pytest.mark.parametrize("argument", ["after", "before"])
async def test_a_malformed_cursor_is_refused(api: Api, cursor: str, argument: str) -> None:
    code, message = await api.refusal(RUNS, **{argument: cursor})
    assert code == "CURSOR_INVALID"
    assert "is not a cursor of a list of runs" in message


@pytest.mark.parametrize("order", [{"direction": "ASC"}, {"field": "STARTED_AT"}])
async def test_a_cursor_of_another_order_is_refused(api: Api, order: dict[str, str]) -> None:
    api.add_run("a")
    cursor = (await page(api))["pageInfo"]["endCursor"]
    code, message = await api.refusal(RUNS, after=cursor, orderBy=order)
    assert (code, message.split(";")[0]) == (
        "CURSOR_INVALID",
        "the cursor belongs to another order of runs",
    )


async def test_a_cursor_of_a_log_is_refused(api: Api) -> None:
    api.add_managed_run("a")
    api.store("a", None)
    events = await api.ask('{ run(runId: "a") { events { nodes { cursor } } } }')
    cursor = events["run"]["events"]["nodes"][0]["cursor"]
    assert (await api.refusal(RUNS, after=cursor))[0] == "CURSOR_INVALID"


def add_runs_to_filter(api: Api) -> None:
    here = NewRun(job=JobSelector("etl"), run_id="ax1", tags=[("env", "prod"), ("who", "ada")])
    api.instance.create_run(here, api.workspace)
    there = NewRun(
        job=JobSelector("both", location_name="there"), run_id="ax2", tags=[("env", "test")]
    )
    api.instance.create_run(there, api.workspace)
    api.add_run("b", job_name="nightly", managed=True, tags={"env": ""})
    api.store("b", EventType.RUN_SUCCESS)


@pytest.mark.parametrize(
    ("filter", "wanted"),
    [
        (None, ["b", "ax2", "ax1"]),
        ({}, ["b", "ax2", "ax1"]),
        ({"runIds": ["ax1", "b", "c"]}, ["b", "ax1"]),
        ({"runIds": []}, []),
        ({"runIds": None}, ["b", "ax2", "ax1"]),
        ({"runIdPrefix": "ax"}, ["ax2", "ax1"]),
        ({"runIdPrefix": ""}, ["b", "ax2", "ax1"]),
        ({"runIdPrefix": "%"}, []),
        ({"jobNames": ["etl", "nightly"]}, ["b", "ax1"]),
        ({"jobNames": []}, []),
        ({"locationName": "there"}, ["ax2"]),
        ({"statuses": ["NOT_STARTED", "SUCCESS"]}, ["b", "ax2", "ax1"]),
        ({"statuses": ["SUCCESS"]}, ["b"]),
        ({"statuses": []}, []),
        ({"tags": [{"key": "env"}]}, ["b", "ax2", "ax1"]),
        ({"tags": [{"key": "env", "values": ["prod", "test"]}]}, ["ax2", "ax1"]),
        ({"tags": [{"key": "env", "values": [""]}]}, ["b"]),
        ({"tags": [{"key": "env", "values": []}]}, []),
        ({"tags": [{"key": "env"}, {"key": "who", "values": ["ada"]}]}, ["ax1"]),
        ({"tags": []}, ["b", "ax2", "ax1"]),
        ({"statuses": ["NOT_STARTED"], "jobNames": ["etl"]}, ["ax1"]),
    ],
)
async def test_each_filter_gives_the_runs_that_it_names(
    api: Api, filter: dict[str, Any] | None, wanted: list[str]
) -> None:
    add_runs_to_filter(api)
    found = await page(api, filter=filter)
    assert ids(found) == wanted
    assert found["totalCount"] == len(wanted)


@pytest.mark.parametrize("field", ["createdAt", "updatedAt"])
async def test_spans_of_time_exclude_their_ends(api: Api, field: str) -> None:
    for day in (1, 2, 3):
        api.add_run(f"r{day}", created_at=86400.0 * day)
    first, second, third = (f"1970-01-0{day + 1}T00:00:00Z" for day in (1, 2, 3))
    for span, wanted in [
        ({"after": first}, ["r3", "r2"]),
        ({"before": third}, ["r2", "r1"]),
        ({"after": first, "before": third}, ["r2"]),
        ({"after": second, "before": third}, []),
        ({}, ["r3", "r2", "r1"]),
    ]:
        assert ids(await page(api, filter={field: span})) == wanted


async def test_a_count_stops_where_it_is_told(api: Api) -> None:
    for number in range(5):
        api.add_run(f"r{number}")
    document = "query($limit: Int) { runs(first: 1) { totalCount(limit: $limit) } }"
    for limit, wanted in [(3, 3), (5, 5), (6, 5), (None, 5)]:
        assert await api.ask(document, limit=limit) == {"runs": {"totalCount": wanted}}
    assert await api.refusal(document, limit=0) == (
        "INVALID_ARGUMENT",
        "`limit` is 0; give 1 to 1,000,000",
    )
