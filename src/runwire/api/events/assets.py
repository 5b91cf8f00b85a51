"""The assets that events link to."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from runwire.api.context import ApiContext
from runwire.api.loaders import AssetRecords
from runwire.api.rows import later
from runwire.storage import AssetRecord

ASSET = later("Asset", "runwire.api.assets.types") | None
"""The GraphQL type of an asset that may not be there."""


def asset_of(row: Any, context: ApiContext) -> Awaitable[AssetRecord | None]:
    """The asset of a row that has an `asset_key`; None when it is not there."""
    return context.loader(AssetRecords).find(row.asset_key)
