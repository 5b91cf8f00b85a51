"""`workspace.yaml` is strict, tells everything at once, and counts paths from its folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runwire.errors import InvalidConfigurationError
from runwire.locations.target import CodeServerTarget, LocationTarget
from runwire.locations.workspace_file import read_workspace_file

TOKEN = "a-token-of-16-or-more"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "workspace.yaml"


def _problems(file: Path, text: str) -> dict[str, str]:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidConfigurationError) as refused:
        read_workspace_file(file)
    assert refused.value.source == str(file)
    return {".".join(problem.path): problem.message for problem in refused.value.problems}


def test_every_kind_of_location_in_its_short_form(file: Path, tmp_path: Path) -> None:
    file.write_text(
        """
load_from:
  - python_file: jobs.py
  - python_module: shop.jobs
  - python_package: store
  - grpc_server: {port: 4000}
""",
        encoding="utf-8",
    )
    assert read_workspace_file(file) == [
        LocationTarget(python_file=str(tmp_path / "jobs.py"), directory=tmp_path, name="jobs"),
        LocationTarget(module="shop.jobs", directory=tmp_path, name="shop.jobs"),
        LocationTarget(module="store", directory=tmp_path, name="store"),
        CodeServerTarget(host="127.0.0.1", port=4000, name="grpc:127.0.0.1:4000"),
    ]


def test_every_key(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PORT", "4001")
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    rest = """
      attribute: nightly
      working_directory: work
      executable_path: venv/bin/python
"""
    file.write_text(
        f"""
load_from:
  - python_file:
      relative_path: sales/jobs.py
      location_name: a{rest}
  - python_module:
      module_name: sales.jobs
      location_name: b{rest}
  - python_package:
      package_name: sales
      location_name: c{rest}
  - grpc_server: {{host: db, port: {{env: SHOP_PORT}}, token: {{env: SHOP_TOKEN}}, location_name: d}}
  - grpc_server: {{socket: run/s, location_name: e}}
  - python_file: /jobs/f.py
""",
        encoding="utf-8",
    )

    def made(name: str, **place: str) -> LocationTarget:
        return LocationTarget(
            **place,
            name=name,
            attribute="nightly",
            working_directory=str(tmp_path / "work"),
            directory=tmp_path,
            executable_path=str(tmp_path / "venv" / "bin" / "python"),
        )

    assert read_workspace_file(file) == [
        made("a", python_file=str(tmp_path / "sales" / "jobs.py")),
        made("b", module="sales.jobs"),
        made("c", module="sales"),
        CodeServerTarget(host="db", port=4001, token=TOKEN, name="d"),
        CodeServerTarget(socket=str(tmp_path / "run" / "s"), name="e"),
        LocationTarget(python_file="/jobs/f.py", directory=tmp_path, name="f"),
    ]


def test_a_file_named_from_elsewhere_means_the_same(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("load_from: [python_file: jobs.py]", encoding="utf-8")
    monkeypatch.chdir(tmp_path.parent)
    [target] = read_workspace_file(Path(tmp_path.name, "workspace.yaml"))
    assert isinstance(target, LocationTarget)
    source = target.source()
    assert (source.python_file, source.directory) == (str(tmp_path / "jobs.py"), str(tmp_path))


def test_no_location_is_a_workspace_too(file: Path) -> None:
    file.write_text("load_from: []", encoding="utf-8")
    assert read_workspace_file(file) == []


def test_everything_wrong_is_told_at_once_with_its_key_path(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOT_SET_ANYWHERE", raising=False)
    problems = _problems(
        file,
        """
load_form: []
load_from:
  - python_file: {relative_path: jobs.py, atribute: x}
  - python_module: {}
  - {python_file: a.py, python_module: b}
  - {}
  - jobs.py
  - python_file: [a.py]
  - grpc_server: {port: many, host: ''}
  - grpc_server: {}
  - grpc_server: {port: 1, socket: s}
  - grpc_server: {socket: s, host: db}
  - grpc_server: {port: {env: NOT_SET_ANYWHERE}}
  - grpc_server: {port: 1, token: short}
  - python_file: ''
""",
    )
    one_of = "name exactly one of python_file, python_module, python_package, grpc_server"
    assert problems == {
        "load_form": "there is no such key; remove it or mend its name",
        "load_from.0.python_file.atribute": "there is no such key; remove it or mend its name",
        "load_from.1.python_module.module_name": "a value is needed here",
        "load_from.2": one_of,
        "load_from.3": one_of,
        "load_from.4": "must be a mapping such as python_file: jobs.py",
        "load_from.5.python_file": "must be a text or a mapping of keys to values",
        "load_from.6.grpc_server.host": "String should have at least 1 character",
        "load_from.6.grpc_server.port": (
            "Input should be a valid integer, unable to parse string as an integer"
        ),
        "load_from.7.grpc_server": "name exactly one of port and socket",
        "load_from.8.grpc_server": "name exactly one of port and socket",
        "load_from.9.grpc_server": "a socket has no host",
        "load_from.10.grpc_server.port": (
            "the environment variable NOT_SET_ANYWHERE is not set; set it or write the value here"
        ),
        "load_from.11.grpc_server.token": (
            "a token has at least 16 characters, all of them printable ASCII"
        ),
        "load_from.12.python_file.relative_path": "String should have at least 1 character",
    }


def test_a_refused_token_is_not_repeated(file: Path) -> None:
    file.write_text("load_from: [grpc_server: {port: 1, token: hush}]", encoding="utf-8")
    with pytest.raises(InvalidConfigurationError) as refused:
        read_workspace_file(file)
    assert "hush" not in str(refused.value)


def test_two_locations_of_one_name_are_told(file: Path) -> None:
    text = "load_from: [python_file: a/jobs.py, python_module: shop, python_file: b/jobs.py]"
    text = text.replace(", ", "}, {").replace("[", "[{").replace("]", "}]")
    assert _problems(file, text) == {
        "load_from.2": "another code location is named 'jobs'; give one of them a location_name"
    }


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("", "load_from", "a value is needed here"),
        ("load_from:", "load_from", "must be a list of values"),
        (
            "load_from: [grpc_server: {port: true}]",
            "load_from.0.grpc_server.port",
            "must be a number, not true or false",
        ),
        ("- python_file: a.py", "", "must be a mapping of keys to values"),
        ("load_from: [", "", "is not YAML: "),
        ("load_from: []\nload_from: []", "", "is not YAML: the key 'load_from' is written twice"),
        ("load_from: &a [*a]", "", "is nested too deeply, or refers to itself"),
    ],
)
def test_what_is_no_workspace_is_refused(file: Path, text: str, path: str, message: str) -> None:
    [(told_path, told)] = _problems(file, text).items()
    assert (told_path, told[: len(message)]) == (path, message)


def test_a_missing_file_is_told(file: Path) -> None:
    with pytest.raises(InvalidConfigurationError) as refused:
        read_workspace_file(file)
    [problem] = refused.value.problems
    assert (problem.path, problem.message) == ((), "there is no such file")


def test_the_example_of_the_documentation_is_valid(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    documentation = Path(__file__).parents[2] / "docs" / "configuration.md"
    blocks = re.findall(
        r"^```yaml\n(.*?)^```$", documentation.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    [example] = [block for block in blocks if block.startswith("load_from:")]
    file.write_text(example, encoding="utf-8")
    assert [target.name for target in read_workspace_file(file)] == [
        "jobs",
        "sales",
        "shop.jobs",
        "store",
        "shop",
    ]
