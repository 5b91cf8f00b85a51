"""`workspace.yaml`: the code locations of a workspace, one item each under `load_from`.

    load_from:
      - python_file: jobs.py
      - python_file:
          relative_path: sales/jobs.py
          attribute: nightly
          location_name: sales
          working_directory: sales
          executable_path: sales/.venv/bin/python
      - python_module: shop.jobs      # or a mapping with module_name, and the keys above
      - python_package: shop          # or a mapping with package_name, and the keys above
      - grpc_server:
          host: 127.0.0.1
          port: {env: SHOP_PORT}      # or socket: run/shop.sock
          token: {env: SHOP_TOKEN}
          location_name: shop

Relative paths count from the file's folder, which is also where processes run and modules are imported from
unless they have a working directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from runwire.config import AlsoTakes, WholeNumber, pydantic_problems
from runwire.config.yaml_file import read_yaml, with_env
from runwire.errors import ConfigProblem, InvalidConfigurationError
from runwire.instance.settings import Token
from runwire.locations.target import CodeServerTarget, LocationTarget

WORKSPACE_FILENAME = "workspace.yaml"

Target: TypeAlias = LocationTarget | CodeServerTarget


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Definitions(_Strict):
    """What files, modules and packages have in common."""

    attribute: str | None = Field(default=None, min_length=1)
    location_name: str = ""
    working_directory: str | None = None
    executable_path: str | None = Field(default=None, min_length=1)

    def target(self, folder: Path, **place: str) -> LocationTarget:
        return LocationTarget(
            **place,
            attribute=self.attribute,
            working_directory=_below(folder, self.working_directory),
            directory=folder,
            executable_path=_below(folder, self.executable_path),
            name=self.location_name,
        )


class PythonFile(_Definitions):
    """A Python file."""

    relative_path: str = Field(min_length=1)

    def target_below(self, folder: Path) -> LocationTarget:
        return self.target(folder, python_file=str(folder / Path(self.relative_path).expanduser()))


class PythonModule(_Definitions):
    """A module."""

    module_name: str = Field(min_length=1)

    def target_below(self, folder: Path) -> LocationTarget:
        return self.target(folder, module=self.module_name)


class PythonPackage(_Definitions):
    """A package."""

    package_name: str = Field(min_length=1)

    def target_below(self, folder: Path) -> LocationTarget:
        return self.target(folder, module=self.package_name)


class GrpcServer(_Strict):
    """A code server that somebody else runs: exactly one of port and socket."""

    host: str = Field(default="127.0.0.1", min_length=1)
    port: WholeNumber | None = Field(default=None, ge=1, le=65535)
    socket: str | None = Field(default=None, min_length=1)
    token: Token | None = None
    location_name: str = ""

    @model_validator(mode="after")
    def _exactly_one(self) -> GrpcServer:
        if (self.port is None) == (self.socket is None):
            raise ValueError("name exactly one of port and socket")
        if self.socket is not None and "host" in self.model_fields_set:
            raise ValueError("a socket has no host")
        return self

    def target_below(self, folder: Path) -> CodeServerTarget:
        return CodeServerTarget(
            host=self.host,
            port=self.port,
            socket=_below(folder, self.socket),
            token=None if self.token is None else self.token.get_secret_value(),
            name=self.location_name,
        )


_SHORT = {
    "python_file": "relative_path",
    "python_module": "module_name",
    "python_package": "package_name",
}
"""The key that a mere text under each key stands for."""

_A_TEXT = AlsoTakes({"type": "string"})


class Item(_Strict):
    """One code location: exactly one of the keys."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    python_file: Annotated[PythonFile | None, _A_TEXT] = None
    python_module: Annotated[PythonModule | None, _A_TEXT] = None
    python_package: Annotated[PythonPackage | None, _A_TEXT] = None
    grpc_server: GrpcServer | None = None

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _no_mapping("must be a mapping such as python_file: jobs.py")
        return {
            key: {_SHORT[key]: item} if key in _SHORT and isinstance(item, str) else item
            for key, item in value.items()
        }

    @field_validator(*_SHORT, "grpc_server", mode="before")
    @classmethod
    def _is_mapping(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _no_mapping("must be a text or a mapping of keys to values")
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Item:
        if len([place for place in self._places() if place is not None]) != 1:
            raise ValueError(f"name exactly one of {', '.join(type(self).model_fields)}")
        return self

    def _places(self) -> Iterable[PythonFile | PythonModule | PythonPackage | GrpcServer | None]:
        return (self.python_file, self.python_module, self.python_package, self.grpc_server)

    def target_below(self, folder: Path) -> Target:
        """The code location; relative paths count from a folder."""
        [place] = [place for place in self._places() if place is not None]
        return place.target_below(folder)


def _no_mapping(message: str) -> PydanticCustomError:
    return PydanticCustomError("mapping", "{message}", {"message": message})


class WorkspaceFile(_Strict):
    """The whole of `workspace.yaml`."""

    load_from: list[Item]


def read_workspace_file(path: Path) -> list[Target]:
    """The code locations that a file names, in its order.

    Raises:
        InvalidConfigurationError: it is not there or not valid; carries every problem with its key path.
    """
    try:
        written = read_yaml(path)
    except FileNotFoundError:
        problem = ConfigProblem((), "there is no such file", "missing")
        raise InvalidConfigurationError(str(path), [problem]) from None
    values, problems = with_env(written, path)
    targets: list[Target] = []
    try:
        file = WorkspaceFile.model_validate(values)
    except ValidationError as error:
        problems += [found for found in pydantic_problems(error) if not _is_of(problems, found)]
    else:
        folder = path.absolute().parent
        targets = [item.target_below(folder) for item in file.load_from]
        problems += _name_problems(targets)
    if problems:
        raise InvalidConfigurationError(str(path), problems)
    return targets


def _is_of(unset: list[ConfigProblem], found: ConfigProblem) -> bool:
    """Whether a problem comes of a variable that is not set, at its place or in what is around it."""
    return any(problem.path[: len(found.path)] == found.path for problem in unset)


def _name_problems(targets: list[Target]) -> list[ConfigProblem]:
    names = [target.name for target in targets]
    return [
        ConfigProblem(
            ("load_from", str(index)),
            f"another code location is named {name!r}; give one of them a location_name",
            "duplicate",
        )
        for index, name in enumerate(names)
        if name in names[:index]
    ]


def _below(folder: Path, path: str | None) -> str | None:
    return None if path is None else str(folder / Path(path).expanduser())
