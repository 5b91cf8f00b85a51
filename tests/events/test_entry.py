"""Entries are encoded once and never fail on a text; records are decoded lazily."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runwire.error_info import ErrorInfo
from runwire.errors import InputInvalidError, InvalidDefinitionError
from runwire.events import EventLogEntry, EventLogRecord, EventType, LogLevel
from runwire.events.entry import MAX_EVENT_BYTES, encodable_text, storable_text
from runwire.events.metadata import (
    MetadataEntry,
    MetadataValue,
    NumberMetadata,
    TextMetadata,
    normalize_metadata,
)
from runwire.events.payloads import (
    PAYLOAD_CLASSES,
    AssetEventData,
    EngineEventData,
    RunFailureData,
    RunFailureReason,
    StepSuccessData,
    UnreadableEventData,
)


def stored(entry: EventLogEntry, **changes: object) -> EventLogRecord:
    values = {
        "run_id": entry.run_id,
        "position": 1,
        "timestamp": entry.timestamp,
        "level": entry.severity,
        "stored_type": None if entry.event_type is None else entry.event_type.value,
        "message": storable_text(entry.message),
        "step_key": entry.step_key,
        "body": entry.encode_body(),
    }
    return EventLogRecord(**(values | changes))  # type: ignore[arg-type]


def test_a_record_gives_back_what_the_entry_told() -> None:
    error = ErrorInfo("no room", "OSError", ("line 1",), (ErrorInfo("disk"),))
    data = RunFailureData(RunFailureReason.STEP_FAILURE, ("load",))
    entry = EventLogEntry(
        run_id="r", event_type=EventType.RUN_FAILURE, message="failed", error=error, data=data
    )
    record = stored(entry)
    assert (record.error, record.data, record.event_type) == (error, data, EventType.RUN_FAILURE)
    assert record.level is LogLevel.ERROR


def test_an_entry_without_error_and_data_has_no_body() -> None:
    assert EventLogEntry(run_id="r", message="hello").encode_body() is None


@pytest.mark.parametrize("event_type", [None, EventType.RUN_START, EventType.STEP_FAILURE])
def test_data_of_another_type_is_refused(event_type: EventType | None) -> None:
    with pytest.raises(InputInvalidError, match="StepSuccessData"):
        EventLogEntry(run_id="r", message="m", event_type=event_type, data=StepSuccessData(1.0))


def test_a_type_that_means_nothing_without_data_is_refused_without_it() -> None:
    with pytest.raises(InputInvalidError, match="ASSET_MATERIALIZATION needs data"):
        EventLogEntry(run_id="r", message="m", event_type=EventType.ASSET_MATERIALIZATION)


@given(st.text(st.characters(codec=None)), st.text(st.characters(codec=None)))
def test_any_text_can_be_stored_and_read(text: str, key: str) -> None:
    """Lone surrogates too: they are escaped."""
    data = AssetEventData(
        (key,), tags={key: text}, metadata=(MetadataEntry(key, TextMetadata(text)),)
    )
    entry = EventLogEntry(
        run_id="r",
        message=text,
        event_type=EventType.ASSET_OBSERVATION,
        data=data,
        error=ErrorInfo(text, stack=(text,)),
    )
    record = stored(entry)
    record.message.encode()
    assert "\0" not in record.message
    safe, safe_key = encodable_text(text), encodable_text(key)
    assert record.data == AssetEventData(
        (safe_key,), tags={safe_key: safe}, metadata=(MetadataEntry(safe_key, TextMetadata(safe)),)
    )
    assert record.error == ErrorInfo(safe, stack=(safe,))


def test_a_type_of_another_version_is_told_and_not_lost() -> None:
    record = EventLogRecord(
        run_id="r",
        position=3,
        timestamp=1.0,
        level=LogLevel.INFO,
        stored_type="RUN_TELEPORTED",
        message="m",
        body=b'{"data":{"kind":"teleport","to":"mars"}}',
    )
    assert record.event_type is None
    assert record.data == UnreadableEventData(
        "RUN_TELEPORTED",
        "this version does not know events of type RUN_TELEPORTED",
        '{"data":{"kind":"teleport","to":"mars"}}',
    )


@pytest.mark.parametrize(
    ("body", "shown"),
    [(b'{"data":', '{"data":'), (b"\xff", None), (b'{"data":{"kind":"?"}}', "kind")],
)
def test_a_damaged_body_is_told_and_does_not_raise(body: bytes, shown: str | None) -> None:
    entry = EventLogEntry(run_id="r", message="m", event_type=EventType.STEP_SUCCESS)
    record = stored(entry, body=body)
    assert isinstance(record.data, UnreadableEventData)
    assert record.data.stored_type == "STEP_SUCCESS"
    assert record.data.problem
    if shown is None:
        assert record.data.body is None
    else:
        assert shown in (record.data.body or "")
    assert record.error is None


def test_fields_of_a_newer_version_in_a_known_payload_are_passed_over() -> None:
    entry = EventLogEntry(run_id="r", message="m", event_type=EventType.STEP_SUCCESS)
    body = b'{"data":{"kind":"step_success","duration_ms":2.5,"cpu_ms":1},"error":null}'
    assert stored(entry, body=body).data == StepSuccessData(2.5)


def test_each_payload_class_decodes_as_itself() -> None:
    """Tags are unique, so that no payload is read as another."""
    tags = [msgspec.inspect.type_info(cls).tag for cls in set(PAYLOAD_CLASSES.values())]  # type: ignore[attr-defined]
    assert len(set(tags)) == len(tags)


def test_metadata_is_made_of_plain_values_and_numbers_stay_exact() -> None:
    entries = normalize_metadata(
        {"big": 2**60 + 1, "nan": math.nan, "inf": -math.inf, "list": [1, math.nan], "no": None},
        "x",
    )
    entry = EventLogEntry(
        run_id="r",
        message="m",
        event_type=EventType.ENGINE_EVENT,
        data=EngineEventData(metadata=entries),
    )
    data = stored(entry).data
    assert isinstance(data, EngineEventData)
    values = {item.label: msgspec.to_builtins(item.value) for item in data.metadata}
    assert values == {
        "big": {"kind": "number", "exact": "1152921504606846977"},
        "nan": {"kind": "number", "exact": "NaN"},
        "inf": {"kind": "number", "exact": "-Infinity"},
        "list": {"kind": "json", "json": [1, {"$number": "NaN"}]},
        "no": {"kind": "json", "json": None},
    }
    assert NumberMetadata("NaN").number is None
    assert NumberMetadata("2").number == 2.0


def test_an_error_is_told_with_the_errors_behind_it_nearest_first() -> None:
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError("outer") from inner
    except ValueError as error:
        info = ErrorInfo.from_exception(error)
    assert (info.class_name, info.message) == ("ValueError", "outer")
    assert [(cause.class_name, cause.causes) for cause in info.causes] == [("KeyError", ())]
    assert "test_entry.py" in info.stack[0]


def test_an_error_whose_text_raises_is_told_all_the_same() -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    assert (
        ErrorInfo.from_exception(BrokenError()).message
        == "(its text could not be made: RuntimeError)"
    )


def test_json_metadata_that_json_cannot_hold_is_refused_when_it_is_made() -> None:
    cyclic: list[object] = []
    cyclic.append(cyclic)
    for value in (cyclic, object()):
        with pytest.raises(InvalidDefinitionError, match="values that JSON can hold"):
            MetadataValue.json(value)
    assert MetadataValue.json({"a": math.nan}).json == {"a": {"$number": "NaN"}}


@pytest.mark.parametrize("letter", ["x", "é", "😀", "\udc80"])
def test_an_event_may_have_so_many_bytes(letter: str) -> None:
    size = len(letter.encode(errors="surrogatepass"))
    most = letter * (MAX_EVENT_BYTES // size)
    assert EventLogEntry(run_id="r", message=most).message == most
    with pytest.raises(InputInvalidError, match="1,048,576 bytes of message, and this has") as told:
        EventLogEntry(run_id="r", message=most + letter)
    assert told.value.path == ("message",)
    assert letter * 2 not in str(told.value)


def test_what_belongs_to_an_event_counts() -> None:
    half = "x" * (MAX_EVENT_BYTES // 2)
    data = AssetEventData(asset_key=("a",), description=half)
    wanted = "message, error and data, and this has 1,048,6[0-9]{2}; keep what is large elsewhere"
    with pytest.raises(InputInvalidError, match=wanted) as told:
        EventLogEntry(
            run_id="r", message=half, event_type=EventType.ASSET_MATERIALIZATION, data=data
        )
    assert told.value.path == ("data",)
    error = ErrorInfo("e", stack=(half, half))
    with pytest.raises(InputInvalidError, match="and this has"):
        EventLogEntry(run_id="r", message="failed", error=error)
