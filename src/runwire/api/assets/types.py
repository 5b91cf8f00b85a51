"""Assets and pages of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import strawberry
from strawberry import ID

from runwire.api.assets.events import asset_events
from runwire.api.context import ApiContext, ApiInfo
from runwire.api.events.types import EventRecord, EventRecordConnection, EventRow, row_of
from runwire.api.loaders import RunRecords
from runwire.api.nodes import Node, global_id
from runwire.api.opaque import pack
from runwire.api.paging import PageInfo
from runwire.api.rows import field, loaded, resolved, view
from runwire.storage import AssetKey, AssetRecord, InstanceLogRecord


def _id(record: AssetRecord) -> ID:
    return global_id("Asset", msgspec.json.encode(record.asset_key).decode())


async def _latest_materialization(record: AssetRecord, context: ApiContext) -> EventRow | None:
    return await _event_of(context, record.last_materialization)


async def _latest_observation(record: AssetRecord, context: ApiContext) -> EventRow | None:
    return await _event_of(context, record.last_observation)


async def _event_of(context: ApiContext, entry: InstanceLogRecord | None) -> EventRow | None:
    if entry is None or entry.event is None:
        return None
    return row_of(entry, entry.event, await context.loader(RunRecords).find(entry.run_id))


@view(AssetRecord, "A thing that runs make, known by its key from events.")
class Asset(Node):
    """A thing that runs make."""

    id: ID = field("The global id of the asset.", _id)
    key: list[str] = field("The parts of its key.", lambda record: record.asset_key)
    latest_materialization: EventRecord | None = loaded(
        _latest_materialization,
        "Its newest materialization; null when there is none.",
        type=EventRecord | None,
    )
    latest_observation: EventRecord | None = loaded(
        _latest_observation,
        "Its newest observation; null when there is none.",
        type=EventRecord | None,
    )
    events: EventRecordConnection | None = resolved(
        asset_events,
        "Its events, oldest first; null when they cannot be read.",
        type=EventRecordConnection | None,
    )


class AssetPage(NamedTuple):
    """A page of assets, in order, and the prefix that all of their keys begin with."""

    prefix: Sequence[str]
    records: list[AssetRecord]
    has_next: bool
    has_previous: bool


def cursor_of(key: AssetKey) -> str:
    """The cursor of an asset: a version, `assets`, and its key."""
    return pack(1, "assets", *key)


@view(AssetRecord, "An asset in a page.")
class AssetEdge:
    """An asset in a page."""

    cursor: str = field("The cursor of the asset.", lambda record: cursor_of(record.asset_key))
    node: Asset = field("The asset.", lambda record: record)


def _page_info(page: AssetPage) -> PageInfo:
    cursors = [cursor_of(record.asset_key) for record in page.records]
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )


async def _total_count(root: strawberry.Parent[AssetPage], info: ApiInfo) -> int:
    context = info.context
    index = context.event_log_storage.asset_index
    return await context.lanes.read(index.get_assets_count, root.prefix)


@view(AssetPage, "A page of assets.")
class AssetConnection:
    """A page of assets."""

    edges: list[AssetEdge] = field(
        "The assets of the page with their cursors.", lambda page: page.records
    )
    nodes: list[Asset] = field("The assets of the page.", lambda page: page.records)
    page_info: PageInfo = field("Where the page lies.", _page_info)
    total_count: int = resolved(_total_count, "The number of matching assets.")
