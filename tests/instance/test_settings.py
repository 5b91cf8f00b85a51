"""`runwire.yaml` is strict, tells everything at once, and never prints a secret."""

import json
from pathlib import Path

import pytest

from runwire.errors import InvalidConfigurationError
from runwire.instance.settings import effective_configuration, read_settings


def problems_of(home: Path, text: str) -> dict[str, str]:
    (home / "runwire.yaml").write_text(text)
    with pytest.raises(InvalidConfigurationError) as refused:
        read_settings(home)
    assert str(home / "runwire.yaml") in str(refused.value)
    return {".".join(problem.path): problem.message for problem in refused.value.problems}


def test_no_file_and_an_empty_file_mean_defaults(tmp_path: Path) -> None:
    missing, _, _ = read_settings(tmp_path)
    (tmp_path / "runwire.yaml").write_text("# nothing\n")
    empty, components, _ = read_settings(tmp_path)
    assert missing == empty
    assert (empty.server.host, empty.server.port, empty.auth.token) == ("127.0.0.1", 3333, None)
    assert components["storage"].config_dict == {"base_dir": str(tmp_path)}


def test_everything_wrong_is_told_at_once_with_its_key_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOT_SET_ANYWHERE", raising=False)
    problems = problems_of(
        tmp_path,
        """
naem: x
server: {port: 99999, hots: here}
auth: {token: {env: NOT_SET_ANYWHERE}}
storage: {sqlite: {base_dri: /x}, custom: {module: a, class: b}}
run_launcher: {module: runwire.launchers.default, class: DefaultRunLauncher, config: {what: 1}}
run_coordinator: {module: no_such_module_here, class: X}
local_artifact_storage: {module: runwire.instance.ref, class: InstanceRef}
""",
    )
    assert set(problems) == {
        "naem",
        "server.port",
        "server.hots",
        "auth.token",
        "storage",
        "run_launcher.config.what",
        "run_coordinator.module",
        "local_artifact_storage.class",
    }
    assert "NOT_SET_ANYWHERE is not set" in problems["auth.token"]
    assert "is not a LocalArtifactStorage" in problems["local_artifact_storage.class"]
    assert "exactly one of sqlite and custom" in problems["storage"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "is not YAML"),
        ("- a list", "must be a mapping"),
        ("name: a\nname: b", "'name' is written twice"),
        ("? [a]\n: 1", "is not YAML"),
        ("{a: 1}: 2", "is not YAML"),
        ("a: 9999-99-99", "is not YAML"),
        ("a: &a [*a]", "nested too deeply, or refers to itself"),
        ("server: " + "[" * 3000, "is nested too deeply"),
    ],
)
def test_a_corrupt_file_is_one_problem(tmp_path: Path, text: str, says: str) -> None:
    assert says in problems_of(tmp_path, text)[""]


def test_bytes_that_are_no_text_are_one_problem(tmp_path: Path) -> None:
    (tmp_path / "runwire.yaml").write_bytes(b"name: \xff\xfe\x00")
    with pytest.raises(InvalidConfigurationError, match="cannot be read"):
        read_settings(tmp_path)


def test_env_stands_for_any_scalar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_PORT", "4444")
    monkeypatch.setenv("THE_TOKEN", "a-token-of-some-length")
    (tmp_path / "runwire.yaml").write_text(
        "server: {port: {env: THE_PORT}}\nauth: {token: {env: THE_TOKEN}}\n"
    )
    settings, _, _ = read_settings(tmp_path)
    assert settings.server.port == 4444
    assert settings.auth.token is not None
    assert settings.auth.token.get_secret_value() == "a-token-of-some-length"


def test_secrets_are_not_in_the_effective_configuration_nor_in_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASE", str(tmp_path / "hidden"))
    (tmp_path / "runwire.yaml").write_text(
        "auth: {token: very-secret-token-42}\nstorage: {sqlite: {base_dir: {env: BASE}}}\n"
    )
    settings, components, written = read_settings(tmp_path)
    shown = effective_configuration(settings, components, written)
    assert "very-secret" not in str(shown)
    assert "hidden" not in str(shown)
    assert shown["auth"] == {"token": "********"}
    assert shown["storage"]["config"]["base_dir"] == {"env": "BASE"}
    assert shown["server"]["port"] == 3333
    problems = problems_of(tmp_path, "auth: {token: short-secret}\n")
    assert "short-secret" not in str(problems)


@pytest.mark.parametrize(
    "token", ["short", "x" * 15, " " * 20, "a-token-of-some-length\n", "ä" * 20]
)
def test_a_token_that_no_header_could_carry_is_refused(tmp_path: Path, token: str) -> None:
    problems = problems_of(tmp_path, f"auth: {{token: {json.dumps(token)}}}\n")
    assert list(problems) == ["auth.token"]
    assert "a token" in problems["auth.token"]
    assert token.strip() == "" or token.strip() not in problems["auth.token"]
