"""The storages that come with runwire: in memory, and SQLite with one event log file a run."""
