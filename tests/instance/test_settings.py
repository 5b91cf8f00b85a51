"""`runwire.yaml` is strict, tells everything at once, and never prints a secret."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runwire.config import MAX_SECONDS
from runwire.errors import InvalidConfigurationError
from runwire.instance.settings import (
    STORAGE_PARTS,
    DaemonSettings,
    RunMonitoringSettings,
    Settings,
    effective_configuration,
    read_settings,
    sqlite_storage,
)


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
    assert "only one of sqlite, postgres and custom" in problems["storage"]


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
    assert shown["auth"] == {"token": "********", "tokens": [], "jwt": None}
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


# ------------------------------------------------------------------------------ values and sections


def durations() -> Iterator[str]:
    """The key path of each duration that a file can hold, by the fields of the models."""
    yield "run_launcher.config.stop_grace_seconds"
    yield "storage.sqlite.busy_timeout_seconds"
    for section, model in (("run_monitoring", RunMonitoringSettings), ("daemons", DaemonSettings)):
        for name in model.model_fields:
            if name.endswith("_seconds"):
                yield f"{section}.{name}"


def at(path: str, value: str) -> str:
    """A file with one value, and the class that the key path needs."""
    *sections, key = path.split(".")
    text = f"{key}: {value}"
    if sections[0] == "run_launcher":
        launcher = "module: runwire.launchers.subprocess, class: SubprocessRunLauncher"
        return f"run_launcher: {{{launcher}, config: {{{text}}}}}"
    for section in reversed(sections):
        text = f"{section}: {{{text}}}"
    return text


@pytest.mark.parametrize("path", list(durations()))
@pytest.mark.parametrize("value", ["1e300", "1.0e+300", "31622401", ".inf", ".nan", "-1", "true"])
def test_no_duration_is_without_bounds(tmp_path: Path, path: str, value: str) -> None:
    bound = "86400" if path.startswith("storage") else "31622400"
    problems = problems_of(tmp_path, at(path, value))
    assert list(problems) == [path]
    if value not in {".nan", "-1", "true"}:
        assert problems[path] == f"Input should be less than or equal to {bound}"


def test_the_longest_durations_are_taken(tmp_path: Path) -> None:
    (tmp_path / "runwire.yaml").write_text(
        "run_monitoring: {poll_interval_seconds: 31622400, max_runtime_seconds: null}\n"
        "storage: {sqlite: {busy_timeout_seconds: 86400}}"
    )
    settings, components, _ = read_settings(tmp_path)
    assert settings.run_monitoring.poll_interval_seconds == MAX_SECONDS
    assert settings.run_monitoring.max_runtime_seconds is None
    assert components["storage"].config_dict["busy_timeout_seconds"] == 86400


@pytest.mark.parametrize(
    "path",
    ["run_monitoring.max_resume_run_attempts", "server.port", "storage.sqlite.max_open_logs"],
)
@pytest.mark.parametrize("value", ["true", "false", "yes"])
def test_a_boolean_is_no_number(tmp_path: Path, path: str, value: str) -> None:
    assert problems_of(tmp_path, at(path, value)) == {path: "must be a number, not true or false"}


@pytest.mark.parametrize("key", sorted(set(Settings.model_fields) - {"name"}))
def test_an_empty_section_means_its_defaults(tmp_path: Path, key: str) -> None:
    defaults = read_settings(tmp_path)[:2]
    (tmp_path / "runwire.yaml").write_text(f"{key}:\n")
    assert read_settings(tmp_path)[:2] == defaults


@pytest.mark.parametrize("text", ["storage: {}", "storage: {sqlite: }", "storage: {custom: }"])
def test_a_storage_without_keys_is_sqlite(tmp_path: Path, text: str) -> None:
    _, defaults, _ = read_settings(tmp_path)
    (tmp_path / "runwire.yaml").write_text(text)
    settings, components, written = read_settings(tmp_path)
    assert components == defaults
    assert effective_configuration(settings, components, written)["storage"]["config"] == {
        "base_dir": str(tmp_path),
        "layout": "sharded",
        "busy_timeout_seconds": 30.0,
        "max_open_logs": 64,
    }


def test_sections_within_sections_may_be_empty_too(tmp_path: Path) -> None:
    (tmp_path / "runwire.yaml").write_text(
        "server: {allowed_hosts: , allowed_origins: }\n"
        "run_launcher: {module: runwire.launchers.subprocess, class: SubprocessRunLauncher,"
        " config: {environment: }}\n"
        "run_coordinator:\n"
        "  module: runwire.coordinators.default\n"
        "  class: DefaultRunCoordinator\n"
        "  config:\n"
    )
    settings, components, _ = read_settings(tmp_path)
    assert (settings.server.allowed_hosts, settings.server.allowed_origins) == ((), ())
    launcher = components["run_launcher"].info_dict()["config"]
    assert (launcher["environment"], launcher["stop_grace_seconds"]) == ({}, 10.0)
    assert components["run_coordinator"].config_dict == {}


@pytest.mark.parametrize("value", ["a text", "[a, list]", "7"])
def test_what_is_no_section_is_told_without_a_class_of_ours(tmp_path: Path, value: str) -> None:
    sections = sorted(set(Settings.model_fields) - {"name", "webhooks"})
    problems = problems_of(tmp_path, "\n".join(f"{key}: {value}" for key in sections))
    assert problems == dict.fromkeys(sections, "must be a mapping of keys to values")


def test_a_storage_may_be_in_postgres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG_PASSWORD", "hunter2")
    (tmp_path / "runwire.yaml").write_text(
        "storage: {postgres: {postgres_db: {username: u, password: {env: PG_PASSWORD},"
        " hostname: h, db_name: d}}}"
    )
    settings, components, written = read_settings(tmp_path)
    assert components["storage"].class_name == "PostgresStorage"
    shown = effective_configuration(settings, components, written)
    assert shown["storage"]["config"]["postgres_db"]["hostname"] == "h"
    assert "hunter2" not in str(shown)


def test_problems_of_a_storage_in_postgres_have_their_key_path(tmp_path: Path) -> None:
    text = "storage: {postgres: {postgres_url: 'postgresql://h/d', pool_size: 0}}"
    assert set(problems_of(tmp_path, text)) == {"storage.postgres.pool_size"}


def test_problems_of_a_storage_of_ones_own_have_their_key_path(tmp_path: Path) -> None:
    custom = "{module: runwire.storages.sqlite, class: SqliteStorage, config: {base_dri: x}}"
    assert set(problems_of(tmp_path, f"storage: {{custom: {custom}}}")) == {
        "storage.custom.config.base_dir",
        "storage.custom.config.base_dri",
    }


# ------------------------------------------------------------------------------ storages apart


def test_storages_that_are_named_apart_are_joined(tmp_path: Path) -> None:
    (tmp_path / "runwire.yaml").write_text(
        f"""
run_storage: {{postgres: {{postgres_url: 'postgresql://h/d'}}}}
event_log_storage:
  module: runwire.storages.sqlite
  class: SqliteStorage
  config: {{base_dir: {tmp_path / "logs"}, layout: consolidated}}
"""
    )
    _, components, _ = read_settings(tmp_path)
    storage = components["storage"]
    assert (storage.module_name, storage.class_name) == (
        "runwire.storages.composed",
        "ComposedStorage",
    )
    assert storage.config_dict == {
        "run_storage": {
            "module": "runwire.storages.postgres",
            "class": "PostgresStorage",
            "config": {"postgres_url": "postgresql://h/d"},
        },
        "event_log_storage": {
            "module": "runwire.storages.sqlite",
            "class": "SqliteStorage",
            "config": {"base_dir": str(tmp_path / "logs"), "layout": "consolidated"},
        },
        "schedule_storage": {
            "module": "runwire.storages.sqlite",
            "class": "SqliteStorage",
            "config": {"base_dir": str(tmp_path)},
        },
    }


@pytest.mark.parametrize("text", ["{}", "{sqlite: }", "{postgres: , sqlite: {}}"])
@pytest.mark.parametrize("key", STORAGE_PARTS)
def test_storages_that_are_not_named_are_in_the_home(tmp_path: Path, key: str, text: str) -> None:
    (tmp_path / "runwire.yaml").write_text(f"{key}: {text}")
    _, components, _ = read_settings(tmp_path)
    in_home = sqlite_storage(tmp_path, {}).to_dict()
    assert components["storage"].config_dict == dict.fromkeys(STORAGE_PARTS, in_home)


def test_a_storage_beside_one_of_its_parts_is_refused(tmp_path: Path) -> None:
    problems = problems_of(
        tmp_path,
        "storage: {sqlite: {}}\nrun_storage: {sqlite: {}}\nschedule_storage: {sqlite: {x: 1}}\n",
    )
    assert problems == {
        "storage": "must not stand beside run_storage and schedule_storage; write either storage, or"
        " run_storage, event_log_storage and schedule_storage",
        "schedule_storage.sqlite.x": "there is no such key; remove it or mend its name",
    }


@pytest.mark.parametrize(
    ("texts", "at", "together"),
    [
        (["run_storage: {sqlite: {layout: consolidated}}"], "run_storage", STORAGE_PARTS),
        (["schedule_storage: {sqlite: {max_open_logs: 3}}"], "schedule_storage", STORAGE_PARTS),
        (
            [
                "event_log_storage: {sqlite: {base_dir: {env: ELSEWHERE}}}",
                "schedule_storage: {sqlite: {base_dir: {env: ELSEWHERE}, layout: consolidated}}",
            ],
            "event_log_storage",
            STORAGE_PARTS[1:],
        ),
        (
            [
                "schedule_storage: {sqlite: {base_dir: {env: ELSEWHERE}}}",
                "event_log_storage: {sqlite: {base_dir: {env: SAME}}}",
            ],
            "event_log_storage",
            (STORAGE_PARTS[0], STORAGE_PARTS[1]),
        ),
    ],
)
def test_parts_that_name_one_folder_with_different_settings_are_refused_and_nothing_is_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    texts: list[str],
    at: str,
    together: tuple[str, ...],
) -> None:
    elsewhere = tmp_path / "x"
    elsewhere.mkdir()
    monkeypatch.setenv("ELSEWHERE", str(elsewhere))
    monkeypatch.setenv("SAME", str(elsewhere / ".."))
    folder = elsewhere if together == STORAGE_PARTS[1:] else tmp_path
    assert problems_of(tmp_path, "\n".join(texts)) == {
        at: f"{' and '.join(together)} name one folder, {folder}, with different settings; write"
        " them alike, or give each a base_dir of its own"
    }
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["runwire.yaml", "x"]


def test_parts_that_are_written_alike_may_name_one_folder(tmp_path: Path) -> None:
    part = f"{{sqlite: {{base_dir: {tmp_path}, layout: consolidated}}}}"
    (tmp_path / "runwire.yaml").write_text("\n".join(f"{key}: {part}" for key in STORAGE_PARTS))
    assert read_settings(tmp_path)[1]["storage"].class_name == "ComposedStorage"


def test_an_empty_storage_may_stand_beside_its_parts(tmp_path: Path) -> None:
    (tmp_path / "runwire.yaml").write_text(
        "storage:\nrun_storage: {sqlite: {base_dir: /x, layout: consolidated}}\n"
    )
    _, components, _ = read_settings(tmp_path)
    assert components["storage"].class_name == "ComposedStorage"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "{sqlite: {}, postgres: {postgres_url: 'postgresql://h/d'}}",
            {"run_storage": "name only one of sqlite, postgres, and module with class"},
        ),
        (
            "{sqlite: {}, module: a, class: b}",
            {"run_storage": "name only one of sqlite, postgres, and module with class"},
        ),
        ("{module: a}", {"run_storage": "module and class belong together; name both"}),
        ("{class: a}", {"run_storage": "module and class belong together; name both"}),
        (
            "{sqlite: {}, config: {base_dir: x}}",
            {
                "run_storage": "config goes with module and class; write the keys below sqlite or postgres"
            },
        ),
        (
            "{custom: {}}",
            {"run_storage.custom": "there is no such key; remove it or mend its name"},
        ),
        (
            "{sqlite: {layout: round, max_open_logs: 0}}",
            {
                "run_storage.sqlite.layout": "Input should be 'sharded' or 'consolidated'",
                "run_storage.sqlite.max_open_logs": "Input should be greater than or equal to 1",
            },
        ),
        (
            "{postgres: {postgres_url: 'mysql://u:hunter2@h/d'}}",
            {
                "run_storage.postgres": "postgres_url must be postgresql://user:password@host:port/database"
            },
        ),
        (
            "{module: runwire.storages.sqlite, class: SqliteStorage, config: {base_dir: x, y: 1}}",
            {"run_storage.config.y": "there is no such key; remove it or mend its name"},
        ),
        (
            "{module: runwire.launchers.default, class: DefaultRunLauncher}",
            {
                "run_storage.class": "runwire.launchers.default.DefaultRunLauncher is not a InstanceStorage;"
                " name one that is"
            },
        ),
        (
            "{module: runwire.no_such, class: X}",
            {
                "run_storage.module": "No module named 'runwire.no_such'; install it or mend the name"
            },
        ),
        (
            "{module: runwire.storages.sqlite, class: X}",
            {"run_storage.class": "module runwire.storages.sqlite has no class X; mend the name"},
        ),
        (
            "{module: runwire.storages.sqlite, class: SqliteStorage}",
            {"run_storage.config.base_dir": "a value is needed here"},
        ),
        ("7", {"run_storage": "must be a mapping of keys to values"}),
    ],
)
def test_problems_of_storages_apart_have_their_key_path(
    tmp_path: Path, text: str, problems: dict[str, str]
) -> None:
    assert problems_of(tmp_path, f"run_storage: {text}") == problems


def test_secrets_of_storages_apart_are_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2@h/d")
    monkeypatch.setenv("PLACE", str(tmp_path / "hunter3"))
    (tmp_path / "runwire.yaml").write_text(
        "run_storage: {postgres: {postgres_url: {env: DATABASE_URL}}}\n"
        "event_log_storage: {postgres: {postgres_url: 'postgresql://u:hunter4@h/logs'}}\n"
        "schedule_storage: {sqlite: {base_dir: {env: PLACE}}}\n"
    )
    settings, components, written = read_settings(tmp_path)
    shown = effective_configuration(settings, components, written)
    assert "hunter" not in json.dumps(shown)
    assert not shown.keys() & set(STORAGE_PARTS)
    parts = shown["storage"]["config"]
    assert parts["run_storage"]["config"]["postgres_url"] == {"env": "DATABASE_URL"}
    assert parts["event_log_storage"]["config"]["postgres_url"] == "********"
    assert parts["schedule_storage"]["config"]["base_dir"] == {"env": "PLACE"}


def test_a_variable_that_is_not_set_is_told_once_with_its_key_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOT_SET_ANYWHERE", raising=False)
    database = "{username: u, password: {env: NOT_SET_ANYWHERE}, hostname: h, db_name: d}"
    text = f"run_storage: {{postgres: {{postgres_db: {database}}}}}"
    problems = problems_of(tmp_path, text)
    assert list(problems) == ["run_storage.postgres.postgres_db.password"]


def test_a_class_that_is_named_by_a_variable_is_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAUNCHER_MODULE", "runwire.launchers.default")
    (tmp_path / "runwire.yaml").write_text(
        "run_launcher: {module: {env: LAUNCHER_MODULE}, class: DefaultRunLauncher}"
    )
    assert read_settings(tmp_path)[1]["run_launcher"].module_name == "runwire.launchers.default"


DIGEST = "ab" * 32


def test_named_tokens_are_read(tmp_path: Path) -> None:
    (tmp_path / "runwire.yaml").write_text(
        f"""
auth:
  tokens:
    - {{name: ci, sha256: {DIGEST}, role: operator, expires_at: 2027-01-15T08:00:00+00:00}}
    - {{name: eve, sha256: {"cd" * 32}}}
"""
    )
    settings, components, written = read_settings(tmp_path)
    ci, eve = settings.auth.tokens
    assert (ci.name, ci.sha256, ci.role) == ("ci", DIGEST, "operator")
    assert ci.expires_at == datetime(2027, 1, 15, 8, tzinfo=UTC)
    assert (eve.role, eve.expires_at) == ("viewer", None)
    json.dumps(effective_configuration(settings, components, written))


@pytest.mark.parametrize(
    ("token", "key"),
    [
        ({"sha256": DIGEST}, "auth.tokens.0.name"),
        ({"name": "ci"}, "auth.tokens.0.sha256"),
        ({"name": "ci", "sha256": "the-token-itself"}, "auth.tokens.0.sha256"),
        ({"name": "ci", "sha256": DIGEST, "role": "root"}, "auth.tokens.0.role"),
        ({"name": "ci", "sha256": DIGEST, "expires_at": "2027-01-15"}, "auth.tokens.0.expires_at"),
        ({"name": "ci", "sha256": DIGEST, "expires": "never"}, "auth.tokens.0.expires"),
    ],
)
def test_a_named_token_that_is_none_is_refused(
    tmp_path: Path, token: dict[str, str], key: str
) -> None:
    problems = problems_of(tmp_path, json.dumps({"auth": {"tokens": [token]}}))
    assert list(problems) == [key]


@pytest.mark.parametrize(
    ("names", "digests", "problem"),
    [
        (["ci", "ci"], [DIGEST, "cd" * 32], "tokens have the name 'ci' twice"),
        (["a", "b"], [DIGEST, DIGEST], f"tokens have the sha256 '{DIGEST}' twice"),
    ],
)
def test_named_tokens_differ(
    tmp_path: Path, names: list[str], digests: list[str], problem: str
) -> None:
    tokens = [{"name": n, "sha256": d} for n, d in zip(names, digests, strict=True)]
    problems = problems_of(tmp_path, json.dumps({"auth": {"tokens": tokens}}))
    assert problem in problems["auth"]
