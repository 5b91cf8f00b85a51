"""Webhooks in the database of the runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    bindparam,
    delete,
    func,
    insert,
    select,
    true,
    update,
)

from runwire.errors import WebhookNotFoundError
from runwire.events.entry import storable_text
from runwire.storage.webhook_storage import (
    DeadLetter,
    DeadLettersPage,
    WebhookState,
    WebhookStatus,
    WebhookStorage,
)
from runwire.storages.sql.dialect import insert_unless_there
from runwire.storages.sql.rows import as_json
from runwire.storages.sql.run_storage import SqlRunStorage
from runwire.storages.sql.tables import WEBHOOKS, dead_letters, webhooks
from runwire.storages.stored_webhooks import (
    decode_attempt,
    decode_trouble,
    rewritten,
    stored_letter,
    stored_state,
)

_IDS_AT_ONCE = 500

_STATE = select(webhooks).where(webhooks.c.name == bindparam("webhook"))
_STATES = select(webhooks).order_by(webhooks.c.name)
_SET_STATE = update(webhooks).where(webhooks.c.name == bindparam("webhook"))
_COUNTS = select(dead_letters.c.webhook, func.count().label("letters")).group_by(
    dead_letters.c.webhook
)
_OF_WEBHOOK = dead_letters.c.webhook == bindparam("of")
_LETTERS = (
    select(dead_letters)
    .where(_OF_WEBHOOK, dead_letters.c.letter_id > bindparam("after"))
    .order_by(dead_letters.c.letter_id)
    .limit(bindparam("limit"))
)
_REQUESTED = _LETTERS.where(dead_letters.c.is_requested == true())
_SETTLE = delete(dead_letters).where(_OF_WEBHOOK, dead_letters.c.event_id == bindparam("event"))
_CHANGE = (
    update(dead_letters)
    .where(_OF_WEBHOOK, dead_letters.c.event_id == bindparam("event"))
    .returning(dead_letters.c.letter_id)
)
_ADD = insert(dead_letters)


class SqlWebhookStorage(WebhookStorage):
    """Keeps webhooks beside the runs.

    Who writes has locked the row of the webhook before, so those who do so at once follow one another.

    Args:
        runs: the runs, which bring connections and transactions, and are disposed of by others.
    """

    def __init__(self, runs: SqlRunStorage) -> None:
        self._runs = runs

    def add_webhook(self, state: WebhookState) -> tuple[WebhookState, bool]:
        stored = stored_state(state)
        with self._runs.writing() as connection:
            found = _find(connection, stored.name)
            if found is not None:
                return found, False
            insert_unless_there(connection, webhooks, _state_values(stored))
            kept = _lock(connection, stored.name)
            return kept, kept == stored

    def find_webhook(self, name: str) -> WebhookState | None:
        with self._runs.reading() as connection:
            return _find(connection, name)

    def get_webhooks(self) -> list[WebhookState]:
        with self._runs.reading() as connection:
            return list(map(_state, connection.execute(_STATES)))

    def update_webhook(
        self,
        state: WebhookState,
        *,
        dead: Sequence[DeadLetter] = (),
        settled: Collection[str] = (),
    ) -> WebhookState:
        with self._runs.writing() as connection:
            changed = rewritten(_lock(connection, state.name), state)
            connection.execute(_SET_STATE, {"webhook": changed.name, **_state_values(changed)})
            for event_id in settled:
                gone = {"of": changed.name, "event": storable_text(event_id)}
                connection.execute(_SETTLE, gone)
            for letter in map(stored_letter, dead):
                _keep(connection, letter)
            return changed

    def get_dead_letters(
        self, name: str, *, after: int = 0, limit: int, requested: bool = False
    ) -> DeadLettersPage:
        wanted = {"of": storable_text(name), "after": after, "limit": limit + 1}
        with self._runs.reading() as connection:
            rows = connection.execute(_REQUESTED if requested else _LETTERS, wanted)
            letters = list(map(_letter, rows))
        return DeadLettersPage(letters[:limit], len(letters) > limit)

    def get_dead_letter_counts(self) -> dict[str, int]:
        with self._runs.reading() as connection:
            return {row.webhook: row.letters for row in connection.execute(_COUNTS)}

    def request_redelivery(self, name: str, event_ids: Collection[str] | None = None) -> int:
        with self._runs.writing() as connection:
            state = _lock(connection, name)
            raised = {"webhook": state.name, "version": state.version + 1}
            connection.execute(_SET_STATE, raised)
            asking = update(dead_letters).where(dead_letters.c.webhook == state.name)
            asking = asking.values(is_requested=true())
            if event_ids is None:
                return connection.execute(asking).rowcount
            ids, count = sorted(set(map(storable_text, event_ids))), 0
            for first in range(0, len(ids), _IDS_AT_ONCE):
                some = dead_letters.c.event_id.in_(ids[first : first + _IDS_AT_ONCE])
                count += connection.execute(asking.where(some)).rowcount
            return count

    def wipe(self) -> None:
        with self._runs.writing() as connection:
            for table in WEBHOOKS:
                connection.execute(delete(table))


def _find(connection: Connection, name: str, *, lock: bool = False) -> WebhookState | None:
    wanted = _STATE.with_for_update() if lock else _STATE
    row = connection.execute(wanted, {"webhook": storable_text(name)}).first()
    return None if row is None else _state(row)


def _lock(connection: Connection, name: str) -> WebhookState:
    """What is kept about a webhook, which nobody else writes until the transaction ends."""
    state = _find(connection, name, lock=True)
    if state is None:
        raise WebhookNotFoundError(name)
    return state


def _keep(connection: Connection, letter: DeadLetter) -> None:
    """Keeps a letter of a webhook that is locked."""
    values = _letter_values(letter)
    same = {"of": letter.webhook, "event": letter.event_id}
    if connection.execute(_CHANGE.values(values), same).first() is None:
        connection.execute(_ADD, values)


def _state_values(state: WebhookState) -> dict[str, Any]:
    attempt, trouble = state.last_attempt, state.trouble
    return {
        "name": state.name,
        "log_id": state.log_id,
        "position": state.position,
        "status": state.status.value,
        "reason": state.reason,
        "delivered": state.delivered,
        "failures": state.failures,
        "missed": state.missed,
        "last_attempt": None if attempt is None else as_json(attempt),
        "trouble": None if trouble is None else as_json(trouble),
        "updated_at": state.updated_at,
        "version": state.version,
    }


def _state(row: Row[Any]) -> WebhookState:
    return WebhookState(
        name=row.name,
        log_id=row.log_id,
        position=row.position,
        status=WebhookStatus(row.status),
        reason=row.reason,
        delivered=row.delivered,
        failures=row.failures,
        missed=row.missed,
        last_attempt=None if row.last_attempt is None else decode_attempt(row.last_attempt),
        trouble=None if row.trouble is None else decode_trouble(row.trouble),
        updated_at=row.updated_at,
        version=row.version,
    )


def _letter_values(letter: DeadLetter) -> dict[str, Any]:
    return {
        "webhook": letter.webhook,
        "event_id": letter.event_id,
        "run_id": letter.run_id,
        "event_type": letter.event_type,
        "body": letter.body,
        "failures": letter.failures,
        "failed_at": letter.failed_at,
        "status_code": letter.status_code,
        "error": letter.error,
        "is_requested": letter.is_requested,
    }


def _letter(row: Row[Any]) -> DeadLetter:
    return DeadLetter(
        letter_id=row.letter_id,
        webhook=row.webhook,
        event_id=row.event_id,
        run_id=row.run_id,
        event_type=row.event_type,
        body=row.body,
        failures=row.failures,
        failed_at=row.failed_at,
        status_code=row.status_code,
        error=row.error,
        is_requested=row.is_requested,
    )
