"""What is live: the logs of runs and of the instance, daemons, code locations, for any number of followers."""

from runwire.feed.batch import RunTailBatch
from runwire.feed.coverage import Coverage
from runwire.feed.daemon_feed import DaemonFeed
from runwire.feed.instance_batch import InstanceTailBatch, Wanted
from runwire.feed.instance_feed import InstanceFeed
from runwire.feed.instance_reads import InstanceLogPlace, read_place
from runwire.feed.location_changes import ChangeType, LocationChange, watch_locations
from runwire.feed.run_changes import CHANGES_OF_RUNS, RunChange, RunChanges
from runwire.feed.run_feed import RunFeed

__all__ = [
    "CHANGES_OF_RUNS",
    "ChangeType",
    "Coverage",
    "DaemonFeed",
    "InstanceFeed",
    "InstanceLogPlace",
    "InstanceTailBatch",
    "LocationChange",
    "RunChange",
    "RunChanges",
    "RunFeed",
    "RunTailBatch",
    "Wanted",
    "read_place",
    "watch_locations",
]
