"""`runwire.yaml`: its shape, and reading it so that everything wrong is told at once, with its key path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from runwire.config import (
    AlsoTakes,
    ConfigurableClass,
    ConfigurableClassData,
    PositiveSeconds,
    Section,
    WholeNumber,
    pydantic_problems,
    redacted,
    resolve_env,
)
from runwire.config.yaml_file import read_yaml, with_env
from runwire.coordinator import RunCoordinator
from runwire.errors import ConfigProblem, InvalidConfigurationError
from runwire.instance.jwt_settings import JwtSettings
from runwire.instance.limits import Limits
from runwire.instance.local_artifact_storage import LocalArtifactStorage
from runwire.instance.retention import RetentionSettings
from runwire.instance.webhook_settings import MAX_WEBHOOKS, WebhookSettings, check_webhooks
from runwire.launcher import RunLauncher
from runwire.runs.pools import MAX_POOL_LIMIT
from runwire.scheduler import Scheduler
from runwire.storage.instance_storage import InstanceStorage

CONFIG_FILENAME = "runwire.yaml"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class ComponentSettings(_Strict):
    """A component: where its class is, and its config."""

    module: str
    class_name: str = Field(alias="class")
    config: Section[dict[str, Any]] = {}


class StorageSettings(_Strict):
    """Where runs and events are kept: one of the keys at most, SQLite without any."""

    sqlite: dict[str, Any] | None = None
    postgres: dict[str, Any] | None = None
    custom: ComponentSettings | None = None

    @model_validator(mode="after")
    def _at_most_one(self) -> StorageSettings:
        if sum(each is not None for each in (self.sqlite, self.postgres, self.custom)) > 1:
            raise ValueError("name only one of sqlite, postgres and custom")
        return self


class StoragePartSettings(_Strict):
    """Where runs, event logs or schedules are kept apart: ``sqlite``, ``postgres``, or ``module`` and ``class``."""

    sqlite: dict[str, Any] | None = None
    postgres: dict[str, Any] | None = None
    module: str | None = None
    class_name: str | None = Field(default=None, alias="class")
    config: Section[dict[str, Any]] = {}

    @model_validator(mode="after")
    def _exactly_one(self) -> StoragePartSettings:
        named = (self.sqlite, self.postgres, self.module or self.class_name)
        if sum(each is not None for each in named) > 1:
            raise ValueError("name only one of sqlite, postgres, and module with class")
        if (self.module is None) is not (self.class_name is None):
            raise ValueError("module and class belong together; name both")
        if self.config and self.module is None:
            raise ValueError(
                "config goes with module and class; write the keys below sqlite or postgres"
            )
        return self


def _off(value: object) -> object:
    """YAML reads an unquoted ``off`` as false."""
    return "off" if value is False else value


def _on_off(value: object) -> object:
    """YAML reads an unquoted ``on`` as true, and ``off`` as false."""
    return "on" if value is True else _off(value)


_TAKES_OFF = AlsoTakes({"enum": [False]})
_TAKES_ON_OFF = AlsoTakes({"enum": [True, False]})


class TlsSettings(_Strict):
    """What the server encrypts connections with: files as PEM. Without `key`, it is in the file of the certificate."""

    certificate: Path
    key: Path | None = None
    key_password: SecretStr | None = None


class ServerSettings(_Strict):
    """Where the server listens, and whom it answers.

    `allowed_hosts` are values of the Host header that are answered besides those of the address it listens
    on; `allowed_origins` are origins of web pages, such as ``https://example.org``, that may call it.
    `metrics` says who may see `/metrics`: nobody, who may read, or anybody. Told to stop, it is not ready for
    `drain_seconds` before it stops to accept connections, then finishes answers for `shutdown_seconds` at most.
    `documents` says whether documents are taken by id, and others refused; beside those of runwire, those in
    `documents_folder` are known. `introspection` says who may ask for the schema: everybody, nobody, or admins.
    `legacy_graphql_ws` lets websockets speak the subprotocol graphql-ws too, which its makers gave up.
    With several workers, each listens on a port of its own as well, `worker_ports_from` being the first one's.
    """

    host: str = "127.0.0.1"
    port: WholeNumber = Field(default=3333, ge=0, le=65535)
    allowed_hosts: Section[tuple[str, ...]] = ()
    allowed_origins: Section[tuple[str, ...]] = ()
    metrics: Annotated[Literal["off", "protected", "open"], BeforeValidator(_off), _TAKES_OFF] = (
        "protected"
    )
    drain_seconds: WholeNumber = Field(default=0, ge=0, le=3600)
    shutdown_seconds: WholeNumber = Field(default=5, ge=1, le=3600)
    tls: TlsSettings | None = None
    worker_ports_from: WholeNumber | None = Field(default=None, ge=1, le=65535)
    limits: Section[Limits] = Limits()
    documents: Annotated[Literal["off", "prefer", "only"], BeforeValidator(_off), _TAKES_OFF] = (
        "off"
    )
    documents_folder: Path | None = None
    introspection: Annotated[
        Literal["on", "off", "admin"], BeforeValidator(_on_off), _TAKES_ON_OFF
    ] = "on"
    legacy_graphql_ws: bool = False


def _check_token(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if not (len(text) >= 16 and text.isascii() and text.isprintable()):
        raise ValueError("a token has at least 16 characters, all of them printable ASCII")
    if text != text.strip():
        raise ValueError("a token neither begins nor ends with a blank")
    return token


Token = Annotated[SecretStr, AfterValidator(_check_token)]
"""What callers present; it fits into a header."""


class NamedTokenSettings(_Strict):
    """A token that is not kept here but by its hash; ``runwire token create`` makes one.

    Attributes:
        name: what its holder is called.
        sha256: the SHA-256 of the token, in hexadecimal digits.
        role: what its holder may do.
        expires_at: when it ends, with a time zone; None when it does not.
    """

    name: str = Field(min_length=1, max_length=100)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    role: Literal["viewer", "operator", "admin"] = "viewer"
    expires_at: AwareDatetime | None = None


class AuthSettings(_Strict):
    """Who may call the server: whoever presents one of the tokens, or one that `jwt` accepts. Demanded off loopback."""

    token: Token | None = None
    tokens: Section[tuple[NamedTokenSettings, ...]] = ()
    jwt: JwtSettings | None = None

    @model_validator(mode="after")
    def _differ(self) -> AuthSettings:
        for what, values in (
            ("name", [each.name for each in self.tokens]),
            ("sha256", [each.sha256 for each in self.tokens]),
        ):
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"tokens have the {what} {twice[0]!r} twice; each has its own")
        return self


class RunRetriesSettings(_Strict):
    """Which runs are run again that fail; tags of a run say otherwise.

    Attributes:
        enabled: whether the run retries daemon works.
        max_retries: how often, unless the tag `runwire/max_retries` says otherwise.
        retry_on_asset_or_op_failure: whether those are whose steps failed, not only those that failed by other causes,
            such as a lost worker.
    """

    enabled: bool = False
    max_retries: WholeNumber = Field(default=0, ge=0, le=1000)
    retry_on_asset_or_op_failure: bool = True


class BackfillSettings(_Strict):
    """Whether backfills are worked on.

    Attributes:
        enabled: whether the backfills daemon works.
    """

    enabled: bool = True


class SensorSettings(_Strict):
    """Whether sensors are called.

    Attributes:
        enabled: whether the sensors daemon works.
    """

    enabled: bool = True


class PoolSettings(_Strict):
    """How concurrency pools limit steps.

    Attributes:
        default_limit: how many slots a pool has whose limit was not set; None for any number.
    """

    default_limit: WholeNumber | None = Field(default=None, ge=0, le=MAX_POOL_LIMIT)


class RunMonitoringSettings(_Strict):
    """What is done about runs whose worker is gone or too slow.

    Attributes:
        enabled: whether the monitoring daemon works.
        poll_interval_seconds: how often it looks.
        start_timeout_seconds: for how long a run may be STARTING; after it, it fails and its worker is stopped.
        cancel_timeout_seconds: for how long a run may be CANCELING; after it, its worker is killed.
        max_runtime_seconds: for how long a run may be STARTED, unless its tag `runwire/max_runtime_seconds`
            says otherwise; None for ever.
        not_started_timeout_seconds: for how long a run may be NOT_STARTED; None for ever, because `createRun`
            leaves runs so on purpose.
        max_resume_run_attempts: how often a run is resumed whose worker is lost, before it fails.
        cancellation_thread_poll_interval_seconds: how often a worker looks at the status and epoch of its run.
    """

    enabled: bool = True
    poll_interval_seconds: PositiveSeconds = 0.5
    start_timeout_seconds: PositiveSeconds = 60.0
    cancel_timeout_seconds: PositiveSeconds = 20.0
    max_runtime_seconds: PositiveSeconds | None = None
    not_started_timeout_seconds: PositiveSeconds | None = None
    max_resume_run_attempts: WholeNumber = Field(default=0, ge=0, le=1000)
    cancellation_thread_poll_interval_seconds: PositiveSeconds = 1.0

    @property
    def automatic_resumes(self) -> int:
        """How often a run is resumed that nobody asks to resume: never without monitoring."""
        return self.max_resume_run_attempts if self.enabled else 0


class DaemonSettings(_Strict):
    """How daemons tell that they live.

    Attributes:
        heartbeat_interval_seconds: how often they beat, whatever their work does.
        heartbeat_tolerance_seconds: how old the last heartbeat of a daemon that works may be.
        stuck_after_seconds: how long one iteration of a daemon may take until it counts as stuck.
        lease_seconds: how long a daemon's lease lasts unless it is renewed, which happens with each
            heartbeat; after it another process may take over.
    """

    heartbeat_interval_seconds: PositiveSeconds = 3.0
    heartbeat_tolerance_seconds: PositiveSeconds = 15.0
    stuck_after_seconds: PositiveSeconds = 60.0
    lease_seconds: PositiveSeconds = 10.0

    @model_validator(mode="after")
    def _beats_in_time(self) -> DaemonSettings:
        for name in ("lease_seconds", "heartbeat_tolerance_seconds"):
            if getattr(self, name) < 2 * self.heartbeat_interval_seconds:
                raise ValueError(f"{name} must be at least twice heartbeat_interval_seconds")
        return self


class LoggingSettings(_Strict):
    """What servers and daemons log, and how.

    Attributes:
        format: lines of text, or of JSON.
        level: the lowest level that is logged; at `info`, a line for each operation.
    """

    format: Literal["text", "json"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "warning"


class TracingSettings(_Strict):
    """Whether operations are traced by OpenTelemetry, which its own environment variables set up."""

    enabled: bool = False


class Settings(_Strict):
    """The whole of `runwire.yaml`. Every key may be left out."""

    name: str = Field(default="runwire", min_length=1, max_length=100)
    local_artifact_storage: ComponentSettings | None = None
    storage: Section[StorageSettings] = StorageSettings()
    run_storage: StoragePartSettings | None = None
    event_log_storage: StoragePartSettings | None = None
    schedule_storage: StoragePartSettings | None = None
    run_launcher: ComponentSettings | None = None
    run_coordinator: ComponentSettings | None = None
    scheduler: ComponentSettings | None = None
    run_monitoring: Section[RunMonitoringSettings] = RunMonitoringSettings()
    run_retries: Section[RunRetriesSettings] = RunRetriesSettings()
    backfills: Section[BackfillSettings] = BackfillSettings()
    sensors: Section[SensorSettings] = SensorSettings()
    pools: Section[PoolSettings] = PoolSettings()
    retention: Section[RetentionSettings] = RetentionSettings()
    daemons: Section[DaemonSettings] = DaemonSettings()
    server: Section[ServerSettings] = ServerSettings()
    auth: Section[AuthSettings] = AuthSettings()
    logging: Section[LoggingSettings] = LoggingSettings()
    tracing: Section[TracingSettings] = TracingSettings()
    webhooks: Annotated[
        Section[tuple[WebhookSettings, ...]],
        AfterValidator(check_webhooks),
        Field(max_length=MAX_WEBHOOKS),
    ] = ()


COMPONENT_KINDS: dict[str, type[ConfigurableClass]] = {
    "local_artifact_storage": LocalArtifactStorage,
    "storage": InstanceStorage,
    "run_launcher": RunLauncher,
    "run_coordinator": RunCoordinator,
    "scheduler": Scheduler,
}
"""What the component under each key must be."""


STORAGE_PARTS = ("run_storage", "event_log_storage", "schedule_storage")
"""The keys that name the parts of a storage apart, instead of `storage`."""


def default_components(home: Path) -> dict[str, ConfigurableClassData]:
    """The components of an instance whose file names none."""
    base = {"base_dir": str(home)}
    return {
        "local_artifact_storage": ConfigurableClassData(
            "runwire.instance.local_artifact_storage", "LocalArtifactStorage", base
        ),
        "storage": sqlite_storage(home, {}),
        "run_launcher": ConfigurableClassData("runwire.launchers.default", "DefaultRunLauncher"),
        "run_coordinator": ConfigurableClassData(
            "runwire.coordinators.default", "DefaultRunCoordinator"
        ),
        "scheduler": ConfigurableClassData("runwire.schedulers.daemon", "DaemonScheduler"),
    }


def sqlite_storage(home: Path, config: Mapping[str, Any]) -> ConfigurableClassData:
    """SQLite below the home, unless the config says elsewhere."""
    return ConfigurableClassData(
        "runwire.storages.sqlite", "SqliteStorage", {"base_dir": str(home), **config}
    )


def postgres_storage(config: Mapping[str, Any]) -> ConfigurableClassData:
    """A PostgreSQL database."""
    return ConfigurableClassData("runwire.storages.postgres", "PostgresStorage", dict(config))


def composed_storage(parts: Mapping[str, ConfigurableClassData]) -> ConfigurableClassData:
    """Storages by the keys of `STORAGE_PARTS`, joined."""
    config = {key: part.to_dict() for key, part in parts.items()}
    return ConfigurableClassData("runwire.storages.composed", "ComposedStorage", config)


def read_settings(
    home: Path,
) -> tuple[Settings, dict[str, ConfigurableClassData], Mapping[str, Any]]:
    """Reads `<home>/runwire.yaml`; a file that is missing or empty means defaults.

    Returns:
        The settings with `env:` looked up, the components by key as written, and the file as written.

    Raises:
        InvalidConfigurationError: the file is not valid; carries every problem with its key path.
    """
    source = home / CONFIG_FILENAME
    try:
        written = read_yaml(source)
    except FileNotFoundError:
        written = {}
    values, problems = with_env(written, source)
    settings = Settings()
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        unset = {problem.path for problem in problems}
        problems += [p for p in pydantic_problems(error) if p.path not in unset]
    components = default_components(home)
    for key in COMPONENT_KINDS:
        if isinstance(written.get(key), Mapping) and not _below(problems, key):
            components[key] = _component(home, key, written[key])
            problems += _component_problems(key, written[key], components[key])
    named = [key for key in STORAGE_PARTS if isinstance(written.get(key), Mapping)]
    if named:
        problems += _part_problems(home, written, named, problems)
        if not problems:
            components["storage"] = _composed(home, written)
    if problems:
        raise InvalidConfigurationError(str(source), problems)
    return settings, components, written


def _component(home: Path, key: str, written: Mapping[str, Any]) -> ConfigurableClassData:
    """The component as written; its module and class looked up, its config not."""
    if key in ("storage", *STORAGE_PARTS) and "module" not in written:
        return _storage(home, written)
    return _custom(written)


def _storage(home: Path, written: Mapping[str, Any]) -> ConfigurableClassData:
    if written.get("postgres") is not None:
        return postgres_storage(written["postgres"])
    if written.get("custom") is not None:
        return _custom(written["custom"])
    return sqlite_storage(home, written.get("sqlite") or {})


def _custom(written: Mapping[str, Any]) -> ConfigurableClassData:
    values, _ = resolve_env({key: written[key] for key in ("module", "class")})
    return ConfigurableClassData(values["module"], values["class"], written.get("config") or {})


def _composed(home: Path, written: Mapping[str, Any]) -> ConfigurableClassData:
    return composed_storage(
        {key: _component(home, key, written.get(key) or {}) for key in STORAGE_PARTS}
    )


def _part_problems(
    home: Path, written: Mapping[str, Any], named: Sequence[str], known: list[ConfigProblem]
) -> list[ConfigProblem]:
    """What is wrong with the parts of a storage that are named apart."""
    problems = []
    if isinstance(written.get("storage"), Mapping):
        problems.append(
            ConfigProblem(
                ("storage",),
                f"must not stand beside {' and '.join(named)}; write either storage, or"
                f" {', '.join(STORAGE_PARTS[:-1])} and {STORAGE_PARTS[-1]}",
                "conflict",
            )
        )
    for key in named:
        if not _below(known, key):
            data = _component(home, key, written[key])
            problems += _component_problems(key, written[key], data)
    return problems or known or _shared_folders(home, written)


def _shared_folders(home: Path, written: Mapping[str, Any]) -> list[ConfigProblem]:
    """Refuses parts, each valid, that name one folder with different settings."""
    found: dict[tuple[str, Path], list[tuple[str, BaseModel]]] = {}
    for key in STORAGE_PARTS:
        data = _component(home, key, written.get(key) or {})
        config = data.validated(data.load_class(InstanceStorage))
        base_dir = getattr(config, "base_dir", None)
        if base_dir is not None:
            place = data.class_name, Path(base_dir).resolve()
            found.setdefault(place, []).append((key, config))
    return [
        ConfigProblem(
            (next(key for key, _ in parts if written.get(key)),),
            f"{' and '.join(key for key, _ in parts)} name one folder, {folder}, with different"
            " settings; write them alike, or give each a base_dir of its own",
            "conflict",
        )
        for (_, folder), parts in found.items()
        if any(config != parts[0][1] for _, config in parts)
    ]


def _component_problems(
    key: str, written: Mapping[str, Any], data: ConfigurableClassData
) -> list[ConfigProblem]:
    try:
        data.validated(data.load_class(COMPONENT_KINDS.get(key, InstanceStorage)))
    except InvalidConfigurationError as error:
        return [p._replace(path=_path(key, written, p.path)) for p in error.problems]
    return []


def _path(key: str, written: Mapping[str, Any], path: tuple[str, ...]) -> tuple[str, ...]:
    """Where in the file that is which a component names by a path of its own."""
    if key not in ("storage", *STORAGE_PARTS) or "module" in written:
        return (key, *path)
    if written.get("custom") is not None:
        return (key, "custom", *path)
    return (key, "sqlite" if written.get("postgres") is None else "postgres", *path[1:])


def _below(problems: list[ConfigProblem], key: str) -> bool:
    return any(problem.path[:1] == (key,) for problem in problems)


def effective_configuration(
    settings: Settings, components: Mapping[str, ConfigurableClassData], written: Mapping[str, Any]
) -> dict[str, Any]:
    """The configuration with defaults filled in and secrets redacted, as JSON-able values."""
    shown = redacted(settings, written)
    for key in STORAGE_PARTS:
        del shown[key]  # `storage` shows what they amount to
    return {**shown, **{key: data.info_dict() for key, data in components.items()}}
