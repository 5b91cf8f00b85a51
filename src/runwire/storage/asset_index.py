"""The contract of the asset index: what the events of assets add up to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from runwire.storage.instance_log import MAX_PAGE, InstanceLogRecord

AssetKey = tuple[str, ...]
"""The parts of an asset's key, outermost first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetRecord:
    """An asset that events have named, with the newest of its events that were applied.

    Attributes:
        asset_key: its key.
        last_materialization, last_observation, last_planned: its newest event of each type, as entries of the
            instance-wide log; None when there is none. They stay when the log is purged.
        wiped_position: events up to this position of the instance-wide log do not count; 0 for all count.
    """

    asset_key: AssetKey
    last_materialization: InstanceLogRecord | None = None
    last_observation: InstanceLogRecord | None = None
    last_planned: InstanceLogRecord | None = None
    wiped_position: int = 0


@dataclass(frozen=True, slots=True)
class AssetsPage:
    """Assets in order, and whether more follow."""

    records: list[AssetRecord]
    has_more: bool


class AssetIndex(ABC):
    """Tells of assets without reading logs. It commits together with the instance-wide log. Thread-safe.

    Assets are in the order of the JSON text of their keys, code point by code point. An asset is there once an
    event that was applied has named it, until it is wiped, and again from its next event on; that runs are deleted
    or the instance-wide log is purged changes nothing. Texts are compared, and given back, in their stored form:
    as JSON has them in a key, and as `runwire.events.entry.storable_text` has them in a partition. Every method
    raises StorageUnavailableError when the storage cannot be read or written.
    """

    @abstractmethod
    def get_asset_records(
        self,
        keys: Collection[AssetKey] | None = None,
        *,
        prefix: Sequence[str] = (),
        after: AssetKey | None = None,
        limit: int = MAX_PAGE,
    ) -> AssetsPage:
        """Assets in order.

        Args:
            keys: only these, as far as they are there.
            prefix: only those whose key begins with these parts, or is these parts.
            after: only those that come after this key, which need not be there.
            limit: at most so many, and at most MAX_PAGE.
        """

    @abstractmethod
    def get_assets_count(self, prefix: Sequence[str] = ()) -> int:
        """How many assets have a key that begins with these parts, or is these parts."""

    @abstractmethod
    def has_asset_key(self, key: AssetKey) -> bool:
        """Whether the asset is there."""

    @abstractmethod
    def get_materialization_count_by_partition(
        self, keys: Collection[AssetKey]
    ) -> Mapping[AssetKey, Mapping[str | None, int]]:
        """How often each asset was materialized since it was wiped, by partition; None for the whole.

        Assets and partitions without a materialization are left out. What was purged from the instance-wide log
        counts as well.
        """

    @abstractmethod
    def wipe_asset(self, key: AssetKey) -> bool:
        """Forgets an asset: its events up to now do not count any more, though logs keep them.

        What "now" is, the instance-wide log says: an event that it has counts no more, one that it gets later does.
        Durable (synced) when it returns.

        Returns:
            Whether it was there.
        """

    @abstractmethod
    def reindex(self) -> None:
        """Makes the index anew from the instance-wide log, in one transaction; wipes, and what was purged, still count.

        Writers of the instance-wide log wait meanwhile. Harmless when nothing is wrong.
        """
