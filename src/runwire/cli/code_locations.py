"""The code locations that a command is given, or finds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runwire.errors import InputInvalidError
from runwire.instance import Instance
from runwire.locations.workspace import LocalWorkspace, LocationTarget
from runwire.locations.workspace_file import WORKSPACE_FILENAME, Target, read_workspace_file


def workspace_targets(
    files: Sequence[Path] | None, modules: Sequence[str] | None, workspace_file: Path | None
) -> list[Target]:
    """The code locations of files and modules, or of a workspace file; by default of `workspace.yaml` here.

    Empty when nothing is named, and there is no such file.

    Raises:
        InputInvalidError: a file is not there, or both ways are taken.
        InvalidConfigurationError: the workspace file is not valid.
    """
    if not files and not modules:
        path = workspace_file or _workspace_here()
        return [] if path is None else read_workspace_file(path)
    if workspace_file is not None:
        raise InputInvalidError("name code locations by -w, or by -f and -m", ["workspace"])
    for file in files or ():
        if not file.is_file():
            raise InputInvalidError(f"there is no file {file}", ["file"])
    return [
        *(LocationTarget(python_file=file) for file in files or ()),
        *(LocationTarget(module=module) for module in modules or ()),
    ]


def _workspace_here() -> Path | None:
    path = Path(WORKSPACE_FILENAME)
    return path if path.is_file() else None


def open_workspace(instance: Instance, targets: Sequence[Target]) -> LocalWorkspace:
    """The workspace of code locations, whose workers are ready for the components of an instance."""
    ref = instance.ref
    components = (ref.local_artifact_storage, ref.storage, ref.run_launcher, ref.run_coordinator)
    return LocalWorkspace(targets, preload=[component.module_name for component in components])
