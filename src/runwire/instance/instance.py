"""The instance: the composition root, and the only writer of run state."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from runwire import clock, control
from runwire.config import ConfigurableClassData
from runwire.control import (
    NewBackfill,
    NewRun,
    Reexecution,
    ScheduleRecord,
    ScheduleSelector,
    SensorRecord,
    SensorSelector,
    TerminatePolicy,
)
from runwire.control.queue_view import QueueView
from runwire.coordinator import RunCoordinator
from runwire.error_info import ErrorInfo
from runwire.errors import (
    ConfigProblem,
    HomeInvalidError,
    InvalidConfigurationError,
    WebhookNotFoundError,
)
from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.payloads import EngineEventData
from runwire.events.types import EventType, LogLevel
from runwire.instance.home import checked_home
from runwire.instance.local_artifact_storage import LocalArtifactStorage
from runwire.instance.ref import InstanceRef
from runwire.instance.settings import (
    CONFIG_FILENAME,
    Settings,
    default_components,
    effective_configuration,
    read_settings,
)
from runwire.instance.webhook_settings import WebhookSettings
from runwire.launcher import RunLauncher
from runwire.runs.queueing import QueueSettings
from runwire.runs.run import RunRecord
from runwire.runs.status import ALLOWED_STATUSES, RunAction, RunStatus
from runwire.scheduler import Scheduler
from runwire.storage.backfill_storage import Backfill
from runwire.storage.instance_storage import InstanceStorage
from runwire.storage.run_storage import DaemonHeartbeat
from runwire.storage.webhook_storage import WebhookState
from runwire.workspace import Workspace

HOME_VARIABLE = "RUNWIRE_HOME"

_MEMORY_STORAGE = ConfigurableClassData("runwire.storages.memory", "MemoryStorage")


class Instance:
    """Storage, launcher, coordinator and settings, held together. Thread-safe.

    Its methods raise the errors of the actions in `runwire.control`.

    Attributes:
        ref: how another process opens it.
        settings: what `runwire.yaml` says, `env:` looked up.
        storage: keeps runs and events.
        run_launcher: starts and stops workers.
        run_coordinator: takes submitted runs.
        scheduler: starts and stops schedules.
        local_artifact_storage: names local folders.

    Raises:
        InvalidConfigurationError: lost runs are to be resumed, by a launcher that cannot.
    """

    def __init__(
        self,
        ref: InstanceRef,
        settings: Settings,
        written: Mapping[str, Any],
        *,
        persistent: bool = True,
    ) -> None:
        self.ref = ref
        self.settings = settings
        self.is_persistent = persistent
        self._written = written
        self.run_launcher = ref.run_launcher.rehydrate(RunLauncher)
        _check_resumable(ref, settings, self.run_launcher)
        self.storage = ref.storage.rehydrate(InstanceStorage)
        self.run_coordinator = ref.run_coordinator.rehydrate(RunCoordinator)
        self.scheduler = ref.scheduler.rehydrate(Scheduler)
        self.local_artifact_storage = ref.local_artifact_storage.rehydrate(LocalArtifactStorage)

    # ------------------------------------------------------------ creation and disposal

    @classmethod
    def get(cls) -> Self:
        """The instance whose home the environment variable RUNWIRE_HOME names.

        Raises:
            HomeInvalidError: it is not set, not absolute, or not a folder that can be written.
            InvalidConfigurationError: its `runwire.yaml` is not valid.
        """
        value = os.environ.get(HOME_VARIABLE)
        if not value:
            raise HomeInvalidError(
                f"{HOME_VARIABLE} is not set; set it to the folder that keeps the instance's data,"
                " such as ~/runwire"
            )
        home = Path(value).expanduser()
        if not home.is_absolute():
            raise HomeInvalidError(f"{HOME_VARIABLE} is {value!r}; it must be an absolute path")
        return cls.from_home(home)

    @classmethod
    def from_home(cls, home: Path) -> Self:
        """The instance of a home folder, which must exist; a `runwire.yaml` in it is optional.

        Raises:
            HomeInvalidError: the home is not a folder that can be written.
            InvalidConfigurationError: its `runwire.yaml` is not valid.
        """
        home = checked_home(home)
        settings, components, written = read_settings(home)
        return cls(InstanceRef.of(settings, home, components), settings, written)

    @classmethod
    def from_ref(cls, ref: InstanceRef) -> Self:
        """The instance of a recipe. Of its settings, those that the recipe does not carry are defaults."""
        return cls(
            ref, Settings(name=ref.name, run_monitoring=ref.run_monitoring, pools=ref.pools), {}
        )

    @classmethod
    def ephemeral(cls, home: Path | None = None) -> Self:
        """An instance in memory, for tests; no other process can open it."""
        place = home or Path(tempfile.mkdtemp(prefix="runwire-"))
        components = {**default_components(place), "storage": _MEMORY_STORAGE}
        settings = Settings(name="ephemeral")
        return cls(InstanceRef.of(settings, place, components), settings, {}, persistent=False)

    def get_ref(self) -> InstanceRef:
        """How another process opens this instance.

        Raises:
            HomeInvalidError: the instance is in memory.
        """
        if not self.is_persistent:
            raise HomeInvalidError(
                f"an instance in memory cannot be opened by other processes; set {HOME_VARIABLE}"
            )
        return self.ref

    def dispose(self) -> None:
        """Frees what its components hold. Harmless when called twice."""
        self.scheduler.dispose()
        self.run_coordinator.dispose()
        self.run_launcher.dispose()
        self.storage.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.dispose()

    # ------------------------------------------------------------ what it is

    @property
    def name(self) -> str:
        """The name of the instance."""
        return self.ref.name

    @property
    def root_directory(self) -> Path:
        """The home folder."""
        return Path(self.ref.home)

    @property
    def should_start_background_run_thread(self) -> bool:
        """Whether a run worker watches the status and epoch of its run beside its work."""
        return self.is_persistent and self.settings.run_monitoring.enabled

    def info_dict(self) -> dict[str, Any]:
        """The effective configuration with defaults filled in and secrets redacted."""
        components = {
            "local_artifact_storage": self.ref.local_artifact_storage,
            "storage": self.ref.storage,
            "run_launcher": self.ref.run_launcher,
            "run_coordinator": self.ref.run_coordinator,
            "scheduler": self.ref.scheduler,
        }
        return effective_configuration(self.settings, components, self._written)

    # ------------------------------------------------------------ runs

    @cached_property
    def queue(self) -> QueueView:
        """What the queue holds, and what each run there waits for."""
        settings = self.run_coordinator.queue or QueueSettings(max_concurrent_runs=None)
        return QueueView(self.storage, settings)

    def get_run_by_id(self, run_id: str) -> RunRecord | None:
        """A run; None when there is none."""
        return self.storage.run_storage.find_run_record(run_id)

    def create_run(self, new_run: NewRun, workspace: Workspace) -> tuple[RunRecord, bool]:
        """Makes a run; returns it, and whether this call made it."""
        return control.create_run(self.storage, workspace, new_run)

    def submit_run(self, run_id: str, workspace: Workspace) -> RunRecord:
        """Hands a run to the coordinator."""
        return control.submit_run(
            self.storage,
            self.run_coordinator,
            workspace,
            run_id,
            partial(self.launch_run, run_id, workspace),
        )

    def reexecute_run(self, wanted: Reexecution, workspace: Workspace) -> tuple[RunRecord, bool]:
        """Makes a run of steps of a run that has ended, and submits it; tells whether this call made it."""
        return control.reexecute_run(
            self.storage,
            workspace,
            wanted,
            self.local_artifact_storage.has_output,
            partial(self.submit_run, workspace=workspace),
        )

    def launch_run(self, run_id: str, workspace: Workspace) -> RunRecord:
        """Hands a run to the launcher."""
        return control.launch_run(
            self.storage, self.run_launcher, workspace, self.get_ref().to_dict(), run_id
        )

    def resume_run(
        self, run_id: str, workspace: Workspace, attempt_number: int | None = None
    ) -> RunRecord:
        """Hands a run in progress to a new worker; the one that it has is fenced."""
        return control.resume_run(
            self.storage,
            self.run_launcher,
            workspace,
            self.get_ref().to_dict(),
            run_id,
            attempt_number,
            start_timeout_seconds=self.settings.run_monitoring.start_timeout_seconds,
        )

    def terminate_run(
        self,
        run_id: str,
        workspace: Workspace,
        policy: TerminatePolicy = TerminatePolicy.SAFE_TERMINATE,
        known: RunRecord | None = None,
    ) -> RunRecord:
        """Stops a run that has not ended; see `control.terminate_run`."""
        return control.terminate_run(
            self.storage, self.run_launcher, workspace, self.ref.to_dict(), run_id, policy, known
        )

    def delete_run(
        self,
        run_id: str,
        workspace: Workspace,
        *,
        force: bool = False,
        require: Collection[RunStatus] = ALLOWED_STATUSES[RunAction.DELETE],
    ) -> RunRecord:
        """Deletes a run with its events and files; returns it as it was."""
        return control.delete_run(
            self.storage,
            self.run_launcher,
            workspace,
            self.ref.to_dict(),
            run_id,
            force=force,
            delete_files=self.local_artifact_storage.delete_run_files,
            require=require,
        )

    def add_run_tags(self, run_id: str, tags: Sequence[tuple[str, str]]) -> RunRecord:
        """Adds tags to a run."""
        return control.add_run_tags(self.storage, run_id, tags)

    # ------------------------------------------------------------ schedules

    def start_schedule(self, selector: ScheduleSelector, workspace: Workspace) -> ScheduleRecord:
        """Starts a schedule."""
        return control.start_schedule(
            self.storage.schedule_storage,
            self.scheduler,
            workspace,
            selector,
            at=self.storage.run_storage.now(),
        )

    def stop_schedule(self, selector: ScheduleSelector, workspace: Workspace) -> ScheduleRecord:
        """Stops a schedule."""
        return control.stop_schedule(
            self.storage.schedule_storage,
            self.scheduler,
            workspace,
            selector,
            at=self.storage.run_storage.now(),
        )

    # ------------------------------------------------------------ sensors

    def start_sensor(self, selector: SensorSelector, workspace: Workspace) -> SensorRecord:
        """Starts a sensor."""
        now = self.storage.run_storage.now()
        return control.start_sensor(self.storage, workspace, selector, at=now)

    def stop_sensor(self, selector: SensorSelector, workspace: Workspace) -> SensorRecord:
        """Stops a sensor."""
        now = self.storage.run_storage.now()
        return control.stop_sensor(self.storage, workspace, selector, at=now)

    def set_sensor_cursor(
        self, selector: SensorSelector, cursor: str | None, workspace: Workspace
    ) -> SensorRecord:
        """Sets the cursor of a sensor."""
        now = self.storage.run_storage.now()
        return control.set_sensor_cursor(self.storage, workspace, selector, cursor, at=now)

    # ------------------------------------------------------------ backfills

    def create_backfill(
        self, new_backfill: NewBackfill, workspace: Workspace
    ) -> tuple[Backfill, bool]:
        """Makes a backfill, which a daemon works on; returns it, and whether this call made it."""
        return control.create_backfill(self.storage, workspace, new_backfill, clock.timestamp())

    def cancel_backfill(self, backfill_id: str, *, terminate_runs: bool = False) -> Backfill:
        """Has a backfill end."""
        return control.cancel_backfill(self.storage, backfill_id, terminate_runs=terminate_runs)

    def resume_backfill(self, backfill_id: str) -> Backfill:
        """Has a backfill that has ended submit again what did not succeed."""
        return control.resume_backfill(self.storage, backfill_id)

    # ------------------------------------------------------------ events

    def report_events(
        self,
        run_id: str,
        entries: Sequence[EventLogEntry],
        idempotency_key: str | None = None,
    ) -> list[EventLogRecord]:
        """Appends what an external system reports to a MANAGED run, all or none."""
        return control.report_events(self.storage, run_id, entries, idempotency_key)

    def report_event(self, entry: EventLogEntry, *, epoch: int | None = None) -> EventLogRecord:
        """Stores one event: the only way to change a status.

        A run event that does not apply in the run's status is kept with ``applied = False``.
        """
        return self.storage.store_events(entry.run_id, [entry], epoch=epoch)[0]

    def report_engine_event(
        self,
        message: str,
        run_id: str,
        *,
        data: EngineEventData | None = None,
        error: ErrorInfo | None = None,
        step_key: str | None = None,
        cls: type | None = None,
        epoch: int | None = None,
    ) -> EventLogRecord:
        """Stores an ENGINE_EVENT: what the engine does, prefixed with the class that does it."""
        entry = EventLogEntry(
            run_id=run_id,
            event_type=EventType.ENGINE_EVENT,
            message=message if cls is None else f"[{cls.__name__}] {message}",
            level=LogLevel.INFO if error is None else LogLevel.ERROR,
            step_key=step_key,
            error=error,
            data=data,
        )
        return self.report_event(entry, epoch=epoch)

    # ------------------------------------------------------------ webhooks

    def get_webhook_settings(self, name: str) -> WebhookSettings:
        """The configuration of a webhook.

        Raises:
            WebhookNotFoundError: there is none of the name.
        """
        for each in self.settings.webhooks:
            if each.name == name:
                return each
        raise WebhookNotFoundError(name, [each.name for each in self.settings.webhooks])

    def pause_webhook(self, name: str) -> WebhookState:
        """Has nothing be sent to a webhook any more; raises WebhookNotFoundError as the next two."""
        self.get_webhook_settings(name)
        return control.pause_webhook(self.storage, name, clock.timestamp())

    def resume_webhook(self, name: str) -> WebhookState:
        """Has a webhook be delivered to again, from where it was."""
        self.get_webhook_settings(name)
        return control.resume_webhook(self.storage, name, clock.timestamp())

    def redeliver_webhook(
        self, name: str, event_ids: Collection[str] | None = None
    ) -> tuple[WebhookState, int]:
        """Has dead letters of a webhook, all or those of some events, be sent again; tells how many."""
        self.get_webhook_settings(name)
        return control.redeliver_webhook(self.storage, name, clock.timestamp(), event_ids)

    # ------------------------------------------------------------ daemons

    def add_daemon_heartbeat(self, heartbeat: DaemonHeartbeat) -> None:
        """Keeps the latest heartbeat of a daemon type."""
        self.storage.run_storage.add_daemon_heartbeat(heartbeat)

    def get_daemon_heartbeats(self) -> dict[str, DaemonHeartbeat]:
        """The latest heartbeat by daemon type."""
        return self.storage.run_storage.get_daemon_heartbeats()


def _check_resumable(ref: InstanceRef, settings: Settings, launcher: RunLauncher) -> None:
    """Refuses to resume lost runs by a launcher that cannot."""
    if settings.run_monitoring.max_resume_run_attempts == 0 or launcher.supports_resume_run:
        return
    name = type(launcher).__name__
    attempts = ConfigProblem(
        ("run_monitoring", "max_resume_run_attempts"),
        f"must be 0, because run_launcher is a {name}, which cannot resume runs",
        "unsupported",
    )
    unable = ConfigProblem(
        ("run_launcher",),
        f"{name} cannot resume runs; name another, or set run_monitoring.max_resume_run_attempts to 0",
        "unsupported",
    )
    raise InvalidConfigurationError(str(Path(ref.home) / CONFIG_FILENAME), [attempts, unable])
