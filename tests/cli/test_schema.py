from __future__ import annotations

import re
from pathlib import Path

import pytest

from runwire import __version__
from runwire.api.schema import print_schema
from runwire.cli.schema_check import broken_promises, last_release
from runwire.documents import load_document, operation_names
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
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "schema.graphql"
    result = invoke("schema", "export", "--output", str(place))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {place} cannot be written: ")


def test_export_to_a_folder_writes_the_json_schemas_beside_it(
    invoke: Invoke, tmp_path: Path
) -> None:
    assert invoke("schema", "export", "--output", str(tmp_path)).exit_code == 0
    names = [
        "runwire.schema.json",
        "schema.graphql",
        "webhook-event.schema.json",
        "workspace.schema.json",
    ]
    assert sorted(file.name for file in tmp_path.iterdir()) == names
    assert invoke("schema", "check", str(tmp_path)).exit_code == 0
    (tmp_path / "workspace.schema.json").write_text("{}\n")
    result = invoke("schema", "check", str(tmp_path))
    assert result.exit_code == 1
    assert f"--- {tmp_path}/workspace.schema.json" in result.stdout
    assert result.stderr.startswith("error: the schema has changed; ")


def test_what_is_published_is_current(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    result = invoke("schema", "check")
    assert (result.exit_code, result.output) == (0, "")


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


# ------------------------------------------------------------ releases


@pytest.fixture
def released(invoke: Invoke, tmp_path: Path) -> Path:
    """A folder of schemas of which the present state was released."""
    invoke("schema", "export", "--output", str(tmp_path))
    result = invoke("schema", "release", str(tmp_path))
    assert (result.exit_code, result.stdout.startswith(f"{__version__}: ")) == (0, True)
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n")
    return tmp_path


def check(invoke: Invoke, folder: Path, changelog: str = "") -> list[str]:
    """What a check of the folder complains of, with such an unreleased section."""
    file = folder / "CHANGELOG.md"
    file.write_text(
        f"# Changelog\n\n## [Unreleased]\n\n{changelog}\n\n## [0.0.1]\n\n- `Run.colour`\n"
    )
    result = invoke("schema", "check", str(folder), "--changelog", str(file))
    assert result.exit_code == bool(result.stdout)
    return result.stdout.splitlines()


def test_a_release_keeps_the_schema_and_the_documents(released: Path, invoke: Invoke) -> None:
    snapshot = released / "released" / f"{__version__}.graphql"
    assert snapshot.read_text(encoding="utf-8") == print_schema()
    kept = released / "released" / __version__
    assert {file.stem for file in kept.iterdir()} == set(operation_names())
    assert (kept / "FollowRun.graphql").read_text(encoding="utf-8") == load_document("FollowRun")
    assert check(invoke, released) == []
    again = invoke("schema", "release", str(released))
    assert again.exit_code == 2
    assert again.stderr.endswith("a released version stays as it is, so raise the version\n")


def break_by(folder: Path, before: str, after: str) -> None:
    """Has the release say something that the present schema does not keep."""
    snapshot = folder / "released" / f"{__version__}.graphql"
    text = snapshot.read_text(encoding="utf-8")
    assert before in text
    snapshot.write_text(text.replace(before, after, 1), encoding="utf-8")


BREAKS = {
    "a field is gone": (
        "type Run implements Node {",
        "type Run implements Node {\n  colour: String",
        "Run.colour",
    ),
    "a field has another type": (
        "  caughtUp: Boolean!\n}",
        "  caughtUp: String!\n}",
        "EventRecordBatch.caughtUp",
    ),
    "an enum value is gone": ("enum RunStatus {", "enum RunStatus {\n  LOST", "RunStatus.LOST"),
    "an argument is gone": (
        "  codeLocations:",
        "  codeLocations(first: Int):",
        "Query.codeLocations(first:)",
    ),
    "a type is gone": ("enum RunStatus {", "type Gone { a: Int }\nenum RunStatus {", "Gone"),
    "an input field is required": (
        'input JobSelector {\n  """The name of the job."""\n  jobName: String!',
        "input JobSelector {",
        "JobSelector.jobName",
    ),
    "a member of a union is gone": (
        "union DeleteRunResult = ",
        "type Gone { a: Int }\nunion DeleteRunResult = Gone | ",
        "DeleteRunResult",
    ),
    "a directive is gone": (
        "enum RunStatus {",
        "directive @gone on FIELD\nenum RunStatus {",
        "@gone",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_the_release_is_refused_unless_the_changelog_names_it(
    released: Path, invoke: Invoke, name: str
) -> None:
    before, after, coordinate = BREAKS[name]
    if name == "a field has another type":
        before, after = before.replace("}", ""), after.replace("}", "")
    break_by(released, before, after)
    complaints = check(invoke, released)
    assert complaints
    assert all(line.startswith(f"breaks {__version__}: ") for line in complaints)
    named = {re.search(r"name `(.+)` in the unreleased section", line)[1] for line in complaints}  # type: ignore[index]
    assert coordinate in named
    # A coordinate that begins or ends likewise, plain words and other sections name nothing.
    assert (
        check(invoke, released, f"- {coordinate}; `{coordinate}s`; `x{coordinate}`") == complaints
    )
    told = "\n".join(f"- `{each}` is gone; use another." for each in named)
    assert check(invoke, released, told) == []


def test_what_is_added_breaks_nothing(released: Path) -> None:
    more = (
        print_schema().replace("type Query {", "type Query {\n  more: Int", 1)
        + "type More { a: Int }\n"
    )
    assert list(broken_promises(released, more, "")) == []


def test_documents_of_the_release_stay_valid(released: Path, invoke: Invoke) -> None:
    document = released / "released" / __version__ / "FollowRun.graphql"
    document.write_text("query FollowRun { colour }")
    assert check(invoke, released) == [
        f"breaks the document FollowRun of {__version__}: Cannot query field 'colour' on type 'Query'."
    ]
    assert check(invoke, released, "- The document `FollowRun` asks for no colour.") == []


def test_the_last_release_counts(tmp_path: Path) -> None:
    assert last_release(tmp_path) is None
    (tmp_path / "released").mkdir()
    for version in ("0.9.0", "0.10.0", "0.2.11", "next"):
        (tmp_path / "released" / f"{version}.graphql").touch()
    assert last_release(tmp_path) == "0.10.0"


def test_a_version_that_is_none_is_not_released(
    released: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runwire.cli.schema.__version__", "1.0.0.dev1")
    result = invoke("schema", "release", str(released))
    assert result.exit_code == 2
    assert result.stderr == "error: '1.0.0.dev1' is no version of a release; write it as 1.2.3\n"


def test_a_changelog_is_needed_once_there_is_a_release(released: Path, invoke: Invoke) -> None:
    result = invoke("schema", "check", str(released), "--changelog", str(released / "none.md"))
    assert result.exit_code == 2
    assert "none.md cannot be read: " in result.stderr
