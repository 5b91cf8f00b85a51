"""What is sent of an event: a JSON object whose shape is published as `schema/webhook-event.schema.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from runwire.error_info import ErrorInfo
from runwire.events.entry import encodable_text
from runwire.events.types import EventType
from runwire.runs.run import RunRecord
from runwire.runs.status import TRANSITIONS, RunStatus
from runwire.storage import InstanceLogRecord

MAX_TEXT = 4000
"""How many characters of a message are sent."""

TEST_TYPE = "TEST"
"""The type of what `runwire webhook test` sends, which is no event of any run."""


class WebhookError(msgspec.Struct, frozen=True, rename="camel"):
    """An error, without its stack."""

    message: Annotated[str, Meta(description="What it says, cut after 4,000 characters.")]
    class_name: Annotated[str | None, Meta(description="The class of what was raised.")] = None


class WebhookEventData(msgspec.Struct, frozen=True, rename="camel"):
    """An event and its run."""

    position: Annotated[
        int, Meta(description="The position in the instance-wide log; larger for later events.")
    ]
    run_id: Annotated[str, Meta(description="The id of the run.")]
    run_position: Annotated[int, Meta(description="The position in the log of the run.")]
    job_name: Annotated[str, Meta(description="The job of the run.")]
    status: Annotated[
        RunStatus | None,
        Meta(description="The status that the event gave the run; null when it changes none."),
    ]
    step_key: Annotated[str | None, Meta(description="The step; null for an event of the run.")]
    message: Annotated[
        str, Meta(description="What happened, for people, cut after 4,000 characters.")
    ]
    error: Annotated[WebhookError | None, Meta(description="Why it failed, where it did.")]
    tags: Annotated[
        dict[str, str],
        Meta(description="The tags of the run when this was made; empty if it is deleted."),
    ]


class WebhookEvent(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a request to a webhook."""

    id: Annotated[
        str,
        Meta(
            description="The id of the event, the same when it is sent again; also in webhook-id."
        ),
    ]
    type: Annotated[
        str, Meta(description="The type of the event, such as RUN_FAILURE; TEST for a test.")
    ]
    timestamp: Annotated[str, Meta(description="When it happened, by RFC 3339, in UTC.")]
    data: Annotated[
        WebhookEventData | None, Meta(description="The event and its run; null for a test.")
    ]


def json_schema() -> str:
    """The JSON Schema of what is sent, as it is published. What it does not name may be added."""
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What webhooks get",
        **msgspec.json.schema(WebhookEvent),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def event_id(log_id: str, position: int) -> str:
    """The id of an event, which is no other event's, not even of another instance."""
    return f"{log_id}-{position}"


def event_body(log_id: str, entry: InstanceLogRecord, run: RunRecord | None) -> bytes:
    """What is sent of an entry of the instance-wide log that has an event.

    Args:
        log_id: the id of that log.
        entry: the entry.
        run: its run; None when it was deleted.
    """
    event = entry.event
    if event is None or event.event_type is None:
        raise ValueError(f"the entry at {entry.position} has no event of a known type")
    return encode(
        WebhookEvent(
            id=event_id(log_id, entry.position),
            type=event.event_type.value,
            timestamp=_instant(event.timestamp),
            data=WebhookEventData(
                position=entry.position,
                run_id=entry.run_id,
                run_position=event.position,
                job_name=entry.job_name,
                status=_status(event.event_type, run),
                step_key=event.step_key,
                message=_cut(event.message),
                error=_error(event.error),
                tags={} if run is None else _texts(run.run.tags),
            ),
        )
    )


def body_of_test(event_id: str, at: float) -> bytes:
    """What a test sends.

    Args:
        event_id: its id.
        at: when that is, in epoch seconds.
    """
    return encode(WebhookEvent(id=event_id, type=TEST_TYPE, timestamp=_instant(at), data=None))


encode = msgspec.json.Encoder().encode


def _status(event_type: EventType, run: RunRecord | None) -> RunStatus | None:
    if event_type is EventType.RUN_START:
        is_managed = run is not None and run.run.managed
        return RunStatus.MANAGED if is_managed else RunStatus.STARTED
    after = {status for (_, each), status in TRANSITIONS.items() if each is event_type}
    return after.pop() if len(after) == 1 else None


def _error(error: ErrorInfo | None) -> WebhookError | None:
    if error is None:
        return None
    return WebhookError(message=_cut(error.message), class_name=error.class_name)


def _instant(timestamp: float) -> str:
    instant = datetime.fromtimestamp(timestamp, UTC)
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _cut(text: str) -> str:
    return encodable_text(text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…")


def _texts(tags: Mapping[str, str]) -> dict[str, str]:
    return {encodable_text(key): encodable_text(value) for key, value in tags.items()}
