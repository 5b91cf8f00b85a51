"""The code location of a job or run, if it can be used now."""

from __future__ import annotations

from runwire.errors import CodeLocationNotFoundError, CodeLocationUnavailableError, JobNotFoundError
from runwire.runs.run import RunRecord
from runwire.workspace import CodeLocation, CodeLocationStatus, Workspace

LOADING_SECONDS = 10.0
"""How long an action waits for a code location that is being loaded."""


def loaded_location(workspace: Workspace, name: str) -> CodeLocation:
    """A code location that is loaded; one that is being loaded is waited for.

    Raises:
        CodeLocationNotFoundError: the workspace has none of this name.
        CodeLocationUnavailableError: it is not loaded.
    """
    location = workspace.get_location(name)
    if location.state.status is CodeLocationStatus.LOADING:
        location.wait_until_settled(LOADING_SECONDS)
    state = location.state
    if state.status is not CodeLocationStatus.LOADED:
        problem = f"it is {state.status.value}"
        if state.load_error is not None:
            problem += f" ({state.load_error.message})"
        raise CodeLocationUnavailableError(name, problem)
    return location


def location_of_run(workspace: Workspace, record: RunRecord) -> CodeLocation:
    """The loaded code location of a run's job.

    Raises:
        JobNotFoundError: the workspace does not have the location, or the run has none.
        CodeLocationUnavailableError: it is not loaded.
    """
    if record.run.location_name is None:
        raise JobNotFoundError(record.run.job_name)
    try:
        return loaded_location(workspace, record.run.location_name)
    except CodeLocationNotFoundError:
        raise JobNotFoundError(record.run.job_name) from None
