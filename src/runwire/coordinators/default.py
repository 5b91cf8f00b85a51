"""The default run coordinator: a submitted run is launched at once."""

from __future__ import annotations

from typing import Any, Self

from runwire.config import ConfigurableClassData
from runwire.coordinator import RunCoordinator, SubmitRunContext
from runwire.runs.run import RunRecord


class DefaultRunCoordinator(RunCoordinator):
    """Launches each run while it is being submitted."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        return cls()

    def submit_run(self, context: SubmitRunContext) -> RunRecord:
        return context.launch()
