"""Delivering to one webhook: in order for each run, from a durable place in the log, until it is there or given up."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from runwire import clock
from runwire.control import webhook_state
from runwire.errors import WebhookConflictError, WebhookNotFoundError
from runwire.fault_points import fault_point
from runwire.instance.webhook_settings import WebhookRetrySettings, WebhookSettings
from runwire.storage import (
    DeadLetter,
    DeadLettersPage,
    InstanceStorage,
    WebhookAttempt,
    WebhookState,
    WebhookStatus,
    WebhookTrouble,
)
from runwire.webhooks.sender import MAX_RETRY_AFTER_SECONDS, Answer, Sender
from runwire.webhooks.source import EventSource, EventsPage, Outgoing
from runwire.webhooks.window import Window

logger = logging.getLogger(__name__)

PAGE = 100
"""How many events are read at once."""

MAX_DEAD_LETTERS = 10_000
"""With so many, a webhook is disabled instead of giving up another event."""

SAVE_SECONDS = 0.25
"""How often its place is stored while events are delivered, and so how much may be sent again after a crash."""

PASSED_SECONDS = 10.0
"""How often it is stored while no event is wanted."""

REST_SECONDS = 1.0
"""How long to rest when the storage failed."""

STOP_SECONDS = 3.0
"""How long it waits for answers when it is to stop."""

_LETTERS_AT_ONCE = 20


class WebhooksMissedError(Exception):
    """Entries of the log were purged before a webhook got to them."""


class WebhookDisabledError(Exception):
    """A webhook is disabled."""


def back_off(settings: WebhookRetrySettings, failures: int) -> float:
    """How long to wait after so many failures, in seconds: 1, 2, 4 … times the first, less up to half of it."""
    longest = min(settings.max_seconds, settings.initial_seconds * 2.0 ** min(failures - 1, 60))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter


class Delivery:
    """Delivers to one webhook, in a thread and an event loop of its own, so that it delays no other.

    While a request fails, nothing but what failed first is sent, and that after a pause. What was delivered is
    known durably soon after; a crash in between has it sent again, with the same id.

    Args:
        settings: the webhook.
        storage: of the instance.
        report: takes an error that whoever looks after the daemons should know.
        now: tells the time, in epoch seconds.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        storage: InstanceStorage,
        report: Callable[[BaseException], None],
        now: Callable[[], float] = clock.timestamp,
    ) -> None:
        self._settings = settings
        self._storage = storage
        self._webhooks = storage.webhook_storage
        self._source = EventSource(settings, storage)
        self._sender = Sender(settings, now)
        self._report = report
        self._now = now
        self._thread = threading.Thread(
            target=self._run, name=f"runwire-webhook-{settings.name}", daemon=True
        )
        self._told = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._may_work: Callable[[], bool] = lambda: True
        self._is_stopping = False
        self._head = 0
        self._seen_version: int | None = 0
        # What follows is of one turn, from when the state was read until it was written by somebody else.
        self._state: WebhookState
        self._letter_count = 0
        self._retry_at = 0.0
        self._dead: list[DeadLetter] = []
        self._settled: list[str] = []
        self._is_dirty = self._is_urgent = self._is_shared = False
        self._saved_at = 0.0

    # --------------------------------------------------------------- from the thread of the daemon

    def start(self) -> None:
        """Begins. Called once."""
        self._thread.start()

    def tell(self, head: int, version: int | None, may_work: Callable[[], bool]) -> None:
        """Tells what is new.

        Args:
            head: the last position of the instance-wide log.
            version: that of the state that is stored; None when there is none.
            may_work: whether this process delivers.
        """
        with self._told:
            is_new = (head, version) != (self._head, self._seen_version)
            self._head, self._seen_version, self._may_work = head, version, may_work
        if is_new:
            self._wake_up()

    @property
    def is_alive(self) -> bool:
        """Whether it delivers, or would."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Has it end when what is under way has ended."""
        self._is_stopping = True
        self._wake_up()

    def join(self, timeout_seconds: float) -> None:
        """Waits for its end."""
        self._thread.join(timeout_seconds)

    def _wake_up(self) -> None:
        with self._told:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._wake.set)

    # --------------------------------------------------------------------------- in its own thread

    def _run(self) -> None:
        try:
            asyncio.run(self._work())
        except Exception as error:  # noqa: BLE001 - the daemon begins it anew
            self._report(error)

    async def _work(self) -> None:
        with self._told:
            self._loop = asyncio.get_running_loop()
        async with self._sender:
            while not self._should_stop():
                try:
                    await self._begin()
                    if self._state.status is WebhookStatus.RUNNING:
                        await self._deliver()
                    while not (self._should_stop() or self._is_outdated()):
                        await self._wait(None)  # somebody has to resume it
                except (WebhookConflictError, WebhookNotFoundError) as error:
                    logger.info("webhook %s begins anew: %s", self._settings.name, error)
                except Exception as error:  # noqa: BLE001 - as of a storage that does not answer
                    self._report(error)
                    await asyncio.sleep(REST_SECONDS)
        with self._told:
            self._loop = None

    def _should_stop(self) -> bool:
        return self._is_stopping or not self._may_work()

    def _is_outdated(self) -> bool:
        """Whether somebody else has written the state."""
        with self._told:
            seen = self._seen_version
        return self._is_shared or seen is None or seen > self._state.version

    async def _begin(self) -> None:
        """Reads the state; makes it, at the end of the log, where there is none."""
        self._dead, self._settled = [], []
        self._is_dirty = self._is_urgent = self._is_shared = False
        self._saved_at = time.monotonic()
        self._state, counts = await asyncio.to_thread(self._load)
        self._letter_count = counts
        trouble = self._state.trouble
        self._retry_at = time.monotonic()
        if trouble is not None:
            left = trouble.retry_at - self._now()
            longest = max(self._settings.retry.max_seconds, MAX_RETRY_AFTER_SECONDS)
            self._retry_at += min(max(0.0, left), longest)
        with self._told:
            self._seen_version = max(self._seen_version or 0, self._state.version)
            self._head = max(self._head, self._state.position)

    def _load(self) -> tuple[WebhookState, int]:
        name, log_id = self._settings.name, self._source.log_id()
        state = webhook_state(self._storage, name, self._now())
        if state.log_id != log_id:  # the log is a new one
            anew = replace(state, log_id=log_id, position=0, trouble=None)
            state = self._webhooks.update_webhook(anew)
        return state, self._webhooks.get_dead_letter_counts().get(name, 0)

    async def _deliver(self) -> None:
        """Delivers until somebody else has written the state, or it is to stop."""
        window = Window(self._state.position)
        letters: deque[DeadLetter] = deque()
        has_letters = True
        flying: dict[asyncio.Task[Answer], Outgoing | DeadLetter] = {}
        try:
            while not self._is_over():
                if has_letters and not (letters or self._settled or self._dead or flying):
                    page = await asyncio.to_thread(self._requested_letters)
                    letters.extend(page.letters)
                    has_letters = page.has_more
                await self._fill(window)
                self._start(window, letters, flying)
                await self._wait(self._pause(window), flying)
                self._land(window, flying)
                await self._save(window, is_idle=not flying)
        finally:
            await self._end(flying)
            self._land(window, flying)
            self._is_urgent = self._is_dirty
            await self._save(window, is_idle=True)

    def _is_over(self) -> bool:
        is_running = self._state.status is WebhookStatus.RUNNING
        return self._should_stop() or self._is_outdated() or not is_running

    def _requested_letters(self) -> DeadLettersPage:
        return self._webhooks.get_dead_letters(
            self._settings.name, limit=_LETTERS_AT_ONCE, requested=True
        )

    async def _end(self, flying: dict[asyncio.Task[Answer], Outgoing | DeadLetter]) -> None:
        """Waits for the answers that are due, not for long when it is to stop; what is given up is sent again."""
        if not flying:
            return
        limit = STOP_SECONDS if self._should_stop() else None
        _, slow = await asyncio.wait(flying, timeout=limit)
        for task in slow:
            task.cancel()
            del flying[task]
        await asyncio.gather(*slow, return_exceptions=True)

    async def _fill(self, window: Window) -> None:
        """Reads on while there is room, and nothing fails."""
        until = time.monotonic() + PASSED_SECONDS
        with self._told:
            head = self._head
        while (
            window.has_room
            and window.read_up_to < head
            and window.failing() is None
            and time.monotonic() < until
            and not self._is_over()
        ):
            page = await asyncio.to_thread(
                self._source.read, self._state.log_id, window.read_up_to, PAGE
            )
            self._take_in(window, page)

    def _take_in(self, window: Window, page: EventsPage) -> None:
        trouble = self._state.trouble
        for event in page.events:
            if trouble is not None and event.event_id == trouble.event_id:
                event.failures, event.refusals = trouble.failures, trouble.refusals
                event.failing_since = trouble.since
        window.add(page.events, page.read_up_to)
        if page.missed:
            self._state = replace(self._state, missed=self._state.missed + page.missed)
            self._is_dirty = self._is_urgent = True
            self._report(
                WebhooksMissedError(
                    f"webhook {self._settings.name} missed {page.missed} entries of the instance-wide log, which were"
                    " purged before it got to them; keep them for longer (retention.events)"
                )
            )

    def _start(
        self,
        window: Window,
        letters: deque[DeadLetter],
        flying: dict[asyncio.Task[Answer], Outgoing | DeadLetter],
    ) -> None:
        """Begins as many requests as may be made now."""

        def send(what: Outgoing | DeadLetter) -> None:
            flying[asyncio.create_task(self._sender.send(what.event_id, what.body))] = what

        if time.monotonic() < self._retry_at:
            return
        failing = window.failing()
        if failing is not None:
            if not flying:
                send(window.take_this(failing))
            return
        if letters and not any(isinstance(each, DeadLetter) for each in flying.values()):
            send(letters.popleft())
        while len(flying) < self._settings.max_in_flight and not self._should_stop():
            event = window.take()
            if event is None:
                return
            send(event)

    def _pause(self, window: Window) -> float | None:
        """For how long nothing is to be done, unless something happens."""
        pauses: list[float] = []
        now = time.monotonic()
        if self._is_dirty:
            pauses.append(self._saved_at + SAVE_SECONDS - now)
        elif window.done_up_to > self._state.position or window.read_up_to < self._head:
            pauses.append(self._saved_at + PASSED_SECONDS - now)
        if window.failing() is not None or self._retry_at > now:
            pauses.append(self._retry_at - now)
        return max(0.0, min(pauses)) if pauses else None

    async def _wait(
        self,
        seconds: float | None,
        flying: dict[asyncio.Task[Answer], Outgoing | DeadLetter] | None = None,
    ) -> None:
        """Waits until a request has ended, something is new, or so long."""
        waking = asyncio.create_task(self._wake.wait())
        try:
            await asyncio.wait(
                {waking, *(flying or ())}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waking.cancel()
        self._wake.clear()

    # ------------------------------------------------------------------------- what became of them

    def _land(
        self, window: Window, flying: dict[asyncio.Task[Answer], Outgoing | DeadLetter]
    ) -> None:
        """Heeds the answers that are there."""
        for task in [task for task in flying if task.done()]:
            what, answer = flying.pop(task), task.result()
            self._note(what, answer)
            if isinstance(what, DeadLetter):
                self._settle(what, answer)
            elif answer.is_delivered:
                window.finish(what)
            elif answer.is_gone:
                window.give_back(what)
            else:
                self._fail(window, what, answer)

    def _note(self, what: Outgoing | DeadLetter, answer: Answer) -> None:
        self._is_dirty = True
        state = self._state
        self._state = replace(
            state,
            delivered=state.delivered + answer.is_delivered,
            failures=state.failures + (not answer.is_delivered),
            last_attempt=WebhookAttempt(
                event_id=what.event_id,
                at=self._now(),
                duration_seconds=answer.duration_seconds,
                status_code=answer.status_code,
                error=answer.error,
            ),
        )
        if answer.is_gone:
            self._disable("it answered 410: it wants nothing any more")

    def _disable(self, reason: str) -> None:
        self._is_urgent = True
        self._state = replace(
            self._state, status=WebhookStatus.DISABLED, reason=reason, updated_at=self._now()
        )
        self._report(
            WebhookDisabledError(
                f"webhook {self._settings.name} is disabled: {reason}; resume it when that is mended"
            )
        )

    def _settle(self, letter: DeadLetter, answer: Answer) -> None:
        self._is_urgent = True
        if answer.is_delivered:
            self._settled.append(letter.event_id)
            self._letter_count -= 1
            return
        failed = replace(
            letter,
            failures=letter.failures + 1,
            failed_at=self._now(),
            status_code=answer.status_code,
            error=answer.error or "",
            is_requested=False,
        )
        self._dead.append(failed)

    def _fail(self, window: Window, event: Outgoing, answer: Answer) -> None:
        """Tries an event again later, or gives it up."""
        self._is_urgent = True
        now, retry = self._now(), self._settings.retry
        event.failures += 1
        event.refusals += answer.is_refusal
        event.failing_since = now if event.failing_since is None else event.failing_since
        is_over = now - event.failing_since >= retry.give_up_after_seconds
        if event.refusals < retry.max_refusals and not is_over:
            window.give_back(event)
            pause = max(back_off(retry, event.failures), answer.retry_after_seconds or 0.0)
            self._retry_at = max(self._retry_at, time.monotonic() + pause)
        elif self._letter_count >= MAX_DEAD_LETTERS:
            window.give_back(event)
            self._disable(f"it has {MAX_DEAD_LETTERS:,} dead letters, and another event failed")
        else:
            window.finish(event)
            self._letter_count += 1
            self._dead.append(
                DeadLetter(
                    webhook=self._settings.name,
                    event_id=event.event_id,
                    run_id=event.run_id,
                    event_type=event.event_type,
                    body=event.body,
                    failures=event.failures,
                    failed_at=now,
                    status_code=answer.status_code,
                    error=answer.error or "",
                )
            )

    # -------------------------------------------------------------------------------- remembering

    async def _save(self, window: Window, *, is_idle: bool) -> None:
        """Stores what became of the webhook, if it is time to."""
        age = time.monotonic() - self._saved_at
        has_passed = window.done_up_to > self._state.position and age >= PASSED_SECONDS
        if not (
            self._is_urgent or has_passed or (self._is_dirty and (is_idle or age >= SAVE_SECONDS))
        ):
            return
        read = self._state
        state = replace(read, position=window.done_up_to, trouble=self._trouble(window))
        dead, settled = self._dead, self._settled
        fault_point("webhook.before_save")
        stored = await asyncio.to_thread(self._store, read, state, dead, settled)
        fault_point("webhook.after_save")
        self._state, self._dead, self._settled = stored, [], []
        self._is_dirty = self._is_urgent = False
        self._saved_at = time.monotonic()

    def _store(
        self,
        read: WebhookState,
        state: WebhookState,
        dead: list[DeadLetter],
        settled: list[str],
    ) -> WebhookState:
        try:
            return self._webhooks.update_webhook(state, dead=dead, settled=settled)
        except WebhookConflictError:
            stored = self._webhooks.get_webhook(state.name)
            if (stored.log_id, stored.position) != (read.log_id, read.position):
                raise  # another daemon delivers
            # Somebody paused it, or wants letters sent: that stays.
            ours = replace(
                state,
                status=stored.status,
                reason=stored.reason,
                updated_at=stored.updated_at,
                version=stored.version,
            )
            self._is_shared = True  # and is read, when what is under way has ended
            return self._webhooks.update_webhook(ours, dead=dead, settled=settled)

    def _trouble(self, window: Window) -> WebhookTrouble | None:
        event = window.failing()
        if event is None or event.failing_since is None:
            return None
        return WebhookTrouble(
            event_id=event.event_id,
            since=event.failing_since,
            failures=event.failures,
            refusals=event.refusals,
            retry_at=self._now() + max(0.0, self._retry_at - time.monotonic()),
        )
