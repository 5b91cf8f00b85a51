"""Whether an entry of the instance-wide log is wanted."""

from __future__ import annotations

from runwire.events.entry import EventLogRecord
from runwire.events.filters import EventRecordsFilter
from runwire.events.payloads import AssetEventData
from runwire.storage.instance_log import InstanceLogRecord


def matches(filter: EventRecordsFilter | None, entry: InstanceLogRecord) -> bool:
    """Whether the entry matches, as `EventLogStorage.get_event_records` says."""
    if filter is None:
        return True
    return (
        (filter.job_names is None or entry.job_name in filter.job_names)
        and (filter.after_timestamp is None or entry.timestamp > filter.after_timestamp)
        and (filter.before_timestamp is None or entry.timestamp < filter.before_timestamp)
        and (
            filter.asset_keys is None
            if entry.event is None
            else entry.event.event_type in filter.event_types and _is_of_asset(filter, entry.event)
        )
    )


def _is_of_asset(filter: EventRecordsFilter, event: EventLogRecord) -> bool:
    if filter.asset_keys is None:
        return True
    data = event.data
    return (
        isinstance(data, AssetEventData)
        and data.asset_key in filter.asset_keys
        and (filter.partitions is None or data.partition in filter.partitions)
    )
