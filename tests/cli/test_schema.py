from __future__ import annotations

from pathlib import Path

import pytest

from runwire.api.schema import print_schema
from tests.cli.conftest import Invoke


def test_export_prints_the_schema_or_writes_it(invoke: Invoke, tmp_path: Path) -> None:
    printed = invoke("schema", "export")
    assert (printed.exit_code, printed.stdout) == (0, print_schema())
    file = tmp_path / "made" / "schema.graphql"
    written = invoke("schema", "export", "--output", str(file))
    assert (written.exit_code, written.output) == (0, "")
    assert file.read_text(encoding="utf-8") == print_schema()


def test_export_to_a_place_that_cannot_be_written_is_one_line(
    invoke: Invoke, tmp_path: Path
) -> None:
    result = invoke("schema", "export", "--output", str(tmp_path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: {tmp_path} cannot be written: Is a directory\n"


def test_check_is_silent_about_what_export_wrote(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "schema.graphql"
    invoke("schema", "export", "--output", str(file))
    result = invoke("schema", "check", str(file))
    assert (result.exit_code, result.output) == (0, "")


def test_check_shows_what_differs_and_fails(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "schema.graphql"
    file.write_text(print_schema().replace("jobName: String!", "jobNames: String!", 1), "utf-8")
    result = invoke("schema", "check", str(file))
    assert result.exit_code == 1
    changed = [line.strip() for line in result.stdout.splitlines() if line[0] in "+-"]
    assert changed[2:] == ["-  jobNames: String!", "+  jobName: String!"]
    assert result.stderr.startswith("error: the schema has changed; ")


def test_check_fails_over_a_document_that_does_not_fit(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "schema.graphql"
    invoke("schema", "export", "--output", str(file))
    documents = {"Good": "query Good { instance { id } }", "Bad": "query Bad { instance { idd } }"}
    monkeypatch.setattr("runwire.cli.schema_check.operation_names", lambda: tuple(documents))
    monkeypatch.setattr("runwire.cli.schema_check.load_document", documents.__getitem__)
    result = invoke("schema", "check", str(file))
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "graphql document Bad: Cannot query field 'idd' on type 'Instance'. Did you mean 'id'?"
    ]


def test_check_wants_a_file_that_can_be_read(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("schema", "check", str(tmp_path / "no.graphql"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith("no.graphql cannot be read: No such file or directory\n")
