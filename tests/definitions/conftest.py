"""Writes files of definitions and loads them."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runwire.definitions import JobDefinition, load_file
from runwire.errors import InvalidDefinitionError

PRELUDE = """\
from __future__ import annotations
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from pydantic import BaseModel, ConfigDict, Field, RootModel
from runwire import *
"""


@pytest.fixture(autouse=True)
def clean_imports() -> Iterator[None]:
    """Leaves the modules and the import path of this process as they were."""
    modules, path = dict(sys.modules), list(sys.path)
    yield
    for name in sys.modules.keys() - modules.keys():
        if not name.startswith(("runwire", "pydantic")):
            del sys.modules[name]
    sys.path[:] = path


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of definitions: the usual imports, then the source."""

    def write_file(source: str, name: str = "jobs.py") -> Path:
        file = tmp_path / name
        file.write_text(PRELUDE + textwrap.dedent(source))
        return file

    return write_file


@pytest.fixture
def load_job(write: Callable[..., Path]) -> Callable[[str], JobDefinition]:
    """Loads the one job of a source."""

    def load(source: str) -> JobDefinition:
        (repository,) = load_file(write(source))
        (job,) = repository.jobs.values()
        return job

    return load


@pytest.fixture
def refusal(write: Callable[..., Path]) -> Callable[[str], str]:
    """Why a source is refused, without its place, which must be the line that says HERE.

    A job that uses the last op of the source is added where there is none.
    """

    def refuse(source: str) -> str:
        file = write(source)
        lines = file.read_text().splitlines()
        with pytest.raises(InvalidDefinitionError) as caught:
            load_file(file)
        (here,) = [number for number, line in enumerate(lines, 1) if "# HERE" in line]
        place, _, rest = str(caught.value).partition(": ")
        assert place == f"{file}:{here}"
        return rest

    return refuse
