"""Webhooks over the API: how far each was delivered to, and what is done about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runwire.documents import load_document
from runwire.events.types import EventType
from runwire.instance.settings import Settings
from runwire.storage import (
    DeadLetter,
    WebhookAttempt,
    WebhookState,
    WebhookStatus,
    WebhookTrouble,
)
from tests.api.conftest import Api
from tests.webhooks.receiver import SECRET

WEBHOOKS = load_document("Webhooks")
LETTERS = load_document("WebhookDeadLetters")


@pytest.fixture
def hooks(api: Api) -> Api:
    """An instance with two webhooks, of which a daemon has begun with none."""
    plain = {"name": "plain", "url": "http://example.org:81/secret/path?key=1", "secret": SECRET}
    choosy = {
        "name": "choosy",
        "url": "https://example.org",
        "secret": SECRET,
        "events": ["RUN_FAILURE"],
        "jobs": ["etl"],
        "tags": {"team": "data"},
    }
    api.instance.settings = Settings.model_validate({"webhooks": [plain, choosy]})
    return api


def begin(api: Api, name: str = "plain") -> WebhookState:
    """The daemon begins with a webhook."""
    logs = api.instance.storage.event_log_storage
    state = WebhookState(
        name=name, log_id=logs.get_instance_log_id(), position=0, updated_at=1_700_000_000.0
    )
    return api.instance.storage.webhook_storage.add_webhook(state)[0]


def letters(count: int) -> list[DeadLetter]:
    return [
        DeadLetter(
            webhook="plain",
            event_id=f"e-{number}",
            run_id="r1",
            event_type="RUN_FAILURE",
            body=b"{}",
            failures=5,
            failed_at=1_700_000_000.0,
            status_code=422,
            error="it answered 422",
        )
        for number in range(count)
    ]


async def webhooks(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.ask(WEBHOOKS))["instance"]["webhooks"]
    return found


async def change(api: Api, name: str, **given: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await api.ask(load_document(name), input={"name": "plain", **given})
    return answer[name[0].lower() + name[1:]]  # type: ignore[no-any-return]


async def test_an_instance_without_any_has_none(api: Api) -> None:
    assert await webhooks(api) == []


async def test_those_of_the_configuration_are_there_before_a_daemon(hooks: Api) -> None:
    plain, choosy = await webhooks(hooks)
    assert (plain["name"], plain["url"]) == ("plain", "http://example.org:81")
    assert "secret" not in str(plain)
    assert (plain["status"], plain["enabled"]) == ("RUNNING", True)
    assert (plain["cursor"], plain["lag"], plain["lastDelivery"], plain["retry"]) == (None,) * 4
    assert (plain["jobNames"], plain["tags"], len(plain["eventTypes"])) == (None, [], 10)
    assert choosy["eventTypes"] == ["RUN_FAILURE"]
    assert choosy["jobNames"] == ["etl"]
    assert choosy["tags"] == [{"key": "team", "value": "data"}]


async def test_what_became_of_one_is_told(hooks: Api) -> None:
    state = begin(hooks)
    hooks.add_managed_run("r1")
    hooks.store("r1", EventType.RUN_START, EventType.RUN_FAILURE)
    head = hooks.instance.storage.event_log_storage.get_instance_log_span().head
    hooks.instance.storage.webhook_storage.update_webhook(
        replace(
            state,
            position=1,
            status=WebhookStatus.DISABLED,
            reason="it answered 410",
            delivered=7,
            failures=3,
            missed=2,
            last_attempt=WebhookAttempt(
                event_id="e-9", at=1.5, duration_seconds=0.25, status_code=410, error="gone"
            ),
            trouble=WebhookTrouble(event_id="e-9", since=1.0, failures=2, refusals=1, retry_at=2.0),
        ),
        dead=letters(2),
    )
    plain, _ = await webhooks(hooks)
    assert (plain["status"], plain["enabled"], plain["disabledReason"]) == (
        "DISABLED",
        False,
        "it answered 410",
    )
    assert plain["lag"] == head - 1
    assert [plain[name] for name in ("deliveredCount", "failureCount", "missedCount")] == [7, 3, 2]
    assert plain["deadLetterCount"] == 2
    assert plain["lastDelivery"] == {
        "eventId": "e-9",
        "delivered": False,
        "endedAt": "1970-01-01T00:00:01.500000Z",
        "durationSeconds": 0.25,
        "statusCode": 410,
        "error": "gone",
    }
    assert plain["retry"]["failureCount"] == 2
    document = (
        "query Q($after: String!) { eventRecords(after: $after, first: 1) { nodes { position } } }"
    )
    following = await hooks.execute(document, after=plain["cursor"])
    assert "CURSOR_INVALID" not in str(following.errors)


async def test_letters_come_in_pages(hooks: Api) -> None:
    hooks.instance.storage.webhook_storage.update_webhook(begin(hooks), dead=letters(5))
    (plain, _) = await webhooks(hooks)
    seen: list[str] = []
    after = None
    while True:
        answer = await hooks.ask(LETTERS, id=plain["id"], first=2, after=after)
        page = answer["node"]["deadLetters"]
        seen += [each["eventId"] for each in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == [f"e-{number}" for number in range(5)]
    assert page["nodes"][0] == {
        "eventId": "e-4",
        "eventType": "RUN_FAILURE",
        "runId": "r1",
        "failureCount": 5,
        "failedAt": "2023-11-14T22:13:20Z",
        "statusCode": 422,
        "error": "it answered 422",
        "redeliveryRequested": False,
    }
    document = """query Q($id: ID!) { node(id: $id) { ... on Webhook { deadLetters {
      edges { cursor node { eventId } } pageInfo { startCursor hasPreviousPage }
    } } } }"""
    whole = (await hooks.ask(document, id=plain["id"]))["node"]["deadLetters"]
    assert whole["edges"][-1]["cursor"] == after
    assert whole["pageInfo"] == {
        "startCursor": whole["edges"][0]["cursor"],
        "hasPreviousPage": False,
    }
    for wrong in ("nonsense", plain["id"]):
        code, _ = await hooks.refusal(LETTERS, id=plain["id"], after=wrong)
        assert code == "CURSOR_INVALID"
    code, _ = await hooks.refusal(LETTERS, id=plain["id"], first=101)
    assert code == "INVALID_ARGUMENT"


async def test_it_is_paused_and_resumed(hooks: Api) -> None:
    paused = (await change(hooks, "PauseWebhook"))["webhook"]
    assert paused["status"] == "PAUSED"
    assert paused["lag"] == 0  # it begins here, though no daemon has begun with it
    state = hooks.instance.storage.webhook_storage.get_webhook("plain")
    assert (await change(hooks, "PauseWebhook"))["webhook"] == paused
    assert hooks.instance.storage.webhook_storage.get_webhook("plain") == state
    resumed = (await change(hooks, "ResumeWebhook"))["webhook"]
    assert resumed["status"] == "RUNNING"
    assert (await change(hooks, "ResumeWebhook"))["webhook"] == resumed


async def test_one_that_is_disabled_is_not_paused_but_resumed(hooks: Api) -> None:
    state = replace(begin(hooks), status=WebhookStatus.DISABLED, reason="it answered 410")
    trouble = WebhookTrouble(event_id="e", since=1.0, failures=2, refusals=1, retry_at=9.9e9)
    hooks.instance.storage.webhook_storage.update_webhook(replace(state, trouble=trouble))
    assert (await change(hooks, "PauseWebhook"))["webhook"]["status"] == "DISABLED"
    resumed = (await change(hooks, "ResumeWebhook"))["webhook"]
    assert (resumed["status"], resumed["disabledReason"], resumed["retry"]) == (
        "RUNNING",
        None,
        None,
    )


async def test_letters_are_sent_again(hooks: Api) -> None:
    hooks.instance.storage.webhook_storage.update_webhook(begin(hooks), dead=letters(3))
    some = await change(hooks, "RedeliverWebhook", eventIds=["e-1", "gone"])
    assert some["requestedCount"] == 1
    assert some["webhook"]["deadLetterCount"] == 3
    assert (await change(hooks, "RedeliverWebhook"))["requestedCount"] == 3
    refused = await change(hooks, "RedeliverWebhook", eventIds=["e"] * 1001)
    assert (refused["__typename"], refused["path"]) == ("InputInvalid", ["input", "eventIds"])
