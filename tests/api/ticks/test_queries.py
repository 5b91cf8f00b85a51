"""Schedules and their ticks as the API shows them."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.api.opaque import pack
from runwire.documents import load_document
from runwire.errors import TickEvaluationError
from runwire.ticks import RunRequest, TickSourceStatus
from tests.api.conftest import Api

DAY = 86_400.0
NOON = 1_699_963_200.0  # 2023-11-14 12:00 UTC

ONE = "query($s: ScheduleSelector!) { schedule(selector: $s) { %s } }"
ALL = """query($filter: TickSourceFilter, $first: Int, $after: String) {
  schedules(filter: $filter, first: $first, after: $after) {
    totalCount
    nodes { name }
    edges { cursor node { name } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""


def nightly(fields: str) -> tuple[str, dict[str, Any]]:
    return ONE % fields, {"scheduleName": "nightly"}


async def ask_nightly(api: Api, fields: str) -> Any:
    document, selector = nightly(fields)
    return (await api.ask(document, s=selector))["schedule"]


async def test_a_schedule_shows_its_definition(api: Api) -> None:
    api.schedule(
        "nightly", cron_schedule="0 2 * * *", timezone="Europe/Berlin", description="Loads."
    )
    found = await ask_nightly(
        api,
        """name repositoryName locationName codeLocation { name status } description status defaultStatus
        runningSince jobs { name } cronSchedule timezone ticks { nodes { status } }
        nextTicks(first: 2, after: "2023-10-28T12:00:00Z")""",
    )
    assert found == {
        "name": "nightly",
        "repositoryName": "main",
        "locationName": "here",
        "codeLocation": {"name": "here", "status": "LOADED"},
        "description": "Loads.",
        "status": "STOPPED",
        "defaultStatus": "STOPPED",
        "runningSince": None,
        "jobs": [{"name": "etl"}],
        "cronSchedule": "0 2 * * *",
        "timezone": "Europe/Berlin",
        "ticks": {"nodes": []},
        "nextTicks": ["2023-10-29T01:00:00Z", "2023-10-30T01:00:00Z"],
    }


@pytest.mark.parametrize("starts_running", [True, False])
async def test_its_status_is_that_of_its_definition_until_somebody_says_otherwise(
    api: Api, starts_running: bool
) -> None:
    origin = api.schedule("nightly", starts_running=starts_running)
    schedules = api.instance.storage.schedule_storage
    default = "RUNNING" if starts_running else "STOPPED"
    fields = "status defaultStatus runningSince"
    answer = {"defaultStatus": default, "runningSince": None}
    assert await ask_nightly(api, fields) == {"status": default, **answer}
    schedules.add_tick_source(origin, TickSourceStatus.RUNNING, at=NOON, by_default=True)
    since = "2023-11-14T12:00:00Z" if starts_running else None
    assert await ask_nightly(api, fields) == {"status": default, **answer, "runningSince": since}
    schedules.set_tick_source_status(origin, TickSourceStatus.STOPPED, at=NOON)
    assert await ask_nightly(api, fields) == {"status": "STOPPED", **answer}
    schedules.set_tick_source_status(origin, TickSourceStatus.RUNNING, at=NOON)
    assert await ask_nightly(api, fields) == {
        "status": "RUNNING",
        **answer,
        "runningSince": "2023-11-14T12:00:00Z",
    }


async def test_what_runs_without_a_definition_is_shown_all_the_same(api: Api) -> None:
    api.tick("nightly", NOON)
    api.workspace.get_location("here").fail()
    fields = """name codeLocation { status } status jobs { name } cronSchedule timezone nextTicks
        ticks { nodes { status source { name } } }"""
    shown = {
        "name": "nightly",
        "codeLocation": {"status": "FAILED"},
        "status": "RUNNING",
        "jobs": [],
        "cronSchedule": "",
        "timezone": "",
        "nextTicks": [],
        "ticks": {"nodes": [{"status": "SKIPPED", "source": {"name": "nightly"}}]},
    }
    assert await ask_nightly(api, fields) == shown
    api.workspace.remove("here")
    assert await ask_nightly(api, fields) == {**shown, "codeLocation": None}
    assert (await api.ask(ALL))["schedules"]["nodes"] == [{"name": "nightly"}]


async def test_a_schedule_that_is_not_there_is_null_and_an_ambiguous_one_refused(api: Api) -> None:
    document, selector = nightly("name locationName")
    assert await api.ask(document, s=selector) == {"schedule": None}
    assert await api.ask(document, s={"scheduleName": "\ud800"}) == {"schedule": None}
    api.schedule("nightly")
    there = api.workspace.get_location("there")
    there.schedule(*api.workspace.get_location("here").state.repositories[0].schedules)
    code, message = await api.refusal(document, s=selector)
    assert (code, message) == (
        "INVALID_ARGUMENT",
        "schedule 'nightly' is in here/main, there/main; name its repository or its code location as well",
    )
    for place in ("here", "there"):
        found = await api.ask(document, s={**selector, "locationName": place})
        assert found == {"schedule": {"name": "nightly", "locationName": place}}


async def test_schedules_come_by_name_in_pages(api: Api) -> None:
    for name in ("b", "d", "a", "c"):
        api.schedule(name)
    first = (await api.ask(ALL, first=3))["schedules"]
    assert [each["name"] for each in first["nodes"]] == ["a", "b", "c"]
    assert [each["node"] for each in first["edges"]] == first["nodes"]
    assert first["totalCount"] == 4
    place = first["pageInfo"]
    assert (place["hasNextPage"], place["hasPreviousPage"]) == (True, False)
    assert (place["startCursor"], place["endCursor"]) == (
        first["edges"][0]["cursor"],
        first["edges"][2]["cursor"],
    )
    rest = (await api.ask(ALL, first=3, after=place["endCursor"]))["schedules"]
    assert [each["name"] for each in rest["nodes"]] == ["d"]
    assert rest["totalCount"] == 4
    assert (rest["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasPreviousPage"]) == (False, True)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"name": "NIGHT"}, ["nightly"]),
        ({"locationName": "here"}, ["hourly", "nightly"]),
        ({"locationName": "there"}, []),
        ({"jobName": "both"}, ["hourly"]),
        ({"status": "RUNNING"}, ["nightly"]),
        ({"status": "STOPPED"}, ["hourly"]),
        ({"status": "RUNNING", "jobName": "both"}, []),
    ],
)
async def test_schedules_are_filtered(api: Api, wanted: dict[str, Any], names: list[str]) -> None:
    api.schedule("nightly", starts_running=True)
    api.schedule("hourly", job_name="both")
    found = (await api.ask(ALL, filter=wanted))["schedules"]
    assert [each["name"] for each in found["nodes"]] == names
    assert found["totalCount"] == len(names)


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"first": 0}, "INVALID_ARGUMENT"),
        ({"first": 101}, "INVALID_ARGUMENT"),
        ({"after": "x"}, "CURSOR_INVALID"),
        ({"after": pack(1, "SENSOR", "a", "b", "c")}, "CURSOR_INVALID"),
        ({"after": pack(2, "SCHEDULE", "a", "b", "c")}, "CURSOR_INVALID"),
    ],
)
async def test_a_wrong_page_of_schedules_is_refused(
    api: Api, variables: dict[str, Any], code: str
) -> None:
    assert (await api.refusal(ALL, **variables))[0] == code


@pytest.mark.parametrize(
    "arguments",
    ["first: 0", "first: 101", 'after: "1960-01-01T00:00:00Z"', 'after: "9500-01-01T00:00:00Z"'],
)
async def test_wrong_instants_are_refused(api: Api, arguments: str) -> None:
    api.schedule("nightly")
    document, selector = nightly(f"nextTicks({arguments})")
    assert (await api.refusal(document, s=selector))[0] == "INVALID_ARGUMENT"


async def test_a_hundred_instants_come_to_the_end_of_time(api: Api) -> None:
    api.schedule("nightly", cron_schedule="0 0 29 2 *", timezone="Australia/Lord_Howe")
    found = await ask_nightly(api, 'nextTicks(first: 100, after: "8999-12-31T23:59:59Z")')
    assert len(set(found["nextTicks"])) == 100


# -------------------------------------------------------------------------------------- ticks

TICK = """status dueAt startedAt endedAt skipReason attempts runKeys cursor error { message className }
    source { name } runs { totalCount nodes { runId tick { id } } }"""


async def test_a_tick_shows_what_came_of_it(api: Api) -> None:
    first = RunRequest(job_name="etl", tags={"n": "1"})
    made = api.tick("nightly", NOON, first, RunRequest(job_name="etl"))
    (shown,) = (await ask_nightly(api, f"ticks {{ nodes {{ id {TICK} }} }}"))["ticks"]["nodes"]
    assert shown == {
        "id": shown["id"],
        "status": "SUCCESS",
        "dueAt": "2023-11-14T12:00:00Z",
        "startedAt": "2023-11-14T12:00:00.500000Z",
        "endedAt": "2023-11-14T12:00:00.500000Z",
        "skipReason": None,
        "attempts": 1,
        "runKeys": [],
        "cursor": None,
        "error": None,
        "source": {"name": "nightly"},
        "runs": {
            "totalCount": 2,
            "nodes": [{"runId": run_id, "tick": {"id": shown["id"]}} for run_id in made.run_ids],
        },
    }


async def test_a_refused_request_is_told_and_the_others_have_their_runs(api: Api) -> None:
    bad = RunRequest(job_name="etl", run_config={"bad": 1})
    made = api.tick("nightly", NOON, bad, RunRequest(job_name="etl"))
    (shown,) = (await ask_nightly(api, f"ticks {{ nodes {{ {TICK} }} }}"))["ticks"]["nodes"]
    assert shown["status"] == "FAILURE"
    assert shown["error"]["message"].startswith(
        "run request 1 of schedule 'nightly' is refused: the run config does not fit job 'etl'"
    )
    assert [run["runId"] for run in shown["runs"]["nodes"]] == list(made.run_ids)


async def test_the_runs_of_a_tick_come_oldest_first_in_pages(api: Api) -> None:
    made = api.tick("nightly", NOON, *(RunRequest(job_name="etl") for _ in range(3)))
    api.create_run("another")
    runs = """ticks { nodes { runs(%s) {
        totalCount headCursor nodes { runId } pageInfo { hasNextPage endCursor }
    } } }"""
    (tick,) = (await ask_nightly(api, runs % "first: 2"))["ticks"]["nodes"]
    assert [run["runId"] for run in tick["runs"]["nodes"]] == list(made.run_ids[:2])
    assert tick["runs"]["totalCount"] == 3
    assert tick["runs"]["pageInfo"]["hasNextPage"]
    after = f'first: 2, after: "{tick["runs"]["pageInfo"]["endCursor"]}"'
    (tick,) = (await ask_nightly(api, runs % after))["ticks"]["nodes"]
    assert [run["runId"] for run in tick["runs"]["nodes"]] == list(made.run_ids[2:])
    (tick,) = (
        await ask_nightly(api, "ticks { nodes { runs { totalCount(limit: 2) nodes { runId } } } }")
    )["ticks"]["nodes"]
    assert tick["runs"]["totalCount"] == 2


async def test_ticks_come_newest_first_in_pages_of_some_statuses(api: Api) -> None:
    for day in range(4):
        requests = [RunRequest(job_name="etl")] if day % 2 else []
        api.tick("nightly", NOON + day * DAY, *requests)
    fields = """ticks(%s) {
        edges { cursor node { dueAt } } nodes { dueAt } pageInfo { hasNextPage hasPreviousPage endCursor }
    }"""

    async def page(arguments: str) -> tuple[list[int], dict[str, Any]]:
        ticks = (await ask_nightly(api, fields % arguments))["ticks"]
        assert [each["node"] for each in ticks["edges"]] == ticks["nodes"]
        return [int(each["dueAt"][8:10]) for each in ticks["nodes"]], ticks["pageInfo"]

    days, place = await page("first: 3")
    assert (days, place["hasNextPage"], place["hasPreviousPage"]) == ([17, 16, 15], True, False)
    days, place = await page(f'first: 3, after: "{place["endCursor"]}"')
    assert (days, place["hasNextPage"], place["hasPreviousPage"]) == ([14], False, True)
    days, place = await page("statuses: [SUCCESS], first: 2")
    assert (days, place["hasNextPage"]) == ([17, 15], False)
    assert (await page("statuses: []"))[0] == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("first: 0", "INVALID_ARGUMENT"),
        ("first: 101", "INVALID_ARGUMENT"),
        ('after: "x"', "CURSOR_INVALID"),
        (f'after: "{pack(1, "ticks", "another", 1.0, 1)}"', "CURSOR_INVALID"),
        (f'after: "{pack(1, "ticks", "another", 1.0, True)}"', "CURSOR_INVALID"),
    ],
)
async def test_a_wrong_page_of_ticks_is_refused(api: Api, arguments: str, code: str) -> None:
    api.schedule("nightly")
    document, selector = nightly(f"ticks({arguments}) {{ nodes {{ id }} }}")
    result = await api.execute(document, s=selector)
    assert result.data == {"schedule": {"ticks": None}}
    assert [(error.extensions or {})["code"] for error in result.errors or ()] == [code]


async def test_a_run_that_nobody_scheduled_has_no_tick_nor_has_one_whose_tick_was_purged(
    api: Api,
) -> None:
    api.create_run("r1")
    made = api.tick("nightly", NOON, RunRequest(job_name="etl"))
    api.instance.storage.schedule_storage.purge_ticks(NOON + 1, limit=10)
    document = "query($id: ID!) { run(runId: $id) { tick { id } } }"
    for run_id in ("r1", *made.run_ids):
        assert await api.ask(document, id=run_id) == {"run": {"tick": None}}


async def test_runs_are_found_by_their_schedule(api: Api) -> None:
    made = api.tick("nightly", NOON, RunRequest(job_name="etl"))
    api.tick("hourly", NOON, RunRequest(job_name="etl"))
    api.create_run("r1")
    document = "query($f: RunsFilter) { runs(filter: $f) { nodes { runId } } }"
    found = await api.ask(document, f={"scheduleName": "nightly"})
    assert [run["runId"] for run in found["runs"]["nodes"]] == list(made.run_ids)
    found = await api.ask(document, f={"scheduleName": "nightly", "jobNames": ["both"]})
    assert found["runs"]["nodes"] == []


async def test_a_job_tells_what_may_request_its_runs(api: Api) -> None:
    api.schedule("nightly")
    api.schedule("hourly", starts_running=True)
    api.schedule("others", job_name="both")
    document = """{ job(selector: {jobName: "etl"}) {
        tickSources { __typename name status ... on Schedule { cronSchedule } }
    } }"""
    assert await api.ask(document) == {
        "job": {
            "tickSources": [
                {
                    "__typename": "Schedule",
                    "name": name,
                    "status": status,
                    "cronSchedule": "0 2 * * *",
                }
                for name, status in (("hourly", "RUNNING"), ("nightly", "STOPPED"))
            ]
        }
    }


async def test_the_documents_show_schedules_with_ticks_of_all_kinds(api: Api) -> None:
    api.tick("nightly", NOON, RunRequest(job_name="etl"))
    api.tick("nightly", NOON + DAY)
    api.tick("hourly", NOON, RunRequest(job_name="etl", run_config={"bad": 1}))
    listed = (await api.ask(load_document("Schedules")))["schedules"]
    statuses = {
        each["name"]: [tick["status"] for tick in each["ticks"]["nodes"]]
        for each in listed["nodes"]
    }
    assert statuses == {"hourly": ["FAILURE"], "nightly": ["SKIPPED", "SUCCESS"]}
    detail = await api.ask(
        load_document("ScheduleDetail"),
        selector={"scheduleName": "nightly"},
        statuses=["SUCCESS"],
        next=1,
        nextAfter="2023-11-14T12:00:00Z",
    )
    assert detail["schedule"]["due"] == ["2023-11-15T02:00:00Z"]
    assert [tick["status"] for tick in detail["schedule"]["ticks"]["nodes"]] == ["SUCCESS"]


async def test_the_instance_names_its_scheduler(api: Api) -> None:
    shown = await api.ask("{ instance { scheduler { module className config } } }")
    assert shown["instance"]["scheduler"] == {
        "module": "runwire.schedulers.daemon",
        "className": "DaemonScheduler",
        "config": {"enabled": True, "max_catchup_ticks": 1, "max_tick_retries": 0},
    }


async def test_a_function_that_raised_is_told_with_its_stack(api: Api) -> None:
    error = TickEvaluationError("the function of schedule 'nightly' raised")
    api.schedule("nightly")
    api.workspace.get_location("here").evaluation = error
    api.tick("nightly", NOON)
    assert api.workspace.get_location("here").evaluated == [("main", "nightly", NOON)]
