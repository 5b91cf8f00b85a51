"""What is live: the event logs of runs, the daemons and the code locations, for any number of followers."""

from runwire.feed.batch import RunTailBatch
from runwire.feed.daemon_feed import DaemonFeed
from runwire.feed.location_changes import ChangeType, LocationChange, watch_locations
from runwire.feed.run_feed import RunFeed

__all__ = [
    "ChangeType",
    "DaemonFeed",
    "LocationChange",
    "RunFeed",
    "RunTailBatch",
    "watch_locations",
]
