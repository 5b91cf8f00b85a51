"""Webhooks in memory."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import count, islice

from runwire.errors import WebhookNotFoundError
from runwire.events.entry import storable_text
from runwire.storage.webhook_storage import (
    DeadLetter,
    DeadLettersPage,
    WebhookState,
    WebhookStorage,
)
from runwire.storages.stored_webhooks import rewritten, stored_letter, stored_state


class MemoryWebhookStorage(WebhookStorage):
    """Keeps webhooks behind one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, WebhookState] = {}
        self._letters: dict[tuple[str, str], DeadLetter] = {}
        self._letter_ids = count(1)

    def add_webhook(self, state: WebhookState) -> tuple[WebhookState, bool]:
        stored = stored_state(state)
        with self._lock:
            found = self._states.setdefault(stored.name, stored)
            return found, found is stored

    def find_webhook(self, name: str) -> WebhookState | None:
        with self._lock:
            return self._states.get(storable_text(name))

    def get_webhooks(self) -> list[WebhookState]:
        with self._lock:
            return sorted(self._states.values(), key=lambda state: state.name)

    def update_webhook(
        self,
        state: WebhookState,
        *,
        dead: Sequence[DeadLetter] = (),
        settled: Collection[str] = (),
    ) -> WebhookState:
        with self._lock:
            changed = rewritten(self._get(state.name), state)
            self._states[changed.name] = changed
            for event_id in settled:
                self._letters.pop((changed.name, storable_text(event_id)), None)
            for letter in map(stored_letter, dead):
                key = changed.name, letter.event_id
                known = self._letters.get(key)
                letter_id = next(self._letter_ids) if known is None else known.letter_id
                self._letters[key] = replace(letter, webhook=changed.name, letter_id=letter_id)
            return changed

    def get_dead_letters(
        self, name: str, *, after: int = 0, limit: int, requested: bool = False
    ) -> DeadLettersPage:
        with self._lock:
            letters = sorted(self._of(storable_text(name)), key=lambda letter: letter.letter_id)
        wanted = (
            letter
            for letter in letters
            if letter.letter_id > after and (letter.is_requested or not requested)
        )
        found = list(islice(wanted, limit + 1))
        return DeadLettersPage(found[:limit], len(found) > limit)

    def get_dead_letter_counts(self) -> dict[str, int]:
        with self._lock:
            return dict(Counter(letter.webhook for letter in self._letters.values()))

    def request_redelivery(self, name: str, event_ids: Collection[str] | None = None) -> int:
        wanted = None if event_ids is None else set(map(storable_text, event_ids))
        with self._lock:
            state = self._get(name)
            letters = [
                letter
                for letter in self._of(state.name)
                if wanted is None or letter.event_id in wanted
            ]
            for letter in letters:
                key = letter.webhook, letter.event_id
                self._letters[key] = replace(letter, is_requested=True)
            self._states[state.name] = replace(state, version=state.version + 1)
            return len(letters)

    def wipe(self) -> None:
        with self._lock:
            self._states.clear()
            self._letters.clear()

    def _get(self, name: str) -> WebhookState:
        state = self._states.get(storable_text(name))
        if state is None:
            raise WebhookNotFoundError(name)
        return state

    def _of(self, name: str) -> list[DeadLetter]:
        return [letter for letter in self._letters.values() if letter.webhook == name]
