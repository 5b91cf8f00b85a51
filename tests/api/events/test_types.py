"""Event records as GraphQL shows them: each payload, and those that cannot be read."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLUnionType, build_schema

from runwire.api.schema import print_schema
from runwire.documents import load_document
from runwire.error_info import ErrorInfo
from runwire.events import EventLogEntry, EventLogRecord, EventType, LogLevel
from runwire.events import payloads as p
from runwire.events.metadata import MetadataEntry, MetadataValue, NumberMetadata
from runwire.storage import EventLogPage
from tests.api.conftest import Api

METADATA = (
    MetadataEntry("text", MetadataValue.text("plain")),
    MetadataEntry("md", MetadataValue.markdown("**b**"), "In bold."),
    MetadataEntry("url", MetadataValue.url("https://example.org")),
    MetadataEntry("path", MetadataValue.path("/data")),
    MetadataEntry("big", MetadataValue.number(2**53 + 1)),
    MetadataEntry("nan", MetadataValue.number(float("nan"))),
    MetadataEntry("huge", NumberMetadata("9" * 400)),
    MetadataEntry("json", MetadataValue.json({"a": [None, True]})),
    MetadataEntry("null", MetadataValue.json(None)),
    MetadataEntry("run", MetadataValue.run("r0")),
    MetadataEntry("asset", MetadataValue.asset(["a", "b"])),
)


def entry(label: str, value: dict[str, Any], description: str | None = None) -> dict[str, Any]:
    return {"label": label, "description": description, "value": value}


METADATA_SHOWN = [
    entry("text", {"__typename": "TextMetadata", "text": "plain", "format": "PLAIN"}),
    entry("md", {"__typename": "TextMetadata", "text": "**b**", "format": "MARKDOWN"}, "In bold."),
    entry("url", {"__typename": "TextMetadata", "text": "https://example.org", "format": "URL"}),
    entry("path", {"__typename": "TextMetadata", "text": "/data", "format": "PATH"}),
    entry(
        "big",
        {"__typename": "NumberMetadata", "number": 2.0**53, "exact": "9007199254740993"},
    ),
    entry("nan", {"__typename": "NumberMetadata", "number": None, "exact": "NaN"}),
    entry("huge", {"__typename": "NumberMetadata", "number": None, "exact": "9" * 400}),
    entry("json", {"__typename": "JsonMetadata", "json": {"a": [None, True]}}),
    entry("null", {"__typename": "JsonMetadata", "json": None}),
    entry("run", {"__typename": "RunMetadata", "runId": "r0"}),
    entry("asset", {"__typename": "AssetMetadata", "assetKey": ["a", "b"]}),
]

CHECK = p.TypeCheck(False, "int", "it is a str", METADATA)
CHECK_SHOWN = {
    "success": False,
    "typeName": "int",
    "description": "it is a str",
    "metadata": METADATA_SHOWN,
}

PAYLOADS: list[tuple[EventType, p.AnyPayload, dict[str, Any]]] = [
    (
        EventType.STEP_INPUT,
        p.StepInputData("rows", CHECK),
        {"__typename": "StepInputData", "inputName": "rows", "typeCheck": CHECK_SHOWN},
    ),
    (
        EventType.LOADED_INPUT,
        p.LoadedInputData("rows", "io", "load", "result", METADATA),
        {
            "__typename": "LoadedInputData",
            "inputName": "rows",
            "managerKey": "io",
            "upstreamStepKey": "load",
            "upstreamOutputName": "result",
            "metadata": METADATA_SHOWN,
        },
    ),
    (
        EventType.STEP_OUTPUT,
        p.StepOutputData("result"),
        {
            "__typename": "StepOutputData",
            "outputName": "result",
            "mappingKey": None,
            "typeCheck": None,
            "metadata": [],
        },
    ),
    (
        EventType.HANDLED_OUTPUT,
        p.HandledOutputData("result", "io"),
        {
            "__typename": "HandledOutputData",
            "outputName": "result",
            "managerKey": "io",
            "metadata": [],
        },
    ),
    (
        EventType.STEP_EXPECTATION_RESULT,
        p.ExpectationData(True, "rows", "There are rows.", METADATA),
        {
            "__typename": "ExpectationData",
            "success": True,
            "label": "rows",
            "description": "There are rows.",
            "metadata": METADATA_SHOWN,
        },
    ),
    (
        EventType.STEP_SUCCESS,
        p.StepSuccessData(1.5),
        {"__typename": "StepSuccessData", "durationMs": 1.5},
    ),
    (
        EventType.STEP_FAILURE,
        p.StepFailureData(p.StepErrorSource.INTERRUPT, "gone", "It went.", METADATA),
        {
            "__typename": "StepFailureData",
            "errorSource": "INTERRUPT",
            "label": "gone",
            "description": "It went.",
            "metadata": METADATA_SHOWN,
        },
    ),
    (
        EventType.STEP_UP_FOR_RETRY,
        p.StepRetryData(2.5),
        {"__typename": "StepRetryData", "secondsToWait": 2.5},
    ),
    *(
        (
            event_type,
            p.AssetEventData(("a", "b"), "today", "Made.", {"z": "1", "a": "2"}, METADATA),
            {
                "__typename": "AssetEventData",
                "assetKey": ["a", "b"],
                "partition": "today",
                "description": "Made.",
                "tags": [{"key": "a", "value": "2"}, {"key": "z", "value": "1"}],
                "metadata": METADATA_SHOWN,
            },
        )
        for event_type in (
            EventType.ASSET_MATERIALIZATION,
            EventType.ASSET_OBSERVATION,
            EventType.ASSET_MATERIALIZATION_PLANNED,
        )
    ),
    (
        EventType.LOGS_CAPTURED,
        p.LogsCapturedData("key", ("load",)),
        {"__typename": "LogsCapturedData", "logKey": "key", "stepKeys": ["load"]},
    ),
    *(
        (
            event_type,
            p.EngineEventData("start", "end", METADATA),
            {
                "__typename": "EngineEventData",
                "markerStart": "start",
                "markerEnd": "end",
                "metadata": METADATA_SHOWN,
            },
        )
        for event_type in (
            EventType.ENGINE_EVENT,
            EventType.STEP_WORKER_STARTING,
            EventType.STEP_WORKER_STARTED,
            EventType.RESOURCE_INIT_STARTED,
            EventType.RESOURCE_INIT_SUCCESS,
            EventType.RESOURCE_INIT_FAILURE,
        )
    ),
    (
        EventType.RUN_FAILURE,
        p.RunFailureData(p.RunFailureReason.WORKER_LOST, ("load",)),
        {"__typename": "RunFailureData", "reason": "WORKER_LOST", "failedStepKeys": ["load"]},
    ),
]


async def shown(api: Api) -> list[dict[str, Any]]:
    """The log of r1 as the document of a run's log shows it."""
    answer = await api.ask(load_document("RunLog"), runId="r1")
    nodes: list[dict[str, Any]] = answer["run"]["events"]["nodes"]
    return nodes


@pytest.mark.parametrize(
    ("event_type", "data", "wanted"), PAYLOADS, ids=lambda value: str(value)[:40]
)
async def test_each_payload_is_shown_in_full(
    api: Api, event_type: EventType, data: p.AnyPayload, wanted: dict[str, Any]
) -> None:
    api.add_managed_run("r1")
    api.store("r1", event_type, data=data)
    (node,) = await shown(api)
    assert node["eventType"] == event_type.value
    assert node["data"] == wanted


def test_every_member_of_the_union_is_shown_above_or_below() -> None:
    union = build_schema(print_schema()).type_map["EventData"]
    assert isinstance(union, GraphQLUnionType)
    tried = {wanted["__typename"] for _, _, wanted in PAYLOADS} | {"UnreadableEventData"}
    assert {member.name for member in union.types} == tried


async def test_a_record_is_shown_with_its_envelope_and_its_error(api: Api) -> None:
    api.add_managed_run("r1")
    cause = ErrorInfo("behind", "KeyError", ("c",))
    entry = EventLogEntry(
        run_id="r1",
        message="It failed.",
        event_type=EventType.STEP_FAILURE,
        level=LogLevel.CRITICAL,
        timestamp=1795280703.25,
        step_key="load",
        error=ErrorInfo("no", "ValueError", ("a", "b"), (cause,)),
    )
    api.instance.storage.store_events("r1", [entry])
    document = """{ run(runId: "r1") { events { nodes {
      id position cursor runId run { id runId } jobName timestamp level message stepKey eventType applied
      error { message className stack causes { message className stack causes { message } } }
      data { __typename }
    } } } }"""
    (node,) = (await api.ask(document))["run"]["events"]["nodes"]
    found = await api.ask(
        "query($id: ID!) { node(id: $id) { ... on EventRecord { cursor } } }", id=node["id"]
    )
    assert found == {"node": {"cursor": node["cursor"]}}
    del node["id"], node["cursor"]
    assert node == {
        "position": 1,
        "runId": "r1",
        "run": {"id": node["run"]["id"], "runId": "r1"},
        "jobName": "nightly",
        "timestamp": "2026-11-21T17:05:03.250000Z",
        "level": "CRITICAL",
        "message": "It failed.",
        "stepKey": "load",
        "eventType": "STEP_FAILURE",
        "applied": True,
        "error": {
            "message": "no",
            "className": "ValueError",
            "stack": ["a", "b"],
            "causes": [
                {"message": "behind", "className": "KeyError", "stack": ["c"], "causes": []}
            ],
        },
        "data": None,
    }


async def test_a_line_that_user_code_logged_has_no_type_and_no_data(api: Api) -> None:
    api.add_managed_run("r1")
    api.store("r1", None, message="hello")
    (node,) = await shown(api)
    assert (node["eventType"], node["data"], node["level"]) == (None, None, "INFO")


async def test_a_status_event_that_came_too_late_is_shown_as_not_applied(api: Api) -> None:
    api.add_managed_run("r1")
    api.store("r1", EventType.RUN_CANCELED, EventType.RUN_SUCCESS)
    assert [(node["eventType"], node["applied"]) for node in await shown(api)] == [
        ("RUN_CANCELED", True),
        ("RUN_SUCCESS", False),
    ]
    assert (await api.ask('{ run(runId: "r1") { status } }'))["run"]["status"] == "CANCELED"


UNREADABLE: list[tuple[str | None, bytes | None, str, Any]] = [
    ("STEP_TELEPORTED", b'{"data": {"to": 1}}', "does not know events", {"data": {"to": 1}}),
    ("STEP_TELEPORTED", None, "does not know events", None),
    (
        "STEP_SUCCESS",
        b'{"data": {"kind": "step_success"}}',
        "missing",
        {"data": {"kind": "step_success"}},
    ),
    ("STEP_SUCCESS", b'{"data": {"kind": "new"}}', "Invalid value", {"data": {"kind": "new"}}),
    ("STEP_SUCCESS", b'{"data": ', "truncated", None),
    ("STEP_SUCCESS", b"\xff\xfe", "JSON", None),
    ("STEP_SUCCESS", b"[" * 100_000, "", None),
    (None, b"nonsense", "JSON", None),
]


@pytest.mark.parametrize(("stored_type", "body", "problem", "wanted"), UNREADABLE)
async def test_a_record_that_this_version_cannot_read_is_shown_as_such(
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
    stored_type: str | None,
    body: bytes | None,
    problem: str,
    wanted: Any,
) -> None:
    api.add_managed_run("r1")
    record = EventLogRecord(
        run_id="r1",
        position=1,
        timestamp=1.0,
        level=LogLevel.INFO,
        stored_type=stored_type,
        message="from the future",
        body=body,
    )
    monkeypatch.setattr(
        api.instance.storage.event_log_storage,
        "get_records",
        lambda *args, **kwargs: EventLogPage([record], False),
    )
    (node,) = await shown(api)
    assert node["message"] == "from the future"
    assert node["error"] is None
    known = None if stored_type == "STEP_TELEPORTED" else stored_type
    assert node["eventType"] == known
    told = node["data"].pop("problem")
    assert problem.lower() in told.lower()
    assert node["data"] == {
        "__typename": "UnreadableEventData",
        "storedType": stored_type,
        "body": wanted,
    }


async def test_the_run_of_a_metadata_entry_is_found_or_null(api: Api) -> None:
    api.add_run("r0")
    api.add_managed_run("r1")
    links = tuple(MetadataEntry(key, MetadataValue.run(key)) for key in ("r0", "gone", "r1"))
    api.store("r1", EventType.ENGINE_EVENT, data=p.EngineEventData(metadata=links))
    document = """{ run(runId: "r1") { events { nodes { data { ... on EngineEventData {
      metadata { value { ... on RunMetadata { run { runId status } } } }
    } } } } } }"""
    (node,) = (await api.ask(document))["run"]["events"]["nodes"]
    assert [entry["value"]["run"] for entry in node["data"]["metadata"]] == [
        {"runId": "r0", "status": "NOT_STARTED"},
        None,
        {"runId": "r1", "status": "MANAGED"},
    ]
