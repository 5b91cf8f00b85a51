"""YAML files are read strictly."""

from __future__ import annotations

from pathlib import Path

import pytest

from runwire.config.yaml_file import MAX_REPEATED, read_yaml, with_env
from runwire.errors import ConfigProblem, InvalidConfigurationError


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("# nothing", {}),
        ("a: 1\nb: [x, {c: null}]", {"a": 1, "b": ["x", {"c": None}]}),
        ("1: one", {"1": "one"}),
        ("a: &a {x: 1, y: 1}\nb: {<<: *a, y: 2}", {"a": {"x": 1, "y": 1}, "b": {"x": 1, "y": 2}}),
        ("a: &a {x: 1}\nb: *a\nc: [*a, *a]", {"a": {"x": 1}, "b": {"x": 1}, "c": [{"x": 1}] * 2}),
    ],
)
def test_a_file_is_its_keys_and_values(tmp_path: Path, text: str, values: object) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(text, encoding="utf-8")
    assert read_yaml(file) == values


def test_a_missing_file_is_for_the_caller_to_tell(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_yaml(tmp_path / "f.yaml")


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"a: \xff", "unreadable", "cannot be read: "),
        (b"a: [", "yaml", "is not YAML: "),
        (b"a: {b: 1, b: 2}", "yaml", "is not YAML: the key 'b' is written twice"),
        (b"a: " + b"[" * 3000, "yaml", "is nested too deeply"),
        (b"a: !!python/name:os.system", "yaml", "is not YAML: "),
        (b"- a", "mapping", "must be a mapping of keys to values"),
    ],
)
def test_what_is_no_mapping_in_yaml_is_refused(
    tmp_path: Path, body: bytes, code: str, message: str
) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(body)
    with pytest.raises(InvalidConfigurationError) as refused:
        read_yaml(file)
    [problem] = refused.value.problems
    assert (refused.value.source, problem.path, problem.code) == (str(file), (), code)
    assert problem.message.startswith(message)


def test_aliases_may_repeat_so_many_values_and_no_more(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    thousand = f"a: &a [{', '.join('x' * 999)}]\n"
    file.write_text(f"{thousand}b: [{', '.join(['*a'] * (MAX_REPEATED // 1000))}]", "utf-8")
    assert len(read_yaml(file)["b"]) == MAX_REPEATED // 1000
    file.write_text(f"{file.read_text('utf-8')}\nc: &c y\nd: *c\n", "utf-8")
    with pytest.raises(InvalidConfigurationError, match="more than 10000 values in all"):
        read_yaml(file)


def test_aliases_to_aliases_count_with_all_that_they_stand_for(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    levels = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20)]
    file.write_text("\n".join(["a0: &a0 x", *levels]), "utf-8")
    with pytest.raises(InvalidConfigurationError) as refused:
        read_yaml(file)
    [problem] = refused.value.problems
    assert (problem.path, problem.code) == ((), "yaml")
    assert "line 5" in problem.message, "it was refused where it became too much"


def test_env_is_looked_up_with_a_problem_for_each_that_is_not_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IS_SET", "1")
    monkeypatch.delenv("IS_NOT", raising=False)
    values, problems = with_env(
        {"a": {"env": "IS_SET"}, "b": [{"env": "IS_NOT"}]}, tmp_path / "f.yaml"
    )
    assert values == {"a": "1", "b": [None]}
    assert problems == [
        ConfigProblem(
            ("b", "0"),
            "the environment variable IS_NOT is not set; set it or write the value here",
            "env_unset",
        )
    ]
