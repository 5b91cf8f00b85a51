"""Loading: what is found in files and modules, and what failing leaves behind (nothing)."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runwire.definitions import load_file, load_module
from runwire.errors import DefinitionLoadError, InvalidDefinitionError

Write = Callable[..., Path]

JOBS = """
@op
def load(): ...

@job
def second():
    load()

@job
def first():
    load()

again = first
"""


def _names(repositories: tuple[Any, ...]) -> list[tuple[str, list[str]]]:
    return [(repository.name, sorted(repository.jobs)) for repository in repositories]


def test_without_a_repository_all_jobs_at_the_top_level_make_one(write: Write) -> None:
    assert _names(load_file(write(JOBS))) == [("__repository__", ["first", "second"])]


def test_an_attribute_picks_one_job_or_one_repository(write: Write) -> None:
    file = write(
        JOBS
        + """
@repository
def shop():
    return [second]
"""
    )
    assert _names(load_file(file, attribute="first")) == [("__repository__", ["first"])]
    assert _names(load_file(file, attribute="shop")) == [("shop", ["second"])]


def test_a_relative_path_is_relative_to_the_working_directory(write: Write) -> None:
    file = write(JOBS)
    found = load_file("jobs.py", working_directory=file.parent)
    assert _names(found) == [("__repository__", ["first", "second"])]


def test_a_file_imports_from_its_own_folder(write: Write) -> None:
    write("N = 3\n", "neighbour_of_jobs.py")
    found = load_file(write("from neighbour_of_jobs import N\n" + JOBS))
    assert _names(found) == [("__repository__", ["first", "second"])]
    assert sys.path[0] == str(write(JOBS).parent)


def test_a_working_directory_is_imported_from_instead(write: Write, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    write("N = 3\n", "root_module_of_jobs.py")
    file = write("from root_module_of_jobs import N\n" + JOBS, "inner/jobs.py")
    found = load_file("inner/jobs.py", working_directory=tmp_path)
    assert _names(found) == [("__repository__", ["first", "second"])]
    assert sys.path[0] == str(tmp_path)
    assert file.parent == tmp_path / "inner"


def test_a_file_is_a_module_of_its_name_so_that_its_classes_can_be_pickled(write: Write) -> None:
    load_file(write("class Row: ...\n" + JOBS, "jobs_with_rows.py"))
    module = sys.modules["jobs_with_rows"]
    row = pickle.loads(pickle.dumps(module.Row()))
    assert type(row) is module.Row


def test_a_file_whose_name_another_module_has_leaves_that_one_alone(write: Write) -> None:
    for name in ("json.py", "runwire.py", "my-jobs.py", "__main__.py"):
        load_file(write("class Row: ...\n" + JOBS, name))
    assert sys.modules["json"] is json
    assert sys.modules["runwire"].__file__ != str(write(JOBS, "runwire.py"))
    made = [name for name in sys.modules if name.startswith(("json_", "runwire_", "my-jobs_"))]
    assert len(made) == 3
    module = sys.modules[made[0]]
    assert type(pickle.loads(pickle.dumps(module.Row()))) is module.Row


def test_a_changed_file_is_loaded_anew_even_within_a_second(write: Write) -> None:
    before = load_file(write(JOBS))
    after = load_file(write(JOBS.replace("first", "third")))
    assert _names(before) == [("__repository__", ["first", "second"])]
    assert _names(after) == [("__repository__", ["second", "third"])]
    assert not (write(JOBS).parent / "__pycache__").exists()


def test_a_module_is_imported_by_its_name(write: Write, tmp_path: Path) -> None:
    (tmp_path / "shop_for_test").mkdir()
    (tmp_path / "shop_for_test" / "__init__.py").touch()
    write(JOBS, "shop_for_test/jobs.py")
    found = load_module("shop_for_test.jobs", working_directory=tmp_path)
    assert _names(found) == [("__repository__", ["first", "second"])]
    picked = load_module("shop_for_test.jobs", working_directory=tmp_path, attribute="second")
    assert _names(picked) == [("__repository__", ["second"])]


# -------------------------------------------------------------------------------- refusals


def _refused(load: Callable[[], object]) -> str:
    modules, path = set(sys.modules), list(sys.path)
    with pytest.raises((InvalidDefinitionError, DefinitionLoadError)) as caught:
        load()
    own = {name for name in sys.modules if name.endswith("jobs")} - modules
    assert (own, sys.path) == (set(), path)
    return str(caught.value)


def test_a_file_or_a_folder_that_is_no_file_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "missing_jobs.py"
    assert _refused(lambda: load_file(missing)) == (
        f"{missing}: definitions: there is no such file; give the path of a Python file"
    )
    assert _refused(lambda: load_file(tmp_path)) == (
        f"{tmp_path}: definitions: this is a folder; give the path of a Python file"
    )


def test_an_attribute_that_is_not_there_or_something_else_is_refused(write: Write) -> None:
    file = write(JOBS)
    assert _refused(lambda: load_file(file, attribute="third")) == (
        f"{file}: attribute 'third': there is no such name at the top level; there are: second,"
        " first, again"
    )
    assert _refused(lambda: load_file(file, attribute="load")) == (
        f"{file}: attribute 'load': it is a OpDefinition, not a repository or job; there are:"
        " second, first, again"
    )


def test_a_file_without_definitions_is_refused(write: Write) -> None:
    file = write("x = 1\n")
    assert _refused(lambda: load_file(file)) == (
        f"{file}: definitions: there is no job and no repository at the top level; define one with"
        " @job or @repository"
    )
    assert _refused(lambda: load_file(file, attribute="etl")) == (
        f"{file}: attribute 'etl': there is no such name at the top level; there are: none"
    )


def test_two_jobs_or_repositories_of_one_name_are_refused(write: Write) -> None:
    jobs = write(
        JOBS
        + """
@job(name="first")
def third():
    load()
"""
    )
    told = _refused(lambda: load_file(jobs))
    assert told.startswith(f"{jobs}: repository '__repository__': two jobs are named 'first', one ")
    repositories = write(
        JOBS
        + """
@repository
def shop():
    return []

@repository(name="shop")
def other():
    return []
"""
    )
    assert _refused(lambda: load_file(repositories)) == (
        f"{repositories}: definitions: two repositories are named 'shop'; rename one with"
        " @repository(name=...)"
    )


def test_code_that_raises_is_told_with_its_line_and_kept(write: Write) -> None:
    file = write("def f():\n    return {}['x']\nf()\n")
    line = file.read_text().splitlines().index("    return {}['x']") + 1
    with pytest.raises(DefinitionLoadError) as caught:
        load_file(file)
    assert str(caught.value) == f"{file}:{line}: loading the definitions raised KeyError: 'x'"
    assert isinstance(caught.value.user_exception, KeyError)
    assert caught.value.__cause__ is caught.value.user_exception


def test_code_that_raises_elsewhere_is_told_with_the_line_that_called(write: Write) -> None:
    write("def broken():\n    raise OSError('no')\n", "broken_neighbour.py")
    file = write("import broken_neighbour\nbroken_neighbour.broken()\n")
    line = file.read_text().splitlines().index("broken_neighbour.broken()") + 1
    assert _refused(lambda: load_file(file)) == (
        f"{file}:{line}: loading the definitions raised OSError: no"
    )


def test_a_syntax_error_is_told_with_its_line(write: Write) -> None:
    file = write("x = 1\ndef f(:\n")
    line = file.read_text().splitlines().index("def f(:") + 1
    told = _refused(lambda: load_file(file))
    assert told.startswith(f"{file}:{line}: loading the definitions raised SyntaxError: ")


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    file = tmp_path / "binary_jobs.py"
    file.write_bytes(b"x = '\xff'\n")
    told = _refused(lambda: load_file(file))
    assert told.startswith(f"{file}:")
    assert "SyntaxError" in told


def test_code_that_exits_is_told(write: Write) -> None:
    file = write("import sys\nsys.exit(3)\n")
    told = _refused(lambda: load_file(file))
    assert told.endswith("loading the definitions raised SystemExit: 3")


def test_code_that_is_interrupted_passes_the_interrupt_on(write: Write) -> None:
    with pytest.raises(KeyboardInterrupt):
        load_file(write("raise KeyboardInterrupt\n"))


def test_a_wrong_definition_is_told_as_itself(write: Write) -> None:
    file = write("@op(tags={'x': 1})\ndef load(): ...\n")
    told = _refused(lambda: load_file(file))
    assert told.endswith("op 'load': tag 'x' is 1, which is not text; write 'x': '1'")


def test_a_module_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert _refused(lambda: load_module("no_such_jobs", working_directory=tmp_path)) == (
        f"no_such_jobs: definitions: there is no module 'no_such_jobs' in {tmp_path} or installed;"
        " check the name, or give the working directory that holds it"
    )
    assert _refused(lambda: load_module("json.no_such_jobs", working_directory=tmp_path)) == (
        "json.no_such_jobs: definitions: there is no module 'json.no_such_jobs' in"
        f" {tmp_path} or installed; check the name, or give the working directory that holds it"
    )


def test_a_module_that_misses_another_is_told_with_its_line(write: Write, tmp_path: Path) -> None:
    file = write("import no_such_neighbour\n", "lonely_jobs.py")
    line = file.read_text().splitlines().index("import no_such_neighbour") + 1
    assert _refused(lambda: load_module("lonely_jobs", working_directory=tmp_path)) == (
        f"{file}:{line}: loading the definitions raised ModuleNotFoundError: No module named"
        " 'no_such_neighbour'"
    )


@pytest.mark.parametrize("name", ["", ".jobs", "my jobs", "jobs.py/x", "a..b"])
def test_what_cannot_be_a_module_is_refused(name: str) -> None:
    assert _refused(lambda: load_module(name)) == (
        f"{name}: definitions: this cannot be a module; give a name such as shop.jobs"
    )
