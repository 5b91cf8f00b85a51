"""I/O managers: how the outputs of steps reach the steps that take them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from runwire.definitions import Log
from runwire.events.metadata import MetadataEntry, normalize_metadata

IO_MANAGER_KEY: Final = "io_manager"
"""The key of the I/O manager in events."""


@dataclass(kw_only=True)
class OutputContext:
    """The output that an I/O manager stores. `metadata` is told in HANDLED_OUTPUT.

    `epoch` is that of the run's worker: what one of another epoch stored must stay as it is.
    """

    run_id: str
    job_name: str
    step_key: str
    op_name: str
    output_name: str
    type_name: str
    log: Log
    epoch: int = 0
    metadata: list[MetadataEntry] = field(default_factory=list)

    def add_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Tells more about what was stored.

        Raises:
            InvalidDefinitionError: a value cannot be metadata.
        """
        self.metadata += normalize_metadata(metadata, f"stored output {self.output_name!r}")


@dataclass(kw_only=True)
class InputContext:
    """The input that an I/O manager loads.

    `upstream_run_id` is the run that stored the output: this one, or one that it re-executes. `upstream_epoch` is
    that of the worker that stored it.
    `metadata` is told in LOADED_INPUT.
    """

    run_id: str
    job_name: str
    step_key: str
    op_name: str
    input_name: str
    type_name: str
    upstream_run_id: str
    upstream_step_key: str
    upstream_output_name: str
    log: Log
    upstream_epoch: int = 0
    metadata: list[MetadataEntry] = field(default_factory=list)

    def add_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Tells more about what was loaded.

        Raises:
            InvalidDefinitionError: a value cannot be metadata.
        """
        self.metadata += normalize_metadata(metadata, f"loaded input {self.input_name!r}")


class IOManager(ABC):
    """Stores the outputs of steps and loads them for other steps, maybe in another process.

    What it raises fails the step: as OutputHandleError or InputLoadError, unless it raises one of these.
    """

    @abstractmethod
    def handle_output(self, context: OutputContext, value: Any) -> None:
        """Stores a value. It is there for good, also after a loss of power, when this returns."""

    @abstractmethod
    def load_input(self, context: InputContext) -> Any:
        """Loads the value of an output."""

    def clear_away(self, run_id: str, step_key: str, epoch: int) -> None:
        """Removes what a step that has failed left half stored; its process may have died over it.

        Nobody stores outputs of the step for this epoch any more, nor for an earlier one. Raises nothing.
        """
