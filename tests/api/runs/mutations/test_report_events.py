"""`reportEvents`: what external systems report, and every way in which it can end."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.documents import load_document
from runwire.events import EventType
from runwire.runs import RunStatus
from tests.api.conftest import Api


async def report(api: Api, *events: dict[str, Any], run_id: str = "r1", **input: Any) -> Any:
    document = load_document("ReportEvents")
    answer = await api.ask(document, input={"runId": run_id, "events": events, **input})
    return answer["reportEvents"]


async def shown(api: Api, run_id: str = "r1") -> list[dict[str, Any]]:
    answer = await api.ask(load_document("RunLog"), runId=run_id)
    nodes: list[dict[str, Any]] = answer["run"]["events"]["nodes"]
    return nodes


async def test_events_are_stored_in_order_and_the_run_follows_them(api: Api) -> None:
    record = api.add_managed_run("r1")
    answer = await report(
        api,
        {"eventType": "RUN_START", "message": "go"},
        {"message": "a line"},
        {"eventType": "STEP_START", "message": "", "stepKey": "load"},
        {"eventType": "RUN_SUCCESS", "message": "done"},
    )
    assert answer["__typename"] == "ReportEventsSuccess"
    assert answer["run"]["status"] == "SUCCESS"
    assert [(each["position"], each["applied"]) for each in answer["records"]] == [
        (1, True),
        (2, True),
        (3, True),
        (4, True),
    ]
    log = await shown(api)
    assert [node["cursor"] for node in log] == [each["cursor"] for each in answer["records"]]
    assert [node["eventType"] for node in log] == ["RUN_START", None, "STEP_START", "RUN_SUCCESS"]
    assert api.record("r1").log_id == record.log_id


METADATA = [
    {"label": "text", "value": {"text": "plain"}},
    {"label": "md", "description": "In bold.", "value": {"markdown": "**b**"}},
    {"label": "url", "value": {"url": "https://example.org"}},
    {"label": "path", "value": {"path": "/data"}},
    {"label": "whole", "value": {"number": 5}},
    {"label": "part", "value": {"number": 0.5}},
    {"label": "json", "value": {"json": {"a": [1, None, False]}}},
    {"label": "run", "value": {"runId": "r0"}},
    {"label": "asset", "value": {"assetKey": ["a", "b"]}},
]


def entry(label: str, value: dict[str, Any], description: str | None = None) -> dict[str, Any]:
    return {"label": label, "description": description, "value": value}


METADATA_SHOWN = [
    entry("text", {"__typename": "TextMetadata", "text": "plain", "format": "PLAIN"}),
    entry("md", {"__typename": "TextMetadata", "text": "**b**", "format": "MARKDOWN"}, "In bold."),
    entry("url", {"__typename": "TextMetadata", "text": "https://example.org", "format": "URL"}),
    entry("path", {"__typename": "TextMetadata", "text": "/data", "format": "PATH"}),
    entry("whole", {"__typename": "NumberMetadata", "number": 5, "exact": "5"}),
    entry("part", {"__typename": "NumberMetadata", "number": 0.5, "exact": "0.5"}),
    entry("json", {"__typename": "JsonMetadata", "json": {"a": [1, None, False]}}),
    entry("run", {"__typename": "RunMetadata", "runId": "r0"}),
    entry("asset", {"__typename": "AssetMetadata", "assetKey": ["a", "b"]}),
]


async def test_an_asset_event_is_stored_in_full(api: Api) -> None:
    api.add_managed_run("r1")
    asset = {
        "assetKey": ["a", "b"],
        "partition": "today",
        "description": "Made.",
        "tags": [{"key": "k", "value": "v"}],
        "metadata": METADATA,
    }
    event = {"eventType": "ASSET_MATERIALIZATION", "message": "made", "data": {"asset": asset}}
    await report(api, event)
    (node,) = await shown(api)
    assert node["data"] == {
        "__typename": "AssetEventData",
        **asset,
        "metadata": METADATA_SHOWN,
    }


async def test_an_expectation_is_stored_in_full(api: Api) -> None:
    api.add_managed_run("r1")
    expectation = {"success": False, "label": "rows", "description": "Some.", "metadata": METADATA}
    await report(
        api,
        {
            "eventType": "STEP_EXPECTATION_RESULT",
            "message": "",
            "stepKey": "load",
            "data": {"expectation": expectation},
        },
    )
    (node,) = await shown(api)
    assert node["data"] == {
        "__typename": "ExpectationData",
        **expectation,
        "metadata": METADATA_SHOWN,
    }


async def test_an_engine_event_is_stored_in_full(api: Api) -> None:
    api.add_managed_run("r1")
    engine = {"markerStart": "a", "markerEnd": "b", "metadata": METADATA}
    await report(api, {"eventType": "ENGINE_EVENT", "message": "", "data": {"engine": engine}})
    (node,) = await shown(api)
    assert node["data"] == {"__typename": "EngineEventData", **engine, "metadata": METADATA_SHOWN}


async def test_what_is_left_out_is_filled_in(api: Api) -> None:
    api.add_managed_run("r1")
    await report(
        api,
        {"eventType": "ENGINE_EVENT", "message": "", "data": {"engine": {}}},
        {"eventType": "STEP_FAILURE", "message": "no", "stepKey": "load"},
    )
    first, second = await shown(api)
    assert first["data"] == {
        "__typename": "EngineEventData",
        "markerStart": None,
        "markerEnd": None,
        "metadata": [],
    }
    assert (first["level"], second["level"]) == ("INFO", "ERROR")
    assert second["timestamp"] >= first["timestamp"]


async def test_level_time_and_error_are_those_of_the_report(api: Api) -> None:
    api.add_managed_run("r1")
    await report(
        api,
        {
            "eventType": "STEP_FAILURE",
            "message": "no",
            "level": "CRITICAL",
            "timestamp": "2026-11-21T18:05:03.5+01:00",
            "stepKey": "load",
            "error": {"message": "no", "className": "ValueError", "stack": ["a", "b"]},
        },
        {"message": "x", "error": {"message": "bare"}},
    )
    first, second = await shown(api)
    assert (first["level"], first["timestamp"]) == ("CRITICAL", "2026-11-21T17:05:03.500000Z")
    assert first["error"] == {
        "message": "no",
        "className": "ValueError",
        "stack": ["a", "b"],
        "causes": [],
    }
    assert second["error"] == {"message": "bare", "className": None, "stack": [], "causes": []}


async def test_a_failure_is_known_to_be_reported(api: Api) -> None:
    api.add_managed_run("r1")
    for key in ("a", "b", "a"):
        await report(api, {"eventType": "STEP_FAILURE", "message": "", "stepKey": key})
    await report(
        api,
        {"eventType": "STEP_FAILURE", "message": "", "stepKey": "c"},
        {"eventType": "STEP_SUCCESS", "message": "", "stepKey": "d"},
        {"eventType": "RUN_FAILURE", "message": "It broke."},
    )
    answer = await api.ask('{ run(runId: "r1") { failure { reason message failedStepKeys } } }')
    assert answer["run"]["failure"] == {
        "reason": "REPORTED",
        "message": "It broke.",
        "failedStepKeys": ["a", "b", "c"],
    }


async def test_a_failure_names_at_most_25_steps(api: Api) -> None:
    api.add_managed_run("r1")
    failures = [
        {"eventType": "STEP_FAILURE", "message": "", "stepKey": f"s{number:02}"}
        for number in range(30)
    ]
    await report(api, *failures, {"eventType": "RUN_FAILURE", "message": ""})
    failure = api.record("r1").failure
    assert failure is not None
    assert failure.failed_step_keys == tuple(f"s{number:02}" for number in range(25))


async def test_a_repeated_report_is_stored_once(api: Api) -> None:
    api.add_managed_run("r1")
    events = [{"message": "a"}, {"message": "b"}]
    first = await report(api, *events, idempotencyKey="k")
    again = await report(api, *events, idempotencyKey="k")
    assert again["records"] == first["records"]
    assert len(api.log("r1")) == 2


@pytest.mark.parametrize("run_id", ["gone", "\ud800"])
async def test_an_unknown_run_is_refused(api: Api, run_id: str) -> None:
    assert (await report(api, {"message": "x"}, run_id=run_id))["__typename"] == "RunNotFound"


async def test_a_run_that_is_not_managed_is_refused(api: Api) -> None:
    api.create_run("r1")
    answer = await report(api, {"message": "x"})
    assert answer["__typename"] == "RunStateConflict"
    assert answer["run"]["status"] == "NOT_STARTED"
    assert answer["expectedStatuses"] == ["MANAGED"]
    assert api.log("r1") == []


GOOD = {"message": "good"}
METADATA_OF_1_MB = [{"label": f"{n}", "value": {"text": "x" * 100_000}} for n in range(11)]


@pytest.mark.parametrize(
    ("event", "path"),
    [
        ({"eventType": "RUN_ENQUEUED", "message": ""}, ["eventType"]),
        ({"eventType": "STEP_OUTPUT", "message": ""}, ["data"]),
        ({"eventType": "STEP_START", "message": ""}, ["stepKey"]),
        ({"message": "", "stepKey": ""}, ["stepKey"]),
        ({"message": "x" * 100_001}, ["message"]),
        ({"eventType": "ASSET_OBSERVATION", "message": ""}, ["data"]),
        ({"message": "", "data": {"engine": {}}}, ["data"]),
        (
            {"eventType": "RUN_START", "message": "", "data": {"expectation": {"success": True}}},
            ["data"],
        ),
        (
            {
                "eventType": "ASSET_OBSERVATION",
                "message": "",
                "data": {"asset": {"assetKey": ["a", ""]}},
            },
            ["data", "asset", "assetKey"],
        ),
        (
            {
                "eventType": "ASSET_OBSERVATION",
                "message": "",
                "data": {"asset": {"assetKey": ["a"], "metadata": METADATA_OF_1_MB}},
            },
            ["data"],
        ),
        (
            {"eventType": "ASSET_OBSERVATION", "message": "", "data": {"asset": {"assetKey": []}}},
            ["data", "asset", "assetKey"],
        ),
    ],
)
async def test_one_event_that_is_refused_keeps_all_from_being_stored(
    api: Api, event: dict[str, Any], path: list[str]
) -> None:
    api.add_managed_run("r1")
    answer = await report(api, GOOD, event)
    assert answer["__typename"] == "InputInvalid"
    assert answer["path"] == ["input", "events", "1", *path]
    assert api.log("r1") == []


async def test_nothing_may_follow_the_end_of_the_run(api: Api) -> None:
    api.add_managed_run("r1")
    answer = await report(api, {"eventType": "RUN_SUCCESS", "message": ""}, GOOD)
    assert (answer["__typename"], answer["path"]) == ("InputInvalid", ["input", "events", "1"])
    assert api.record("r1").status is RunStatus.MANAGED


@pytest.mark.parametrize(("count", "accepted"), [(0, False), (1000, True), (1001, False)])
async def test_a_report_has_1_to_1000_events(api: Api, count: int, accepted: bool) -> None:
    api.add_managed_run("r1")
    answer = await report(api, *[GOOD] * count)
    assert (answer["__typename"] == "ReportEventsSuccess") == accepted
    assert len(api.log("r1")) == (count if accepted else 0)
    if not accepted:
        assert answer["path"] == ["input", "events"]


async def test_a_wrong_key_is_told_with_the_way_to_it(api: Api) -> None:
    api.add_managed_run("r1")
    answer = await report(api, GOOD, idempotencyKey="\ud800")
    assert answer["path"] == ["input", "idempotencyKey"]


SURROGATE = "a\ud800b"


async def test_lone_surrogates_are_stored_escaped(api: Api) -> None:
    """What a program could log must not keep it from being told."""
    api.add_managed_run("r1")
    metadata = [
        {"label": SURROGATE, "description": SURROGATE, "value": {"text": SURROGATE}},
        {"label": "j", "value": {"json": {SURROGATE: [SURROGATE]}}},
    ]
    asset = {
        "assetKey": [SURROGATE],
        "partition": SURROGATE,
        "description": SURROGATE,
        "tags": [{"key": SURROGATE, "value": SURROGATE}],
        "metadata": metadata,
    }
    answer = await report(
        api,
        {
            "eventType": "ASSET_OBSERVATION",
            "message": SURROGATE,
            "stepKey": SURROGATE,
            "error": {"message": SURROGATE, "className": SURROGATE, "stack": [SURROGATE]},
            "data": {"asset": asset},
        },
    )
    assert answer["__typename"] == "ReportEventsSuccess"
    (node,) = await shown(api)
    escaped = "a\\ud800b"
    assert (node["message"], node["stepKey"]) == (escaped, escaped)
    assert node["error"] == {
        "message": escaped,
        "className": escaped,
        "stack": [escaped],
        "causes": [],
    }
    assert node["data"] == {
        "__typename": "AssetEventData",
        "assetKey": [escaped],
        "partition": escaped,
        "description": escaped,
        "tags": [{"key": escaped, "value": escaped}],
        "metadata": [
            entry(
                escaped, {"__typename": "TextMetadata", "text": escaped, "format": "PLAIN"}, escaped
            ),
            entry("j", {"__typename": "JsonMetadata", "json": {escaped: [escaped]}}),
        ],
    }


async def test_json_that_nests_too_deep_is_refused(api: Api) -> None:
    api.add_managed_run("r1")
    value: Any = 1
    for _ in range(200):
        value = [value]
    engine = {"metadata": [{"label": "deep", "value": {"json": value}}]}
    event = {"eventType": "ENGINE_EVENT", "message": "", "data": {"engine": engine}}
    code, message = await api.refusal(
        load_document("ReportEvents"), input={"runId": "r1", "events": [event]}
    )
    assert code == "INVALID_ARGUMENT"
    assert "a JSON value nests at most 100 levels deep" in message
    assert api.log("r1") == []


@pytest.mark.parametrize(
    "event_type", [each for each in EventType if each.value.startswith("HOOK_")]
)
async def test_a_type_of_steps_needs_its_step(api: Api, event_type: EventType) -> None:
    api.add_managed_run("r1")
    answer = await report(api, {"eventType": event_type.value, "message": ""})
    assert answer["path"] == ["input", "events", "0", "stepKey"]


async def test_what_was_loaded_for_one_mutation_is_not_what_the_next_one_shows(api: Api) -> None:
    api.add_managed_run("r1")
    reports = "".join(
        f"""{name}: reportEvents(input: {{
          runId: "r1", events: [{{eventType: {event_type}, message: "", stepKey: "a"}}]
        }}) {{ ... on ReportEventsSuccess {{ run {{ stats {{ stepsInProgress stepsSucceeded }} }} }} }}
        """
        for name, event_type in [("first", "STEP_START"), ("second", "STEP_SUCCESS")]
    )
    assert await api.ask(f"mutation {{ {reports} }}") == {
        "first": {"run": {"stats": {"stepsInProgress": 1, "stepsSucceeded": 0}}},
        "second": {"run": {"stats": {"stepsInProgress": 0, "stepsSucceeded": 1}}},
    }
