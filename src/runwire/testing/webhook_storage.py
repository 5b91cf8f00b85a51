"""What a storage of webhooks must do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from runwire.errors import WebhookConflictError, WebhookNotFoundError
from runwire.storage.instance_storage import InstanceStorage
from runwire.storage.webhook_storage import (
    DeadLetter,
    WebhookAttempt,
    WebhookState,
    WebhookStatus,
    WebhookStorage,
    WebhookTrouble,
)
from runwire.testing.samples import ESCAPED_SURROGATE, LONE_SURROGATE, add_run, in_threads


def a_webhook(name: str = "alerts", *, position: int = 7) -> WebhookState:
    """A webhook as it is added."""
    return WebhookState(name=name, log_id="log", position=position, updated_at=1.5)


def a_letter(event_id: str, webhook: str = "alerts") -> DeadLetter:
    """A letter as it is kept first."""
    return DeadLetter(
        webhook=webhook,
        event_id=event_id,
        run_id="a-run",
        event_type="RUN_FAILURE",
        body=b'{"a": "\\u00fc"}',
        failures=3,
        failed_at=12.25,
        status_code=422,
        error="it was refused",
    )


class WebhookStorageConformance:
    """States by compare-and-set, dead letters beside them.

    A backend that keeps things beyond its process also overrides the fixture `another`.
    """

    @pytest.fixture
    def storage(self) -> InstanceStorage:
        raise NotImplementedError

    @pytest.fixture
    def another(self, storage: InstanceStorage) -> InstanceStorage:
        """The same data, opened once more, as in another process; by default the same storage."""
        return storage

    @pytest.fixture
    def webhooks(self, storage: InstanceStorage) -> WebhookStorage:
        return storage.webhook_storage

    @pytest.fixture
    def ids(self, webhooks: WebhookStorage) -> Callable[..., list[str]]:
        """Tells the events of the letters of `alerts`."""

        def found(*, requested: bool = False) -> list[str]:
            page = webhooks.get_dead_letters("alerts", limit=100, requested=requested)
            return [letter.event_id for letter in page.letters]

        return found

    def test_one_is_found_as_it_was_added(self, webhooks: WebhookStorage) -> None:
        assert webhooks.add_webhook(a_webhook()) == (a_webhook(), True)
        assert webhooks.get_webhook("alerts") == a_webhook()
        assert webhooks.get_webhooks() == [a_webhook()]

    def test_adding_one_that_is_there_changes_nothing(self, webhooks: WebhookStorage) -> None:
        webhooks.add_webhook(a_webhook())
        assert webhooks.add_webhook(a_webhook(position=9)) == (a_webhook(), False)

    def test_of_many_that_add_one_at_once_one_does(
        self, storage: InstanceStorage, another: InstanceStorage
    ) -> None:
        added: list[bool] = []

        def add(index: int) -> None:
            state = a_webhook(position=100 + index)
            added.append((storage, another)[index % 2].webhook_storage.add_webhook(state)[1])

        in_threads(8, add)
        assert sorted(added) == [False] * 7 + [True]

    def test_they_are_listed_by_name(self, webhooks: WebhookStorage) -> None:
        for name in ("b", "ü", "a", "B"):
            webhooks.add_webhook(a_webhook(name))
        assert [state.name for state in webhooks.get_webhooks()] == ["B", "a", "b", "ü"]

    def test_one_that_was_not_added_is_not_found(self, webhooks: WebhookStorage) -> None:
        assert webhooks.find_webhook("alerts") is None
        assert webhooks.get_dead_letters("alerts", limit=1).letters == []
        for call in (
            lambda: webhooks.get_webhook("alerts"),
            lambda: webhooks.update_webhook(a_webhook()),
            lambda: webhooks.request_redelivery("alerts"),
        ):
            with pytest.raises(WebhookNotFoundError):
                call()

    def test_all_of_it_is_written(self, webhooks: WebhookStorage) -> None:
        state, _ = webhooks.add_webhook(a_webhook())
        changed = replace(
            state,
            log_id="another log",
            position=2**40,
            status=WebhookStatus.DISABLED,
            reason="it answered 410",
            delivered=5,
            failures=2**33,
            missed=3,
            last_attempt=WebhookAttempt(
                event_id="e-9", at=3.5, duration_seconds=0.25, status_code=410, error="gone"
            ),
            trouble=WebhookTrouble(
                event_id="e-9", since=2.5, failures=2, refusals=1, retry_at=20.125
            ),
            updated_at=4.0,
        )
        assert webhooks.update_webhook(changed) == replace(changed, version=1)
        assert webhooks.get_webhook("alerts") == replace(changed, version=1)
        plain = replace(state, version=1)
        assert webhooks.update_webhook(plain) == replace(state, version=2)
        assert webhooks.get_webhook("alerts") == replace(state, version=2)

    def test_what_has_changed_since_is_not_written_over(
        self, webhooks: WebhookStorage, ids: Callable[..., list[str]]
    ) -> None:
        state, _ = webhooks.add_webhook(a_webhook())
        kept = webhooks.update_webhook(state, dead=[a_letter("1")])
        with pytest.raises(WebhookConflictError, match="version 1, not 0"):
            webhooks.update_webhook(
                replace(state, position=99), dead=[a_letter("2")], settled=["1"]
            )
        assert webhooks.get_webhook("alerts") == kept
        assert ids() == ["1"]

    def test_of_many_that_write_at_once_one_does(
        self, storage: InstanceStorage, another: InstanceStorage
    ) -> None:
        state, _ = storage.webhook_storage.add_webhook(a_webhook())
        written: list[int] = []

        def write(index: int) -> None:
            webhooks = (storage, another)[index % 2].webhook_storage
            try:
                webhooks.update_webhook(
                    replace(state, position=100 + index), dead=[a_letter(str(index))]
                )
            except WebhookConflictError:
                return
            written.append(index)

        in_threads(8, write)
        (winner,) = written
        assert storage.webhook_storage.get_webhook("alerts").position == 100 + winner
        letters = storage.webhook_storage.get_dead_letters("alerts", limit=9).letters
        assert [letter.event_id for letter in letters] == [str(winner)]

    def test_letters_are_kept_in_order(self, webhooks: WebhookStorage) -> None:
        state, _ = webhooks.add_webhook(a_webhook())
        webhooks.add_webhook(a_webhook("others"))
        other = webhooks.get_webhook("others")
        webhooks.update_webhook(other, dead=[a_letter("8", "others")])
        webhooks.update_webhook(state, dead=[a_letter("8"), a_letter("10"), a_letter("9")])
        page = webhooks.get_dead_letters("alerts", limit=2)
        assert [replace(letter, letter_id=0) for letter in page.letters] == [
            a_letter("8"),
            a_letter("10"),
        ]
        assert page.has_more
        rest = webhooks.get_dead_letters("alerts", after=page.letters[-1].letter_id, limit=1)
        assert ([letter.event_id for letter in rest.letters], rest.has_more) == (["9"], False)
        assert webhooks.get_dead_letter_counts() == {"alerts": 3, "others": 1}

    def test_a_letter_of_the_same_event_is_replaced(self, webhooks: WebhookStorage) -> None:
        state, _ = webhooks.add_webhook(a_webhook())
        state = webhooks.update_webhook(state, dead=[a_letter("1"), a_letter("2")])
        (first, _) = webhooks.get_dead_letters("alerts", limit=9).letters
        again = replace(
            a_letter("1"), failures=4, status_code=None, error=LONE_SURROGATE + "\0", body=b"{}"
        )
        webhooks.update_webhook(state, dead=[again])
        (found, _) = webhooks.get_dead_letters("alerts", limit=9).letters
        expected = replace(again, letter_id=first.letter_id, error=ESCAPED_SURROGATE + "\\x00")
        assert found == expected

    def test_settled_letters_are_gone(
        self, webhooks: WebhookStorage, ids: Callable[..., list[str]]
    ) -> None:
        state, _ = webhooks.add_webhook(a_webhook())
        state = webhooks.update_webhook(state, dead=[a_letter("1"), a_letter("2")])
        webhooks.update_webhook(state, settled=["1", "never there"])
        assert ids() == ["2"]

    def test_some_letters_are_requested_again(
        self, webhooks: WebhookStorage, ids: Callable[..., list[str]]
    ) -> None:
        state, _ = webhooks.add_webhook(a_webhook())
        webhooks.update_webhook(state, dead=[a_letter(each) for each in "123"])
        assert webhooks.request_redelivery("alerts", ["3", "1", "never there"]) == 2
        assert ids(requested=True) == ["1", "3"]
        assert webhooks.get_webhook("alerts").version == 2
        assert webhooks.request_redelivery("alerts") == 3
        assert ids(requested=True) == ["1", "2", "3"]

    def test_a_request_keeps_a_daemon_from_writing_over_it(self, webhooks: WebhookStorage) -> None:
        state, _ = webhooks.add_webhook(a_webhook())
        read = webhooks.update_webhook(state, dead=[a_letter("1")])
        webhooks.request_redelivery("alerts", ["1"])
        with pytest.raises(WebhookConflictError):
            webhooks.update_webhook(read, dead=[a_letter("1")])

    def test_another_process_sees_it(
        self, storage: InstanceStorage, another: InstanceStorage
    ) -> None:
        state, _ = storage.webhook_storage.add_webhook(a_webhook())
        storage.webhook_storage.update_webhook(state, dead=[a_letter("1")])
        assert another.webhook_storage.get_webhook("alerts").version == 1
        assert another.webhook_storage.get_dead_letter_counts() == {"alerts": 1}

    def test_a_wipe_of_all_deletes_them_with_their_letters(self, storage: InstanceStorage) -> None:
        state, _ = storage.webhook_storage.add_webhook(a_webhook())
        storage.webhook_storage.update_webhook(state, dead=[a_letter("1")])
        add_run(storage)
        storage.wipe()
        assert storage.webhook_storage.get_webhooks() == []
        assert storage.webhook_storage.get_dead_letter_counts() == {}

    def test_a_wipe_of_the_runs_leaves_them(self, storage: InstanceStorage) -> None:
        storage.webhook_storage.add_webhook(a_webhook())
        storage.run_storage.wipe()
        assert storage.webhook_storage.get_webhook("alerts") == a_webhook()

    def test_reads_and_writes_of_many_threads_do_not_mix(self, webhooks: WebhookStorage) -> None:
        names = [f"hook-{index}" for index in range(4)]
        for name in names:
            webhooks.add_webhook(a_webhook(name))
        lock = threading.Lock()
        conflicts: list[str] = []

        def write(index: int) -> None:
            for _ in range(10):
                state = webhooks.get_webhook(names[index])
                try:
                    webhooks.update_webhook(replace(state, delivered=state.delivered + 1))
                except WebhookConflictError:
                    with lock:
                        conflicts.append(names[index])

        in_threads(4, write)
        assert conflicts == []
        assert [state.delivered for state in webhooks.get_webhooks()] == [10] * 4
