"""Where the definitions of a code location are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runwire.errors import InputInvalidError
from runwire.locations.protocol import DefinitionSource


@dataclass(frozen=True, kw_only=True)
class LocationTarget:
    """A file or a module of definitions.

    Attributes:
        python_file: the file; a relative path counts from the working directory. Or else:
        module: the dotted name of a module.
        attribute: the one repository or job to take; everything found when left out.
        working_directory: the directory that its processes run in and import from; when left out, they
            run in the current one, and import from the file's own folder, or for a module the current one.
        name: the name of the code location; the file's stem or the module's name when left out.

    Raises:
        InputInvalidError: neither or both of file and module are given, or the name is empty.
    """

    python_file: str | Path | None = None
    module: str | None = None
    attribute: str | None = None
    working_directory: str | Path | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if (self.python_file is None) == (self.module is None):
            raise InputInvalidError(
                "a code location is either a Python file or a module; give one", ["pythonFile"]
            )
        if not self.name:
            object.__setattr__(self, "name", self._default_name())
        if not self.name:
            raise InputInvalidError("a code location needs a name", ["name"])

    def source(self) -> DefinitionSource:
        """The same with absolute paths, for processes that run elsewhere."""
        folder = (
            None if self.working_directory is None else str(Path(self.working_directory).absolute())
        )
        return DefinitionSource(
            python_file=None if self.python_file is None else self._absolute_file(),
            module=self.module or "",
            attribute=self.attribute,
            working_directory=folder,
            directory=folder or str(Path.cwd()),
        )

    def _absolute_file(self) -> str:
        return str(Path(self.working_directory or "", self.python_file or "").absolute())

    def _default_name(self) -> str:
        return self.module or Path(self.python_file or "").stem
