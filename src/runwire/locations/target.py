"""Where the definitions of a code location are: in files of ours, or behind somebody else's code server."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from runwire.errors import InputInvalidError
from runwire.locations.protocol import DefinitionSource
from runwire.locations.wire import address_of, tcp_address
from runwire.workspace import CodeOrigin


@dataclass(frozen=True, kw_only=True)
class LocationTarget:
    """A file or a module of definitions, for processes of ours.

    Attributes:
        python_file: the file; a relative path counts from the working directory. Or else:
        module: the dotted name of a module or package.
        attribute: the one repository or job to take; everything found when left out.
        working_directory: the directory that its processes run in and import from; when left out, they
            run in `directory`, and import from the file's own folder, or for a module from `directory`.
        directory: the directory that its processes run in unless they have a working directory; the current
            one when left out.
        executable_path: the Python that they run, such as another virtual environment's, which must have
            runwire; our own when left out.
        name: the name of the code location; the file's stem or the module's name when left out.

    Raises:
        InputInvalidError: neither or both of file and module are given, or the name is empty.
    """

    python_file: str | Path | None = None
    module: str | None = None
    attribute: str | None = None
    working_directory: str | Path | None = None
    directory: str | Path | None = None
    executable_path: str | Path | None = None
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
        folder = None if self.working_directory is None else _absolute(self.working_directory)
        return DefinitionSource(
            python_file=None if self.python_file is None else self._absolute_file(),
            module=self.module or "",
            attribute=self.attribute,
            working_directory=folder,
            directory=folder or _absolute(self.directory or ""),
        )

    def origin(self) -> CodeOrigin:
        """The same, with the Python to run."""
        source = self.source()
        return CodeOrigin(
            executable_path=self.executable,
            python_file=source.python_file,
            module=source.module,
            attribute=source.attribute,
            working_directory=source.working_directory,
            directory=source.directory,
        )

    @property
    def executable(self) -> str:
        """The absolute path of the Python to run. Links are not followed: by them it knows its environment."""
        return sys.executable if self.executable_path is None else _absolute(self.executable_path)

    def _absolute_file(self) -> str:
        return _absolute(
            Path(self.working_directory or self.directory or "", self.python_file or "")
        )

    def _default_name(self) -> str:
        return self.module or Path(self.python_file or "").stem


@dataclass(frozen=True, kw_only=True)
class CodeServerTarget:
    """A code server that somebody else runs: ``runwire code-server``.

    Attributes:
        host, port: where it listens; or else:
        socket: the path of the unix socket that it listens on.
        token: what it demands of callers; None when nothing.
        name: the name of the code location; made of the address when left out.

    Raises:
        InputInvalidError: neither or both of port and socket are given.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    socket: str | Path | None = None
    token: str | None = field(default=None, repr=False)
    name: str = ""

    def __post_init__(self) -> None:
        if (self.port is None) == (self.socket is None):
            raise InputInvalidError(
                "a code server listens either on a port or on a socket; give one", ["port"]
            )
        if not self.name:
            object.__setattr__(self, "name", f"grpc:{self.address.removeprefix('unix:')}")

    @property
    def address(self) -> str:
        """Where it listens, as gRPC writes it."""
        if self.socket is not None:
            return address_of(Path(_absolute(self.socket)))
        return tcp_address(self.host, self.port or 0)


def _absolute(path: str | Path) -> str:
    return str(Path(path).absolute())
