"""Running the daemons of an instance, and looking whether they run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from runwire import __version__, clock
from runwire.cli.code_locations import open_workspace
from runwire.cli.logs import configure_logging
from runwire.config import ConfigurableClassData
from runwire.coordinator import RunCoordinator
from runwire.daemons.required import daemon_types_for, daemons_of
from runwire.daemons.runner import DaemonRunner
from runwire.daemons.status import LIVE_STATES, DaemonState, DaemonStatus, daemon_statuses
from runwire.instance import Instance
from runwire.instance.home import settings_of_unused_home
from runwire.instance.settings import ComponentSettings, Settings
from runwire.locations.workspace_file import Target
from runwire.processes.ending import Ending
from runwire.scheduler import Scheduler


def run_daemons(home: Path, targets: Sequence[Target]) -> None:
    """Runs them until SIGINT or SIGTERM; says which work here."""
    configure_logging("text", "warning")
    ending = Ending()
    typer.echo(f"runwire {__version__}")
    typer.echo(f"home      {home.absolute()}")
    with (
        ending.told_by_signals(),
        Instance.from_home(home) as instance,
        open_workspace(instance, targets) as workspace,
    ):
        configure_logging(instance.settings.logging.format, instance.settings.logging.level)
        daemons = daemons_of(instance, workspace)
        if not daemons:
            typer.echo("runwire.yaml enables no daemon; Ctrl-C ends this process.")
        with DaemonRunner(instance, daemons, on_change=_tell):
            ending.wait()


def _tell(daemon_type: str, is_working: bool) -> None:
    typer.echo(f"daemon    {daemon_type}: {'working' if is_working else 'standing by'}")


def check_liveness(home: Path) -> list[str]:
    """Why required daemons of an instance are not live, a sentence for each; empty when all are."""
    unused = settings_of_unused_home(home)
    if unused is not None:  # who looks makes no database
        wanted = daemon_types_for(unused, queues=_queues(unused), ticks=_makes_ticks(unused))
        return [_never_beat(each) for each in wanted]
    with Instance.from_home(home) as instance:
        statuses = daemon_statuses(instance)
    return [
        _problem(status)
        for status in statuses
        if status.required and status.state not in LIVE_STATES
    ]


def _queues(settings: Settings) -> bool:
    """Whether the run coordinator that settings name puts runs into a queue."""
    named = settings.run_coordinator
    if named is None:
        return False
    return _data_of(named).rehydrate(RunCoordinator).queue is not None


def _makes_ticks(settings: Settings) -> bool:
    """Whether the scheduler that settings name, or the default one, has the daemon make ticks."""
    named = settings.scheduler
    return named is None or _data_of(named).rehydrate(Scheduler).ticks is not None


def _data_of(named: ComponentSettings) -> ConfigurableClassData:
    return ConfigurableClassData(named.module, named.class_name, dict(named.config))


def _problem(status: DaemonStatus) -> str:
    last = status.last_heartbeat
    if last is None:
        return _never_beat(status.daemon_type)
    if status.state is DaemonState.STUCK:
        why = f"it has made no progress since {_instant(last.progress_at)}; see the log of its process"
    else:
        why = f"its last heartbeat is of {_instant(last.timestamp)}; start it with `runwire daemon`"
    return f"{status.daemon_type} is {status.state.value}: {why}"


def _never_beat(daemon_type: str) -> str:
    state = DaemonState.NOT_RUNNING.value
    return f"{daemon_type} is {state}: it never beat; start it with `runwire daemon`"


def _instant(timestamp: float) -> str:
    return f"{clock.from_timestamp(timestamp):%Y-%m-%d %H:%M:%S} UTC"
