"""The page on webhooks: its snippet verifies what is sent, and its tables have all there is."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from runwire.instance.settings import Settings
from runwire.instance.webhook_settings import (
    WEBHOOK_EVENT_TYPES,
    WebhookRetrySettings,
    WebhookSettings,
)
from runwire.webhooks.delivery import MAX_DEAD_LETTERS
from runwire.webhooks.event import WebhookEventData, body_of_test, json_schema
from runwire.webhooks.sender import Sender
from tests.webhooks.receiver import SECRET, a_receiver

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "webhooks.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_snippet_verifies_what_is_sent_and_nothing_else() -> None:
    (code,) = blocks("python")
    names: dict[str, Any] = {}
    exec(code, names)
    verify = names["verify"]
    other = "whsec_" + base64.b64encode(b"x" * 24).decode()

    async def send(url: str) -> None:
        settings = WebhookSettings.model_validate(
            {
                "name": "hook",
                "url": url,
                "secret": SECRET,
                "previous_secret": other,
                "allow_private_networks": True,
            }
        )
        async with Sender(settings) as sender:
            answer = await sender.send("test-1", body_of_test("test-1", 1.5))
            assert answer.error is None

    with a_receiver() as receiver:
        asyncio.run(send(receiver.url))
        (got,) = receiver.accepted
    assert verify(SECRET, got.headers, got.body) == "test-1"
    assert verify(other, got.headers, got.body) == "test-1"
    stranger = "whsec_" + base64.b64encode(b"y" * 24).decode()
    for secret, headers, body in (
        (stranger, got.headers, got.body),
        (SECRET, got.headers, got.body + b" "),
        (SECRET, {**got.headers, "webhook-id": "test-2"}, got.body),
        (SECRET, {**got.headers, "webhook-timestamp": "1"}, got.body),
    ):
        with pytest.raises(ValueError, match=r"signed by somebody else|too old"):
            verify(secret, headers, body)


def test_the_configuration_that_it_shows_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = blocks("yaml")
    written = yaml.safe_load(text)
    written["webhooks"][0]["secret"] = SECRET
    (webhook,) = Settings.model_validate(written).webhooks
    assert webhook.name == "alerts"


def test_the_table_has_every_key_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \|\s*([^|]*?)\s*\|", PAGE, re.MULTILINE))
    retry = {f"retry.{name}": field for name, field in WebhookRetrySettings.model_fields.items()}
    fields = {**WebhookSettings.model_fields, **retry}
    fields.pop("retry")
    assert rows.keys() == fields.keys()
    for name in (name for name in fields if isinstance(fields[name].default, int | float)):
        assert json.loads(rows[name]) == fields[name].default, name
    shown = re.search(r"^\| `events` .*$", PAGE, re.MULTILINE)
    assert shown is not None
    assert tuple(re.findall(r"`([A-Z_]+)`", shown[0])) == WEBHOOK_EVENT_TYPES


def test_the_body_that_it_shows_has_every_member() -> None:
    (text,) = blocks("json")
    body = json.loads(text)
    members = json.loads(json_schema())["$defs"]
    assert list(body) == list(members["WebhookEvent"]["properties"])
    assert list(body["data"]) == list(members["WebhookEventData"]["properties"])
    assert list(body["data"]["error"]) == list(members["WebhookError"]["properties"])
    assert len(WebhookEventData.__struct_fields__) == len(body["data"])


def test_it_tells_the_bounds() -> None:
    assert f"With {MAX_DEAD_LETTERS:,} of them" in PAGE
