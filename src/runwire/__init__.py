"""runwire: a run-orchestration instance that you talk to over GraphQL."""

__version__ = "0.1.0"
