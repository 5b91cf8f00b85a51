"""What runs the steps of runs."""

from runwire.executors.ephemeral_run import ExecuteInProcessResult, execute_in_process
from runwire.executors.in_process import InProcessExecutor

__all__ = ["ExecuteInProcessResult", "InProcessExecutor", "execute_in_process"]
