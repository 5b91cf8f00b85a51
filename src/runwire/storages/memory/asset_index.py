"""The asset index in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice

from runwire.events.entry import storable_text
from runwire.events.payloads import AssetEventData
from runwire.events.types import ASSET_EVENTS, EventType
from runwire.storage.asset_index import AssetIndex, AssetKey, AssetRecord, AssetsPage
from runwire.storage.instance_log import MAX_PAGE, InstanceLogRecord
from runwire.storages.memory.state import Asset, State
from runwire.storages.stored_form import decode_json, encode_json


class MemoryAssetIndex(AssetIndex):
    """Keeps the assets in a state that it shares with the instance-wide log."""

    def __init__(self, state: State) -> None:
        self._state = state

    def get_asset_records(
        self,
        keys: Collection[AssetKey] | None = None,
        *,
        prefix: Sequence[str] = (),
        after: AssetKey | None = None,
        limit: int = MAX_PAGE,
    ) -> AssetsPage:
        limit = min(limit, MAX_PAGE)
        wanted = None if keys is None else set(map(_text, keys))
        first = "" if after is None else _text(after)
        with self._state.lock:
            found = (
                text
                for text in self._find(prefix)
                if text > first and (wanted is None or text in wanted)
            )
            page = list(islice(found, limit + 1))
            records = [_record(text, self._state.assets[text]) for text in page[:limit]]
        return AssetsPage(records, len(page) > limit)

    def get_assets_count(self, prefix: Sequence[str] = ()) -> int:
        with self._state.lock:
            return len(self._find(prefix))

    def has_asset_key(self, key: AssetKey) -> bool:
        with self._state.lock:
            asset = self._state.assets.get(_text(key))
            return asset is not None and bool(asset.newest)

    def get_materialization_count_by_partition(
        self, keys: Collection[AssetKey]
    ) -> Mapping[AssetKey, Mapping[str | None, int]]:
        with self._state.lock:
            assets = {text: self._state.assets.get(text) for text in map(_text, keys)}
            return {
                _key(text): dict(asset.counts)
                for text, asset in assets.items()
                if asset is not None and asset.counts
            }

    def wipe_asset(self, key: AssetKey) -> bool:
        text, state = _text(key), self._state
        with state.lock:
            if not self.has_asset_key(key):
                return False
            state.assets[text] = Asset(wiped_position=state.instance_head)
            return True

    def reindex(self) -> None:
        state = self._state
        with state.lock:
            for asset in state.assets.values():
                asset.newest = {
                    event_type: entry
                    for event_type, entry in asset.newest.items()
                    if entry.position <= state.purged_position
                }
                asset.counts = Counter(asset.purged_counts)
            for entry in state.instance_log:
                index_entry(state.assets, entry)

    def _find(self, prefix: Sequence[str]) -> list[str]:
        """The texts of the keys that begin with these parts, in order."""
        # Without the bracket at its end, the text of a prefix is one of those and only those that begin with it.
        start = _text(prefix).removesuffix("]")
        return sorted(
            text
            for text, asset in self._state.assets.items()
            if asset.newest and text.startswith(start)
        )


def index_entry(assets: dict[str, Asset], entry: InstanceLogRecord) -> None:
    """Makes the assets reflect an entry of the instance-wide log, unless it was wiped."""
    event = entry.event
    if event is None or not event.applied or event.event_type not in ASSET_EVENTS:
        return
    if isinstance(event.data, AssetEventData):
        asset = assets.setdefault(_text(event.data.asset_key), Asset())
        if entry.position > asset.wiped_position:
            asset.newest[event.event_type] = entry
            if event.event_type is EventType.ASSET_MATERIALIZATION:
                asset.counts[_partition(event.data)] += 1


def note_purge(assets: dict[str, Asset], entries: Iterable[InstanceLogRecord]) -> None:
    """Notes what is counted and will not be in the instance-wide log any more."""
    gone: dict[str, Asset] = {
        text: Asset(wiped_position=asset.wiped_position) for text, asset in assets.items()
    }
    for entry in entries:
        index_entry(gone, entry)
    for text, asset in gone.items():
        assets[text].purged_counts.update(asset.counts)


def _record(text: str, asset: Asset) -> AssetRecord:
    return AssetRecord(
        asset_key=_key(text),
        last_materialization=asset.newest.get(EventType.ASSET_MATERIALIZATION),
        last_observation=asset.newest.get(EventType.ASSET_OBSERVATION),
        last_planned=asset.newest.get(EventType.ASSET_MATERIALIZATION_PLANNED),
        wiped_position=asset.wiped_position,
    )


def _text(key: Sequence[str]) -> str:
    return encode_json(key).decode()


def _key(text: str) -> AssetKey:
    return tuple(decode_json(text))


def _partition(data: AssetEventData) -> str | None:
    return None if data.partition is None else storable_text(data.partition)
