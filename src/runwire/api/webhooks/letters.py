"""The dead letters of webhooks."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import strawberry
from strawberry import ID, UNSET

from runwire.api.context import ApiInfo
from runwire.api.events.enums import EventType
from runwire.api.opaque import pack, shown, unpack
from runwire.api.paging import PageInfo, check_limit
from runwire.api.rows import field, given, view
from runwire.api.scalars import DateTime
from runwire.api.webhooks.reads import WebhookRow
from runwire.errors import CursorInvalidError
from runwire.storage import DeadLetter

DEFAULT_LETTERS = 25
MAX_LETTERS = 100
_VERSION, _LIST = 1, "letters"


class LettersRow(NamedTuple):
    """A page of dead letters."""

    letters: list[DeadLetter]
    has_more: bool
    has_previous: bool


@view(DeadLetter, "An event that a webhook did not take and that was given up.")
class WebhookDeadLetter:
    """An event that was given up."""

    event_id: ID = field("The id of the event, by which `redeliverWebhook` names it.")
    event_type: EventType = field(
        "The type of the event.", lambda letter: EventType(letter.event_type)
    )
    run_id: ID = field("The id of the run, which may be deleted.")
    failure_count: int = field("How often it failed.", lambda letter: letter.failures)
    failed_at: DateTime = field("When it failed last.")
    status_code: int | None = field("What was answered last; null when nothing was.")
    error: str = field("Why it failed last.")
    redelivery_requested: bool = field(
        "Whether it waits to be sent again.", lambda letter: letter.is_requested
    )


def _cursor(letter: DeadLetter) -> str:
    return pack(_VERSION, _LIST, letter.letter_id)


@view(DeadLetter, "A dead letter in a page.")
class WebhookDeadLetterEdge:
    """A dead letter in a page."""

    cursor: str = field("The cursor of the letter.", _cursor)
    node: WebhookDeadLetter = field("The letter.", lambda letter: letter)


def _page_info(page: LettersRow) -> PageInfo:
    return PageInfo(
        has_next_page=page.has_more,
        has_previous_page=page.has_previous,
        start_cursor=_cursor(page.letters[0]) if page.letters else None,
        end_cursor=_cursor(page.letters[-1]) if page.letters else None,
    )


@view(LettersRow, "A page of dead letters.")
class WebhookDeadLetterConnection:
    """A page of dead letters."""

    edges: list[WebhookDeadLetterEdge] = field(
        "The letters of the page with their cursors.", lambda page: page.letters
    )
    nodes: list[WebhookDeadLetter] = field("The letters of the page.", lambda page: page.letters)
    page_info: PageInfo = field("Where the page lies.", _page_info)


async def read_letters(
    root: strawberry.Parent[WebhookRow],
    info: ApiInfo,
    first: Annotated[
        int | None, strawberry.argument(description="How many letters, at most 100.")
    ] = DEFAULT_LETTERS,
    after: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the letter before the first one wanted."),
    ] = UNSET,
) -> LettersRow:
    """A page of the dead letters of a webhook."""
    limit = check_limit("first", DEFAULT_LETTERS if first is None else first, MAX_LETTERS)
    cursor = given(after)
    place = 0 if cursor is None else _parse(cursor)
    page = await info.context.lanes.read(
        info.context.instance.storage.webhook_storage.get_dead_letters,
        root.settings.name,
        after=place,
        limit=limit,
    )
    return LettersRow(page.letters, page.has_more, cursor is not None)


def _parse(cursor: str) -> int:
    """The letter that a cursor names.

    Raises:
        CursorInvalidError: it is malformed, or belongs to another list.
    """
    match unpack(cursor):
        case [int(version), str(listed), int(letter_id)] if (version, listed) == (
            _VERSION,
            _LIST,
        ) and 0 < letter_id < 2**63:
            return letter_id
        case _:
            raise CursorInvalidError(f"{shown(cursor)} is not a cursor of dead letters")
