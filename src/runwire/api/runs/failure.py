"""Why a run failed."""

from __future__ import annotations

from typing import NamedTuple

from strawberry import ID

from runwire.api.events.enums import RunFailureReason
from runwire.api.events.metadata import ErrorInfo
from runwire.api.nodes import Node, global_id
from runwire.api.rows import field, view
from runwire.runs.run import RunFailure as Failure
from runwire.runs.run import RunRecord


class FailureRow(NamedTuple):
    """Why a run failed."""

    run_id: str
    failure: Failure

    @classmethod
    def of(cls, record: RunRecord) -> FailureRow | None:
        """The failure of a run; None when it did not fail."""
        return None if record.failure is None else cls(record.run_id, record.failure)


@view(FailureRow, "Why a run failed.")
class RunFailure(Node):
    """Why a run failed."""

    id: ID = field("The global id of the failure.", lambda row: global_id("RunFailure", row.run_id))
    reason: RunFailureReason = field("The kind of reason.", lambda row: row.failure.reason)
    message: str = field("The same in words.", lambda row: row.failure.message)
    error: ErrorInfo | None = field(
        "The error behind it; null when there is none beyond the failed steps' own.",
        lambda row: row.failure.error,
    )
    failed_step_keys: list[str] = field(
        "The steps that failed, at most 25.", lambda row: row.failure.failed_step_keys
    )
