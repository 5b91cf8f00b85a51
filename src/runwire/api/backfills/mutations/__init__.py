"""The mutations of backfills."""
