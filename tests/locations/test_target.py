"""Where definitions are."""

from __future__ import annotations

from pathlib import Path

import pytest

from runwire.errors import InputInvalidError
from runwire.locations.protocol import DefinitionSource
from runwire.locations.target import LocationTarget


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
