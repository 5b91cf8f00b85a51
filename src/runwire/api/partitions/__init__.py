"""Partitions of jobs."""
