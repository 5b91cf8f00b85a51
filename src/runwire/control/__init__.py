"""The rules of what may be done with runs: one module an action, on contracts only."""

from runwire.control.add_run_tags import add_run_tags
from runwire.control.bulk import (
    MAX_BULK_RUNS,
    BulkFailure,
    BulkOutcome,
    BulkSelection,
    for_each,
    select_to_delete,
    select_to_terminate,
    would_delete,
)
from runwire.control.create_run import create_run
from runwire.control.delete_run import delete_run
from runwire.control.launch_run import launch_run
from runwire.control.lost_worker import report_lost_worker
from runwire.control.new_run import NewRun
from runwire.control.report_events import report_events
from runwire.control.resume_run import resume_run
from runwire.control.submit_run import submit_run
from runwire.control.terminate_run import TerminatePolicy, terminate_run
from runwire.control.worker_health import try_to_stop, worker_health

__all__ = [
    "MAX_BULK_RUNS",
    "BulkFailure",
    "BulkOutcome",
    "BulkSelection",
    "NewRun",
    "TerminatePolicy",
    "add_run_tags",
    "create_run",
    "delete_run",
    "for_each",
    "launch_run",
    "report_events",
    "report_lost_worker",
    "resume_run",
    "select_to_delete",
    "select_to_terminate",
    "submit_run",
    "terminate_run",
    "try_to_stop",
    "worker_health",
    "would_delete",
]
