"""The contract of the storage of webhooks: how far each was delivered to, and what could not be delivered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from runwire.errors import WebhookNotFoundError


class WebhookStatus(Enum):
    """Whether a webhook is delivered to."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    DISABLED = "DISABLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAttempt:
    """One request to a webhook, and how it ended.

    Attributes:
        event_id: the event that was sent.
        at: when it ended, in epoch seconds.
        duration_seconds: how long it took.
        status_code: what was answered; None when nothing was.
        error: why it does not count as delivered; None when it does.
    """

    event_id: str
    at: float
    duration_seconds: float
    status_code: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookTrouble:
    """An event that could not be delivered yet, and is tried again.

    Attributes:
        event_id: the event.
        since: when it failed first, in epoch seconds.
        failures: how often it has failed.
        refusals: how many of these were refusals of the event itself.
        retry_at: when it is tried again, in epoch seconds.
    """

    event_id: str
    since: float
    failures: int
    refusals: int
    retry_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookState:
    """What is kept about a webhook.

    Attributes:
        name: its name, as in the configuration.
        log_id: the instance-wide log that `position` is of.
        position: all events of the log up to it are delivered, given up, or not wanted.
        status: whether it is delivered to.
        reason: why it is DISABLED; None otherwise.
        delivered: how many events were delivered.
        failures: how many requests failed.
        missed: how many entries of the log were purged before they were looked at.
        last_attempt: the last request; None before the first.
        trouble: what is tried again now; None when nothing is.
        updated_at: when somebody paused, resumed or disabled it, in epoch seconds.
        version: how often this was written.
    """

    name: str
    log_id: str
    position: int
    status: WebhookStatus = WebhookStatus.RUNNING
    reason: str | None = None
    delivered: int = 0
    failures: int = 0
    missed: int = 0
    last_attempt: WebhookAttempt | None = None
    trouble: WebhookTrouble | None = None
    updated_at: float
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An event that was given up. It is kept until it is delivered by request.

    Attributes:
        letter_id: given by the storage, ascending; 0 before.
        webhook: the name of the webhook.
        event_id: the event.
        run_id: its run.
        event_type: its type.
        body: what is sent, exactly.
        failures: how often it has failed.
        failed_at: when it failed last, in epoch seconds.
        status_code: what was answered last; None when nothing was.
        error: why it failed last.
        is_requested: whether it is to be delivered again.
    """

    letter_id: int = 0
    webhook: str
    event_id: str
    run_id: str
    event_type: str
    body: bytes
    failures: int
    failed_at: float
    status_code: int | None = None
    error: str
    is_requested: bool = False


@dataclass(frozen=True, slots=True)
class DeadLettersPage:
    """Dead letters, in the order in which they were kept, and whether more follow."""

    letters: list[DeadLetter]
    has_more: bool


class WebhookStorage(ABC):
    """Keeps the states of webhooks, and their dead letters, beside the instance-wide log.

    What a method wrote is synced to disk, and seen by all others in all processes, when it returns. A method that
    raises has changed nothing. All methods are thread-safe. Texts are kept in their stored form
    (`runwire.events.entry.storable_text`). Every method raises StorageUnavailableError when the storage cannot be
    read or written.
    """

    @abstractmethod
    def add_webhook(self, state: WebhookState) -> tuple[WebhookState, bool]:
        """Adds a webhook, unless one of the name is there; then nothing changes.

        Returns:
            What is kept about it, and whether this call added it.
        """

    @abstractmethod
    def find_webhook(self, name: str) -> WebhookState | None:
        """What is kept about a webhook; None when it was not added."""

    def get_webhook(self, name: str) -> WebhookState:
        """What is kept about a webhook.

        Raises:
            WebhookNotFoundError: it was not added.
        """
        state = self.find_webhook(name)
        if state is None:
            raise WebhookNotFoundError(name)
        return state

    @abstractmethod
    def get_webhooks(self) -> list[WebhookState]:
        """What is kept about all webhooks, by name."""

    @abstractmethod
    def update_webhook(
        self,
        state: WebhookState,
        *,
        dead: Sequence[DeadLetter] = (),
        settled: Collection[str] = (),
    ) -> WebhookState:
        """Writes what became of a webhook, in one transaction with its dead letters.

        A compare-and-set: the stored state must have the version of the given one. So of any number of daemons that
        deliver at once, one goes on, and what somebody has done since stays.

        Args:
            state: the state as it was read, with what is new about it.
            dead: letters to keep; one of the same event is replaced, and keeps its id.
            settled: ids of events whose letters are deleted, before that.

        Returns:
            The state as it is stored, with a version that is larger by one.

        Raises:
            WebhookNotFoundError: it was not added.
            WebhookConflictError: it has changed since it was read.
        """

    @abstractmethod
    def get_dead_letters(
        self, name: str, *, after: int = 0, limit: int, requested: bool = False
    ) -> DeadLettersPage:
        """Dead letters of a webhook, the first that were kept first; none for one that was not added.

        Args:
            name: the webhook.
            after: only letters whose id is larger.
            limit: how many at most.
            requested: only those that are to be delivered again.
        """

    @abstractmethod
    def get_dead_letter_counts(self) -> dict[str, int]:
        """How many dead letters there are, by the name of the webhook; no key for those without any."""

    @abstractmethod
    def request_redelivery(self, name: str, event_ids: Collection[str] | None = None) -> int:
        """Has dead letters delivered again, and raises the version of the webhook, so that its daemon sees it.

        Args:
            name: the webhook.
            event_ids: their events; those that have no letter are passed over. None for all.

        Returns:
            How many letters are to be delivered by this request, those that were to be before included.

        Raises:
            WebhookNotFoundError: it was not added.
        """

    @abstractmethod
    def wipe(self) -> None:
        """Deletes all webhooks with their dead letters."""
