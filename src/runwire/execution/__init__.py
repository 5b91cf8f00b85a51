"""Executes runs: the plan, the lives of steps, contexts, resources, and the run's regular writer."""

from runwire.execution.boundary import LogManager, user_code_error_boundary
from runwire.execution.event_writer import EventWriter
from runwire.execution.filesystem_io import FilesystemIOManager
from runwire.execution.io import IO_MANAGER_KEY, InputContext, IOManager, OutputContext
from runwire.execution.plan import ExecutionPlan, ExecutionStep, build_plan
from runwire.execution.progress import Progress, StepState
from runwire.execution.run import RunWork, execute_run
from runwire.interrupts import Interrupts

__all__ = [
    "IO_MANAGER_KEY",
    "EventWriter",
    "ExecutionPlan",
    "ExecutionStep",
    "FilesystemIOManager",
    "IOManager",
    "InputContext",
    "Interrupts",
    "LogManager",
    "OutputContext",
    "Progress",
    "RunWork",
    "StepState",
    "build_plan",
    "execute_run",
    "user_code_error_boundary",
]
