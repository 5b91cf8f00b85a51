"""What every storage does alike with the states of webhooks and their dead letters."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from runwire.errors import WebhookConflictError
from runwire.events.entry import storable_text
from runwire.storage.webhook_storage import (
    DeadLetter,
    WebhookAttempt,
    WebhookState,
    WebhookTrouble,
)
from runwire.storages.stored_form import encode_json, stored_text

decode_attempt = msgspec.json.Decoder(WebhookAttempt).decode
decode_trouble = msgspec.json.Decoder(WebhookTrouble).decode


def stored_state(state: WebhookState) -> WebhookState:
    """The state with texts that every store takes."""
    attempt, trouble = state.last_attempt, state.trouble
    return replace(
        state,
        name=storable_text(state.name),
        reason=stored_text(state.reason),
        last_attempt=None if attempt is None else decode_attempt(encode_json(attempt)),
        trouble=None if trouble is None else decode_trouble(encode_json(trouble)),
    )


def stored_letter(letter: DeadLetter) -> DeadLetter:
    """The letter with texts that every store takes."""
    return replace(
        letter,
        webhook=storable_text(letter.webhook),
        event_id=storable_text(letter.event_id),
        run_id=storable_text(letter.run_id),
        event_type=storable_text(letter.event_type),
        error=storable_text(letter.error),
    )


def rewritten(stored: WebhookState, given: WebhookState) -> WebhookState:
    """The state as it is stored after an update.

    Raises:
        WebhookConflictError: it has changed since it was read.
    """
    if given.version != stored.version:
        raise WebhookConflictError(stored.name, given.version, stored.version)
    return replace(stored_state(given), version=stored.version + 1)
