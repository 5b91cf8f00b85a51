"""The assets that events link to."""

from __future__ import annotations

from typing import Any

import strawberry

from runwire.api.context import ApiInfo
from runwire.api.loaders import AssetRecords
from runwire.api.rows import later
from runwire.storage import AssetRecord

ASSET = later("Asset", "runwire.api.assets.types") | None
"""The GraphQL type of an asset that may not be there."""


async def asset_of(root: strawberry.Parent[Any], info: ApiInfo) -> AssetRecord | None:
    """The asset of a row that has an `asset_key`; None when it is not there."""
    return await info.context.loader(AssetRecords).find(root.asset_key)
