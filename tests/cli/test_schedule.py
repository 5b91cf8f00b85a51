"""``runwire schedule``: looked at, started, tried and stopped on a real server, whose ticks run jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.client import RunwireClient, ScheduleNotFoundError
from runwire.runs.status import RunStatus
from runwire.ticks.source import TickSourceStatus
from runwire.ticks.tick import TickStatus
from tests.cli.conftest import Invoke
from tests.cli.served import PATIENCE_SECONDS, Served, serving

JOBS = '''
from runwire import (
    DefaultScheduleStatus, RunRequest, ScheduleDefinition, ScheduleEvaluationContext, SkipReason, job, op, schedule,
)


@op
def load() -> None: ...


@job
def etl():
    load()


@schedule("0 2 * * *", job=etl, execution_timezone="Europe/Berlin", tags={"team": "a"})
def nightly(context: ScheduleEvaluationContext):
    """Loads what is new."""
    if context.scheduled_execution_time.month == 1:
        return SkipReason("nothing is new in January")
    return RunRequest(tags={"day": f"{context.scheduled_execution_time:%d}"})


@schedule("@daily", job=etl)
def broken():
    raise ValueError("broken on purpose")


each_minute = ScheduleDefinition("each_minute", cron_schedule="* * * * *", job=etl)
'''


@pytest.fixture(scope="module")
def scheduled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("scheduled")
    (folder / "jobs.py").write_text(JOBS)
    with serving(folder, "-f", "jobs.py") as running:
        yield running


def test_schedules_are_listed_by_name(scheduled: Served, invoke: Invoke) -> None:
    result = invoke("schedule", "list", "--url", scheduled.url, "--location", "jobs")
    assert (result.exit_code, result.stderr) == (0, "")
    _, *lines = result.stdout.splitlines()
    names = [line.split()[0] for line in lines]
    assert names == ["broken", "each_minute", "nightly"]
    assert lines[2].split()[1:4] == ["jobs", "etl", "0"]
    found = invoke(
        "schedule", "list", "--json", "--name", "NIGHT", "--job", "etl", "--url", scheduled.url
    )
    (shown,) = [json.loads(line) for line in found.stdout.splitlines()]
    assert (shown["name"], shown["cronSchedule"], shown["timezone"], shown["status"]) == (
        "nightly",
        "0 2 * * *",
        "Europe/Berlin",
        "STOPPED",
    )


def test_the_list_goes_on_over_pages_up_to_the_limit(
    scheduled: Served, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runwire.cli.schedule.list._PAGE", 1)
    result = invoke("schedule", "list", "--json", "--limit", "2", "--url", scheduled.url)
    assert [json.loads(line)["name"] for line in result.stdout.splitlines()] == [
        "broken",
        "each_minute",
    ]


def test_a_schedule_is_shown_with_when_it_is_due(scheduled: Served, invoke: Invoke) -> None:
    result = invoke("schedule", "show", "nightly", "--url", scheduled.url)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert lines["schedule"] == "nightly"
    assert lines["what"] == "for  Loads what is new."
    assert lines["cron"] == "0 2 * * * (Europe/Berlin)"
    assert lines["status"] == "STOPPED"


def test_what_is_due_is_previewed_over_a_change_of_the_clocks(
    scheduled: Served, invoke: Invoke
) -> None:
    result = invoke(
        "schedule", "preview", "nightly", "-n", "2", "--after", "2023-10-28T12:00:00", "--json",
        "--url", scheduled.url,
    )  # fmt: skip
    assert [json.loads(line)["dueAt"] for line in result.stdout.splitlines()] == [
        "2023-10-29T01:00:00+00:00",
        "2023-10-30T01:00:00+00:00",
    ]
    result = invoke("schedule", "preview", "nightly", "-n", "3", "--url", scheduled.url)
    assert len(result.stdout.splitlines()) == 4


def test_what_it_asks_for_is_tried(scheduled: Served, invoke: Invoke) -> None:
    result = invoke(
        "schedule",
        "evaluate",
        "nightly",
        "--at",
        "2026-05-04T00:00:00+02:00",
        "--url",
        scheduled.url,
    )
    assert (result.exit_code, result.stdout) == (0, "run of etl  {}  day=04 team=a\n")
    result = invoke("schedule", "evaluate", "nightly", "--at", "2026-01-02", "--url", scheduled.url)
    assert (result.exit_code, result.stdout) == (
        0,
        "it asks for no run: nothing is new in January\n",
    )
    result = invoke("schedule", "evaluate", "broken", "--url", scheduled.url)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "broken on purpose" in result.stderr
    result = invoke("schedule", "evaluate", "broken", "--json", "--url", scheduled.url)
    assert "broken on purpose" in json.dumps(json.loads(result.stdout)["error"])
    with RunwireClient(scheduled.url) as client:
        assert client.list_runs(tags={"day": "04"}).runs == ()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "nigthly"), "there is no schedule 'nigthly'"),
        (("start", "nigthly"), "there are: broken, each_minute, nightly"),
        (("stop", "nigthly"), "there are: broken, each_minute, nightly"),
        (("evaluate", "nightly", "--at", "tomorrow"), "--at: 'tomorrow' is no instant"),
        (("preview", "nightly", "--after", "9999-12-31"), "give an instant of the years"),
    ],
)
def test_what_is_wrong_is_told(
    scheduled: Served, invoke: Invoke, arguments: tuple[str, ...], said: str
) -> None:
    result = invoke("schedule", *arguments, "--url", scheduled.url)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_the_client_tells_a_schedule_that_is_not_there(scheduled: Served) -> None:
    with RunwireClient(scheduled.url) as client:
        assert client.get_schedule("nigthly") is None
        with pytest.raises(ScheduleNotFoundError):
            client.start_schedule("nigthly")


def test_a_started_schedule_makes_ticks_without_further_ado(
    scheduled: Served, invoke: Invoke
) -> None:
    """A schedule of each minute, in at most a minute and what the machine needs."""
    result = invoke("schedule", "start", "each_minute", "--url", scheduled.url)
    assert (result.exit_code, result.stdout[:44]) == (
        0,
        "schedule each_minute runs; it is due next at",
    )
    end = time.monotonic() + 60 + PATIENCE_SECONDS
    with RunwireClient(scheduled.url) as client:
        while not (page := client.list_runs(statuses=[RunStatus.SUCCESS], job_names=["etl"])).runs:
            assert time.monotonic() < end, "no tick was made"
            time.sleep(0.1)
        shown = client.get_schedule("each_minute", statuses=[TickStatus.SUCCESS])
        assert shown is not None
        assert shown.status is TickSourceStatus.RUNNING
        assert shown.ticks is not None
        assert page.runs[-1].run_id in [
            run.run_id for tick in shown.ticks.ticks for run in tick.runs.nodes
        ]
    listed = invoke(
        "schedule", "ticks", "each_minute", "--status", "SUCCESS", "--url", scheduled.url
    )
    assert page.runs[-1].run_id in listed.stdout
    as_json = invoke(
        "schedule", "ticks", "each_minute", "--json", "--limit", "1", "--url", scheduled.url
    )
    assert len(as_json.stdout.splitlines()) == 1
    shown_too = invoke("schedule", "show", "each_minute", "--url", scheduled.url)
    assert page.runs[-1].run_id in shown_too.stdout
    result = invoke("schedule", "stop", "each_minute", "--url", scheduled.url)
    assert result.stdout == "schedule each_minute is stopped\n"
    running = invoke("schedule", "list", "--status", "RUNNING", "--json", "--url", scheduled.url)
    assert running.stdout == ""
