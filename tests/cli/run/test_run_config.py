from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from runwire.cli.run.run_config import read_run_config
from runwire.errors import InputInvalidError

CONFIG = {"ops": {"load": {"config": {"path": "a.csv", "limits": [1, 2.5, None, True]}}}}
YAML = "ops: {load: {config: {path: a.csv, limits: [1, 2.5, null, true]}}}"
JSON = '{"ops": {"load": {"config": {"path": "a.csv", "limits": [1, 2.5, null, true]}}}}'


def test_no_option_is_no_run_config() -> None:
    assert read_run_config(None, None) is None


def test_text_is_json() -> None:
    assert read_run_config(None, JSON) == CONFIG


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("config.yaml", YAML, CONFIG),
        ("config", JSON, CONFIG),
        ("config.json", JSON, CONFIG),
        ("config.json", "\ufeff" + JSON, CONFIG),
        ("empty.yaml", "", {}),
    ],
)
def test_a_file_is_yaml_or_json(tmp_path: Path, name: str, text: str, value: Any) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_run_config(str(tmp_path / name), None) == value


def test_a_dash_is_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(YAML.encode())))
    assert read_run_config("-", None) == CONFIG


def test_both_options_are_refused() -> None:
    with pytest.raises(InputInvalidError, match="not both"):
        read_run_config("a.yaml", "{}")


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("c.json", b"{nope", "is not JSON: Expecting property name"),
        ("c.json", b'{"a": NaN}', "has nan at a, which JSON cannot hold"),
        ("c.json", b"[" * 100_000, "is not JSON: maximum recursion depth"),
        ("c.yaml", b"a: [1", "is not YAML: while parsing a flow sequence"),
        ("c.yaml", b"- 1", "must be a mapping of keys to values, not a value of type list"),
        ("c.yaml", b"a: {b: [.inf]}", "has inf at a.b.0, which JSON cannot hold"),
        (
            "c.yaml",
            b"a: {b: 2026-11-22}",
            "has a value of type date at a.b, which JSON cannot hold",
        ),
        ("c.yaml", b"a: {1: x}", "has the key 1 at a, which is no text; put it in quotes"),
        ("c.yaml", b"a: &a {b: *a}", "is nested too deeply"),
        ("c.yaml", b"a: 1\na: 2", "is not YAML: the key 'a' is written twice"),
        ("c.yaml", b"\xff", "is not UTF-8 text"),
    ],
)
def test_what_no_run_config_can_be_made_of_is_refused(
    tmp_path: Path, name: str, text: bytes, problem: str
) -> None:
    file = tmp_path / name
    file.write_bytes(text)
    with pytest.raises(InputInvalidError) as refused:
        read_run_config(str(file), None)
    assert str(refused.value).startswith(f"{file} {problem}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("name", "problem"), [("no.yaml", "No such file"), ("", "Is a directory")])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str, problem: str) -> None:
    with pytest.raises(InputInvalidError, match=f"cannot be read: {problem}"):
        read_run_config(str(tmp_path / name), None)
