"""The code location of a job or run, if it can be used now."""

from __future__ import annotations

from runwire.errors import CodeLocationNotFoundError, CodeLocationUnavailableError, JobNotFoundError
from runwire.runs.run import RunRecord
from runwire.workspace import CodeLocation, CodeLocationState, CodeLocationStatus, Workspace

LOADING_SECONDS = 20.0
"""How long an action waits for a code location that is being loaded."""


def loaded_location(workspace: Workspace, name: str) -> CodeLocation:
    """A code location that is loaded; one that is being loaded is waited for.

    Raises:
        CodeLocationNotFoundError: the workspace has none of this name.
        CodeLocationUnavailableError: it is not loaded.
    """
    location, _ = _loaded(workspace, name)
    return location


def location_of_run(workspace: Workspace, record: RunRecord) -> CodeLocation:
    """The loaded code location that has a run's job.

    Raises:
        JobNotFoundError: the run does not name where its job is, the workspace does not have the location, or
            the location does not have the job in the run's repository.
        CodeLocationUnavailableError: it is not loaded.
    """
    run = record.run
    if run.location_name is None or run.repository_name is None:
        raise JobNotFoundError(run.job_name)
    place = f"repository {run.repository_name!r} of code location {run.location_name!r}"
    try:
        location, state = _loaded(workspace, run.location_name)
    except CodeLocationNotFoundError:
        raise JobNotFoundError(run.job_name, place=place) from None
    jobs = {
        job.name
        for repository in state.repositories
        if repository.name == run.repository_name
        for job in repository.jobs
    }
    if run.job_name not in jobs:
        raise JobNotFoundError(run.job_name, jobs, place)
    return location


def _loaded(workspace: Workspace, name: str) -> tuple[CodeLocation, CodeLocationState]:
    """A code location with the state in which it is loaded; raises as `loaded_location`."""
    location = workspace.get_location(name)
    if location.state.status is CodeLocationStatus.LOADING:
        location.wait_until_settled(LOADING_SECONDS)
    state = location.state
    if state.status is not CodeLocationStatus.LOADED:
        problem = f"it is {state.status.value}"
        if state.load_error is not None:
            problem += f" ({state.load_error.message})"
        raise CodeLocationUnavailableError(name, problem)
    return location, state
