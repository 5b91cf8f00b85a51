"""Live tails of runs' event logs: each watched run is followed once, however many watch it."""

from runwire.feed.batch import RunTailBatch
from runwire.feed.run_feed import RunFeed

__all__ = ["RunFeed", "RunTailBatch"]
