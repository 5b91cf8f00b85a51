"""What runs the steps of runs."""

from runwire.executors.ephemeral_run import ExecuteInProcessResult, execute_in_process
from runwire.executors.in_process import InProcessExecutor
from runwire.executors.load import make_executor
from runwire.executors.multiprocess import MultiprocessExecutor

__all__ = [
    "ExecuteInProcessResult",
    "InProcessExecutor",
    "MultiprocessExecutor",
    "execute_in_process",
    "make_executor",
]
