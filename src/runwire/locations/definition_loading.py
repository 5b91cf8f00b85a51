"""Loading the definitions of a source, the same way in a code server and in its run workers."""

from __future__ import annotations

import site
import sys
import sysconfig
from pathlib import Path

from runwire.definitions import JobDefinition, RepositoryDefinition
from runwire.definitions.load import load_file, load_module
from runwire.errors import InvalidDefinitionError
from runwire.locations.protocol import DefinitionSource

_preloaded: dict[DefinitionSource, tuple[RepositoryDefinition, ...]] = {}


def load_definitions(source: DefinitionSource) -> tuple[RepositoryDefinition, ...]:
    """Imports the user's file or module, and takes its repositories.

    Raises:
        DefinitionLoadError: user code raised.
        InvalidDefinitionError: there is no such file, module or attribute, or no valid definition.
    """
    if source.python_file is not None:
        return load_file(
            source.python_file,
            attribute=source.attribute,
            working_directory=source.working_directory,
        )
    return load_module(
        source.module, attribute=source.attribute, working_directory=source.working_directory
    )


def preload_definitions(source: DefinitionSource) -> tuple[RepositoryDefinition, ...]:
    """Loads definitions for this process and all that are forked from it.

    Raises:
        DefinitionLoadError, InvalidDefinitionError: as `load_definitions`.
    """
    _preloaded[source] = repositories = load_definitions(source)
    return repositories


def preloaded_definitions(source: DefinitionSource) -> tuple[RepositoryDefinition, ...] | None:
    """The definitions that were loaded before this process was forked; None in one that was not."""
    return _preloaded.get(source)


def find_job(
    source: DefinitionSource, repository_name: str, job_name: str, sys_path: tuple[str, ...]
) -> JobDefinition:
    """A job of a source, loaded unless it is there from before a fork.

    Args:
        source: where the definitions are.
        repository_name: the repository of the job.
        job_name: the job.
        sys_path: where imports come from; where this process has them from when empty.

    Raises:
        DefinitionLoadError, InvalidDefinitionError: as `load_definitions`; or there is no such job.
    """
    repositories = preloaded_definitions(source)
    if repositories is None:
        if sys_path:
            sys.path[:] = sys_path
        repositories = load_definitions(source)
    for repository in repositories:
        if repository.name == repository_name and job_name in repository.jobs:
            return repository.jobs[job_name]
    raise InvalidDefinitionError(
        f"the definitions do not have job {job_name!r} in repository {repository_name!r} any more;"
        " reload their code location and submit a run of a job that there is"
    )


def check_directory(directory: str) -> None:
    """Makes sure that the folder is there in which the processes of a source run.

    Raises:
        FileNotFoundError: it is not.
    """
    if not Path(directory).is_dir():
        raise FileNotFoundError(
            f"the folder {directory}, in which the processes of these definitions run, is not there any more;"
            " put it back, or reload the code location from where its definitions are now, and submit the"
            " run again"
        )


def imported_files(source: DefinitionSource) -> tuple[str, ...]:
    """The files of the user that are imported now: those below the folder of the definitions."""
    folder = Path(source.working_directory or Path(source.python_file or "").parent)
    if source.python_file is None and source.working_directory is None:
        folder = Path(source.directory)
    folder = folder.resolve()
    installed = _installed_folders(folder)
    found = {source.python_file} if source.python_file is not None else set()
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        if isinstance(name, str):
            path = Path(name)
            if path.is_relative_to(folder) and not any(map(path.is_relative_to, installed)):
                found.add(name)
    return tuple(sorted(found))


def _installed_folders(folder: Path) -> list[Path]:
    """Where packages are installed below a folder, such as in a virtual environment beside the definitions."""
    places = {*site.getsitepackages(), *sysconfig.get_paths().values(), sys.prefix}
    paths = [Path(place).resolve() for place in places]
    return [path for path in paths if path.is_relative_to(folder) and path != folder]
