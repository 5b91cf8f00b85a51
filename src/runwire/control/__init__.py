"""The rules of what may be done with runs: one module an action, on contracts only."""

from runwire.control.add_run_tags import add_run_tags
from runwire.control.backfill_state import (
    BackfillProgress,
    cancel_backfill,
    resume_backfill,
)
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
from runwire.control.create_backfill import (
    DEFAULT_RUNS_AT_ONCE,
    MAX_PARTITIONS,
    MAX_RUNS_AT_ONCE,
    NewBackfill,
    create_backfill,
)
from runwire.control.create_run import create_run
from runwire.control.delete_run import delete_run
from runwire.control.dequeue_run import (
    claim_run,
    count_attempts,
    launch_claimed,
    put_back,
)
from runwire.control.evaluate_tick import DryRequest, DryTick, evaluate_tick
from runwire.control.finished_steps import FinishedSteps, finished_steps
from runwire.control.launch_run import launch_run
from runwire.control.lost_worker import report_lost_worker
from runwire.control.new_run import NewRun
from runwire.control.pause_webhook import pause_webhook
from runwire.control.pool_limits import delete_pool_limit, find_pool, set_pool_limit
from runwire.control.redeliver_webhook import redeliver_webhook
from runwire.control.reexecute_run import Reexecution, ReexecutionStrategy, reexecute_run
from runwire.control.report_events import report_events
from runwire.control.resume_run import resume_run
from runwire.control.resume_webhook import resume_webhook
from runwire.control.retry_run import RetryRules, retry_run, tell_refusal
from runwire.control.reused_outputs import OutputName, StoredOutput, reused_outputs
from runwire.control.run_backfill import BackfillRunner
from runwire.control.run_tick import TickRunner, tick_key
from runwire.control.sensor_events import end_of_log, next_watched
from runwire.control.start_schedule import start_schedule
from runwire.control.start_sensor import (
    set_sensor_cursor,
    start_sensor,
    stop_sensor,
    with_first_cursor,
)
from runwire.control.stop_schedule import stop_schedule
from runwire.control.submit_run import submit_run
from runwire.control.terminate_run import TerminatePolicy, terminate_run
from runwire.control.tick_sources import (
    ScheduleRecord,
    ScheduleSelector,
    SensorRecord,
    SensorSelector,
    TickSourceRecord,
    TickSources,
    TickSourceSelector,
    schedules_of,
    sensors_of,
    tick_sources_of,
)
from runwire.control.webhook_state import webhook_state
from runwire.control.worker_health import try_to_stop, worker_health

__all__ = [
    "DEFAULT_RUNS_AT_ONCE",
    "MAX_BULK_RUNS",
    "MAX_PARTITIONS",
    "MAX_RUNS_AT_ONCE",
    "BackfillProgress",
    "BackfillRunner",
    "BulkFailure",
    "BulkOutcome",
    "BulkSelection",
    "DryRequest",
    "DryTick",
    "FinishedSteps",
    "NewBackfill",
    "NewRun",
    "OutputName",
    "Reexecution",
    "ReexecutionStrategy",
    "RetryRules",
    "ScheduleRecord",
    "ScheduleSelector",
    "SensorRecord",
    "SensorSelector",
    "StoredOutput",
    "TerminatePolicy",
    "TickRunner",
    "TickSourceRecord",
    "TickSourceSelector",
    "TickSources",
    "add_run_tags",
    "cancel_backfill",
    "claim_run",
    "count_attempts",
    "create_backfill",
    "create_run",
    "delete_pool_limit",
    "delete_run",
    "end_of_log",
    "evaluate_tick",
    "find_pool",
    "finished_steps",
    "for_each",
    "launch_claimed",
    "launch_run",
    "next_watched",
    "pause_webhook",
    "put_back",
    "redeliver_webhook",
    "reexecute_run",
    "report_events",
    "report_lost_worker",
    "resume_backfill",
    "resume_run",
    "resume_webhook",
    "retry_run",
    "reused_outputs",
    "schedules_of",
    "select_to_delete",
    "select_to_terminate",
    "sensors_of",
    "set_pool_limit",
    "set_sensor_cursor",
    "start_schedule",
    "start_sensor",
    "stop_schedule",
    "stop_sensor",
    "submit_run",
    "tell_refusal",
    "terminate_run",
    "tick_key",
    "tick_sources_of",
    "try_to_stop",
    "webhook_state",
    "with_first_cursor",
    "worker_health",
    "would_delete",
]
