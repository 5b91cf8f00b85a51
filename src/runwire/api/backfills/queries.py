"""Queries of backfills."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import ID, UNSET

from runwire.api.backfill_loaders import BackfillsById, backfill_storage_of
from runwire.api.backfills.inputs import BackfillFilter
from runwire.api.backfills.types import (
    Backfill,
    BackfillConnection,
    BackfillPage,
    parse_backfill_cursor,
)
from runwire.api.context import ApiInfo
from runwire.api.paging import check_limit
from runwire.api.rows import given, resolved
from runwire.storage import Backfill as BackfillRow

DEFAULT_BACKFILLS = 25
MAX_BACKFILLS = 100


async def _backfill(
    info: ApiInfo,
    backfill_id: Annotated[ID, strawberry.argument(description="The id of the backfill.")],
) -> BackfillRow | None:
    return await info.context.loader(BackfillsById).find(backfill_id)


async def _backfills(
    info: ApiInfo,
    filter: Annotated[
        BackfillFilter | None,
        strawberry.argument(description="Which backfills; all when left out."),
    ] = UNSET,
    first: Annotated[
        int | None, strawberry.argument(description="How many backfills, from the newest on.")
    ] = DEFAULT_BACKFILLS,
    after: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the backfill before the first one wanted."),
    ] = UNSET,
) -> BackfillPage:
    limit = check_limit("first", DEFAULT_BACKFILLS if first is None else first, MAX_BACKFILLS)
    cursor, wanted = given(after), (given(filter) or BackfillFilter()).to_filter()
    before = None if cursor is None else parse_backfill_cursor(cursor)
    page = await info.context.lanes.read(
        backfill_storage_of(info.context).get_backfills, wanted, before=before, limit=limit
    )
    return BackfillPage(wanted, page.backfills, page.has_more, cursor is not None)


@strawberry.type
class BackfillQueries:
    """Queries of backfills."""

    backfill: Backfill | None = resolved(
        _backfill, "Finds a backfill; null when there is none.", type=Backfill | None
    )
    backfills: BackfillConnection = resolved(
        _backfills, "The backfills that match, newest first.", type=BackfillConnection
    )
