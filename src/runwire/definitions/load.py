"""Loads definitions from files and modules. Runs user code: belongs into a code location's processes only."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final, TypeVar

from runwire.definitions.job import JobDefinition
from runwire.definitions.places import refusal
from runwire.definitions.repository import (
    RepositoryDefinition,
    RepositoryMember,
    repository_of,
)
from runwire.definitions.schedule import ScheduleDefinition
from runwire.definitions.sensor import SensorDefinition
from runwire.errors import DefinitionLoadError, InvalidDefinitionError

T = TypeVar("T")

DEFAULT_REPOSITORY: Final = "__repository__"
"""The name of the repository of jobs that are in none."""


def load_file(
    path: str | Path, *, attribute: str | None = None, working_directory: str | Path | None = None
) -> tuple[RepositoryDefinition, ...]:
    """Loads a Python file and finds the repositories in it.

    The file is loaded anew with each call, as a module that is named after it, so that what is pickled in
    one process is found in another that has loaded the same file. Its folder, or the working directory
    where one is given, comes first on the path from which it imports.

    Args:
        path: the file; if relative, to the working directory.
        attribute: the name in it of the one repository or job to take; everything that is found when None.
        working_directory: the folder from which it imports; the file's own when None.

    Returns:
        The repositories in it, by name; without any, one named ``__repository__`` of all jobs in it.

    Raises:
        DefinitionLoadError: its code raised; `user_exception` is what.
        InvalidDefinitionError: a definition is wrong, the file or the attribute is not there, or there is
            nothing in it. The message names place and mend.
    """
    file = Path(working_directory or "", path).absolute()
    if not file.is_file():
        problem = "this is a folder" if file.is_dir() else "there is no such file"
        raise refusal(str(file), "definitions", problem, "give the path of a Python file")
    folder = Path(working_directory).absolute() if working_directory else file.parent
    loader = _FileLoader(_module_name(file), str(file))
    with _importing_from(str(folder)), _new_module(loader) as module:
        _told(str(file), folder, lambda: loader.exec_module(module))
        return _repositories_of(module, str(file), attribute)


def load_module(
    name: str, *, attribute: str | None = None, working_directory: str | Path | None = None
) -> tuple[RepositoryDefinition, ...]:
    """Imports a module and finds the repositories in it.

    Args:
        name: the module, such as ``shop.jobs``.
        attribute: as for `load_file`.
        working_directory: a folder to import it from, before all others; the current one when None.

    Returns:
        As `load_file` does.

    Raises:
        DefinitionLoadError, InvalidDefinitionError: as `load_file` does; a module that is not there is an
            InvalidDefinitionError.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        raise refusal(
            name, "definitions", "this cannot be a module", "give a name such as shop.jobs"
        )
    folder = Path(working_directory or "").absolute()
    with _importing_from(str(folder)):
        module = _told(name, folder, lambda: _import_module(name, folder))
        return _repositories_of(module, module.__file__ or name, attribute)


class _FileLoader(SourceFileLoader):
    """Compiles a file anew, so that one that changes twice in a second is never taken for its old self."""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


@contextmanager
def _new_module(loader: _FileLoader) -> Iterator[ModuleType]:
    """A module for a file, known to imports; what had its name comes back if loading fails."""
    name = loader.name
    module = importlib.util.module_from_spec(ModuleSpec(name, loader, origin=loader.path))
    module.__file__ = loader.path
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        yield module
    except BaseException:
        sys.modules.pop(name, None)
        if before is not None:
            sys.modules[name] = before
        raise


def _module_name(file: Path) -> str:
    """The name of the file, unless it belongs to another module or cannot be a module's."""
    stem = file.stem
    if stem.isidentifier() and _is_free(stem, file):
        return stem
    return f"{stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"


def _is_free(name: str, file: Path) -> bool:
    if name in sys.stdlib_module_names or name == "__main__":
        return False
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):  # ValueError: a module in sys.modules that has no spec
        return False
    return spec is None or spec.origin == str(file)


def _import_module(name: str, folder: Path) -> ModuleType:
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise refusal(
            name,
            "definitions",
            f"there is no module {error.name!r} in {folder} or installed",
            "check the name, or give the working directory that holds it",
        ) from error


def _told(place: str, folder: Path, load: Callable[[], T]) -> T:
    """Runs user code; what it raises, other than by a wrong definition, becomes a DefinitionLoadError."""
    try:
        return load()
    except InvalidDefinitionError:
        raise
    except (Exception, SystemExit) as error:
        what = "".join(traceback.format_exception_only(error)[-1:]).strip()
        raise DefinitionLoadError(
            f"{_line_of(error, place, folder)}: loading the definitions raised {what}",
            user_exception=error,
        ) from error


@contextmanager
def _importing_from(folder: str) -> Iterator[None]:
    """Puts a folder first on the import path; takes it off again if loading fails."""
    before = list(sys.path)
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
    try:
        yield
    except BaseException:
        sys.path[:] = before
        raise


def _line_of(error: BaseException, place: str, folder: Path) -> str:
    """The innermost line of the file that raised, else of the files beside it."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno or 1}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == place]
    beside = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    found = own or beside
    return f"{found[-1].filename}:{found[-1].lineno}" if found else place


def _repositories_of(
    module: ModuleType, place: str, attribute: str | None
) -> tuple[RepositoryDefinition, ...]:
    names = vars(module)
    if attribute is not None:
        return (_repository_at(names, place, attribute),)
    found = list(dict.fromkeys(v for v in names.values() if isinstance(v, RepositoryDefinition)))
    if found:
        _check_names(found, place)
        return tuple(sorted(found, key=lambda repository: repository.name))
    members = [
        value
        for value in names.values()
        if isinstance(value, JobDefinition | ScheduleDefinition | SensorDefinition)
    ]
    if not members:
        raise refusal(
            place,
            "definitions",
            "there is no job and no repository at the top level",
            "define one with @job or @repository",
        )
    return (_default_repository(members, place),)


def _repository_at(names: dict[str, object], place: str, attribute: str) -> RepositoryDefinition:
    match names.get(attribute):
        case RepositoryDefinition() as repository:
            return repository
        case JobDefinition() as job:
            return _default_repository([job], place)
        case None if attribute not in names:
            problem = "there is no such name at the top level"
        case other:
            problem = f"it is a {type(other).__name__}, not a repository or job"
    known = [
        name
        for name, value in names.items()
        if isinstance(value, RepositoryDefinition | JobDefinition)
    ]
    raise refusal(
        place, f"attribute {attribute!r}", problem, f"there are: {', '.join(known) or 'none'}"
    )


def _default_repository(members: Sequence[RepositoryMember], place: str) -> RepositoryDefinition:
    return repository_of(DEFAULT_REPOSITORY, members, place, f"repository {DEFAULT_REPOSITORY!r}")


def _check_names(found: list[RepositoryDefinition], place: str) -> None:
    names = [repository.name for repository in found]
    for name in names:
        if names.count(name) > 1:
            raise refusal(
                place,
                "definitions",
                f"two repositories are named {name!r}",
                "rename one with @repository(name=...)",
            )
