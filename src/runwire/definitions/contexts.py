"""What the functions that users write are given: the contexts of ops and of resources.

The classes are contracts; a run's worker implements them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import BaseModel

from runwire.definitions.outputs import DEFAULT_OUTPUT, AssetMaterialization
from runwire.partitions import PartitionWindow


class Log(Protocol):
    """Writes lines to the run's event log; called as Python's loggers are (`msg % args`)."""

    def debug(self, msg: str, *args: Any) -> None:
        """Writes a line for whoever looks for a fault."""

    def info(self, msg: str, *args: Any) -> None:
        """Writes a line for everybody."""

    def warning(self, msg: str, *args: Any) -> None:
        """Writes a line about something unexpected that is no failure."""

    def error(self, msg: str, *args: Any) -> None:
        """Writes a line about a failure."""

    def critical(self, msg: str, *args: Any) -> None:
        """Writes a line about a failure that endangers more than this step."""

    def exception(self, msg: str, *args: Any) -> None:
        """Writes a line about a failure, with the exception that is being handled."""


class OpContext(ABC):
    """The parameter `context` of an op: the step that runs, and what it may use."""

    @property
    @abstractmethod
    def run_id(self) -> str:
        """The id of the run."""

    @property
    @abstractmethod
    def job_name(self) -> str:
        """The name of the job."""

    @property
    @abstractmethod
    def step_key(self) -> str:
        """The key of the step."""

    @property
    @abstractmethod
    def op_name(self) -> str:
        """The name of the op, whatever alias the step has."""

    @property
    @abstractmethod
    def retry_number(self) -> int:
        """How often the step was tried again already; 0 in its first attempt."""

    @property
    @abstractmethod
    def op_config(self) -> BaseModel | None:
        """The op's config, as its model; None when the op takes none."""

    @property
    @abstractmethod
    def resources(self) -> Any:
        """The resources that the op requires, as attributes by key."""

    @property
    @abstractmethod
    def run_tags(self) -> Mapping[str, str]:
        """The tags of the run."""

    @property
    @abstractmethod
    def partition_key(self) -> str:
        """The key of the run's partition.

        Raises:
            PartitionMissingError: the run has none.
        """

    @property
    @abstractmethod
    def partition_window(self) -> PartitionWindow | None:
        """The span of time of the run's partition; None where partitions stand for no time.

        Raises:
            PartitionMissingError: the run has none.
        """

    @property
    @abstractmethod
    def log(self) -> Log:
        """Writes lines to the run's event log, under this step."""

    @property
    @abstractmethod
    def instance(self) -> Any:
        """The instance; None where the step cannot reach it."""

    @abstractmethod
    def log_event(self, event: AssetMaterialization) -> None:
        """Tells at once that an asset was made, from a function that does not yield."""

    @abstractmethod
    def add_output_metadata(
        self, metadata: Mapping[str, Any], output_name: str = DEFAULT_OUTPUT
    ) -> None:
        """Attaches metadata to an output that the op will give.

        Raises:
            InvalidDefinitionError: the op has no such output, gave it already, or a value cannot be metadata.
        """


class ResourceContext(ABC):
    """The parameter `context` of a resource."""

    @property
    @abstractmethod
    def run_id(self) -> str:
        """The id of the run."""

    @property
    @abstractmethod
    def log(self) -> Log:
        """Writes lines to the run's event log."""

    @property
    @abstractmethod
    def resources(self) -> Any:
        """The resources that this one requires, as attributes by key."""

    @property
    @abstractmethod
    def resource_config(self) -> BaseModel | None:
        """The resource's config, as its model; None when the resource takes none."""

    @property
    @abstractmethod
    def instance(self) -> Any:
        """The instance; None where there is none, as in `execute_in_process`."""
