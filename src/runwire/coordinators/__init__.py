"""The run coordinators."""
