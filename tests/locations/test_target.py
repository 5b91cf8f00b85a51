"""Where definitions are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from runwire.errors import InputInvalidError
from runwire.locations.protocol import DefinitionSource
from runwire.locations.target import CodeServerTarget, LocationTarget
from runwire.workspace import CodeOrigin


def test_a_file_names_its_location_by_its_stem() -> None:
    assert LocationTarget(python_file="some/where/sales_jobs.py").name == "sales_jobs"


def test_a_module_names_its_location() -> None:
    assert LocationTarget(module="sales.jobs").name == "sales.jobs"


def test_a_given_name_wins() -> None:
    assert LocationTarget(python_file="jobs.py", name="sales").name == "sales"


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({}, ("pythonFile",)),
        ({"python_file": "jobs.py", "module": "jobs"}, ("pythonFile",)),
        ({"python_file": ""}, ("name",)),
    ],
)
def test_what_is_not_one_place_is_refused(arguments: dict[str, str], path: tuple[str, ...]) -> None:
    with pytest.raises(InputInvalidError) as refused:
        LocationTarget(**arguments)
    assert refused.value.path == path


def test_a_source_has_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    target = LocationTarget(python_file="jobs.py", attribute="nightly", working_directory="work")
    assert target.source() == DefinitionSource(
        python_file=str(tmp_path / "work" / "jobs.py"),
        module="",
        attribute="nightly",
        working_directory=str(tmp_path / "work"),
        directory=str(tmp_path / "work"),
    )


def test_processes_run_in_the_current_directory_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert LocationTarget(module="jobs").source() == DefinitionSource(
        python_file=None,
        module="jobs",
        attribute=None,
        working_directory=None,
        directory=str(tmp_path),
    )


def test_a_directory_is_where_processes_run_and_paths_begin_without_a_working_directory(
    tmp_path: Path,
) -> None:
    target = LocationTarget(python_file="jobs.py", directory=tmp_path)
    assert target.source() == DefinitionSource(
        python_file=str(tmp_path / "jobs.py"),
        module="",
        attribute=None,
        working_directory=None,
        directory=str(tmp_path),
    )


def test_an_origin_names_the_python_and_does_not_follow_its_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "python").symlink_to(sys.executable)
    target = LocationTarget(module="jobs", attribute="nightly", executable_path="python")
    assert target.origin() == CodeOrigin(
        executable_path=str(tmp_path / "python"),
        python_file=None,
        module="jobs",
        attribute="nightly",
        working_directory=None,
        directory=str(tmp_path),
    )
    assert LocationTarget(module="jobs").origin().executable_path == sys.executable


@pytest.mark.parametrize(
    ("target", "address", "name"),
    [
        (CodeServerTarget(port=4000), "127.0.0.1:4000", "grpc:127.0.0.1:4000"),
        (CodeServerTarget(host="::1", port=4, name="shop"), "[::1]:4", "shop"),
        (CodeServerTarget(socket="/run/s"), "unix:/run/s", "grpc:/run/s"),
    ],
)
def test_a_code_server_has_an_address(target: CodeServerTarget, address: str, name: str) -> None:
    assert (target.address, target.name) == (address, name)


@pytest.mark.parametrize("arguments", [{}, {"port": 1, "socket": "s"}])
def test_a_code_server_is_at_one_place(arguments: dict[str, Any]) -> None:
    with pytest.raises(InputInvalidError) as refused:
        CodeServerTarget(**arguments)
    assert refused.value.path == ("port",)


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(CodeServerTarget(port=1, token="secret"))
