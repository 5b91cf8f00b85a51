"""Queries of assets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import strawberry
from strawberry import UNSET

from runwire.api.assets.types import Asset, AssetConnection, AssetPage
from runwire.api.context import ApiContext, ApiInfo
from runwire.api.loaders import AssetRecords
from runwire.api.opaque import shown, unpack
from runwire.api.paging import check_limit
from runwire.api.rows import given, resolved
from runwire.api.user_errors import check_text
from runwire.errors import CursorInvalidError
from runwire.storage import AssetIndex, AssetKey, AssetRecord

DEFAULT_ASSETS = 50
MAX_ASSETS = 100


async def find_asset(context: ApiContext, key: list[str]) -> AssetRecord | None:
    """The asset of a global id."""
    (text,) = key
    try:
        asset_key = _decode_key(text)
    except msgspec.MsgspecError:
        return None
    return await context.loader(AssetRecords).find(asset_key)


_decode_key = msgspec.json.Decoder(AssetKey).decode


async def _asset(
    info: ApiInfo,
    key: Annotated[list[str], strawberry.argument(description="The parts of the asset's key.")],
) -> AssetRecord | None:
    return await info.context.loader(AssetRecords).find(_check_key(key, "key"))


async def _assets(
    info: ApiInfo,
    prefix: Annotated[
        list[str] | None,
        strawberry.argument(description="Only assets whose key begins with these parts."),
    ] = UNSET,
    first: Annotated[int | None, strawberry.argument(description="How many assets.")] = (
        DEFAULT_ASSETS
    ),
    after: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the asset before the first one wanted."),
    ] = UNSET,
) -> AssetPage:
    limit = DEFAULT_ASSETS if first is None else check_limit("first", first, MAX_ASSETS)
    cursor = given(after)
    start = None if cursor is None else _parse_cursor(cursor)
    context = info.context
    index = context.event_log_storage.asset_index
    parts = _check_key(given(prefix) or [], "prefix")
    return await context.lanes.read(_read, index, parts, start, limit)


def _read(
    index: AssetIndex, prefix: Sequence[str], after: AssetKey | None, limit: int
) -> AssetPage:
    page = index.get_asset_records(prefix=prefix, after=after, limit=limit)
    has_previous = False
    if after is not None:
        # What comes first of all is before the page, unless the page begins with it.
        first = index.get_asset_records(prefix=prefix, limit=1).records
        has_previous = [record.asset_key for record in first] != [
            record.asset_key for record in page.records[:1]
        ]
    return AssetPage(prefix, page.records, page.has_more, has_previous)


def _parse_cursor(cursor: str) -> AssetKey:
    match unpack(cursor):
        case [1, "assets", *parts] if all(isinstance(part, str) for part in parts):
            return tuple(parts)
        case _:
            raise CursorInvalidError(f"{shown(cursor)} is not a cursor of a list of assets")


def _check_key(parts: list[str], argument: str) -> AssetKey:
    return tuple(check_text(part, (argument, str(i))) for i, part in enumerate(parts))


@strawberry.type
class AssetQueries:
    """Queries of assets."""

    asset: Asset | None = resolved(
        _asset,
        "Finds an asset; null when no event has named it since it was wiped.",
        type=Asset | None,
    )
    assets: AssetConnection = resolved(
        _assets, "The assets that events have named, by key.", type=AssetConnection
    )
