"""Resources: made in the order of what they require, torn down in the reverse order, always."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from runwire.definitions import OpContext, ResourceContext, job, op, resource
from runwire.events.metadata import MetadataEntry, TextMetadata
from runwire.events.payloads import EngineEventData, RunFailureData, RunFailureReason
from runwire.events.types import EventType, LogLevel
from runwire.execution import Interrupts
from runwire.execution.resources import _Resources
from runwire.runs.status import RunStatus
from runwire.storages.memory import MemoryStorage
from tests.execution.runs import events, execute, launched_run, run_log, tell, told

STEPS: list[str] = []


@pytest.fixture(autouse=True)
def fresh_steps() -> None:
    STEPS.clear()


@pytest.fixture
def storage() -> Iterator[MemoryStorage]:
    made = MemoryStorage()
    yield made
    made.dispose()


class Address(BaseModel):
    host: str = "localhost"


@resource
def network() -> Iterator[str]:
    STEPS.append("network up")
    yield "network"
    STEPS.append("network down")


@resource(required_resource_keys={"network"})
def database(context: ResourceContext, config: Address) -> Iterator[str]:
    STEPS.append(f"database up on {context.resources.network}")
    assert context.resource_config == config
    context.log.info("connected in run %s", context.run_id)
    yield f"database at {config.host}"
    STEPS.append("database down")


@resource
def clock() -> str:
    STEPS.append("clock")
    return "clock"


@op(required_resource_keys={"database", "clock"})
def load(context: OpContext) -> None:
    STEPS.append(f"load from {context.resources.database}")
    STEPS.append(",".join(dir(context.resources)))


@op
def alone() -> None:
    STEPS.append("alone")


RESOURCES = {"database": database, "network": network, "clock": clock}


@job(resource_defs=RESOURCES)
def etl() -> None:
    load()
    alone()


def engine_data(key: str, *, start: bool = False) -> EngineEventData:
    marker = f"resource {key}"
    return EngineEventData(
        marker_start=marker if start else None,
        marker_end=None if start else marker,
        metadata=(MetadataEntry("resource", TextMetadata(key)),),
    )


def test_they_are_made_in_order_before_the_steps_and_torn_down_after(
    storage: MemoryStorage, tmp_path: Path
) -> None:
    config = {"resources": {"database": {"config": {"host": "db1"}}}}
    assert execute(storage, etl, tmp_path, run_config=config) is RunStatus.SUCCESS
    assert STEPS == [
        "clock",
        "network up",
        "database up on network",
        "alone",
        "load from database at db1",
        "clock,database",
        "database down",
        "network down",
    ]
    records = events(storage)
    assert told(records)[2:10] == [
        ("RESOURCE_INIT_STARTED", None, "Resource clock is being made"),
        ("RESOURCE_INIT_SUCCESS", None, "Resource clock was made in N ms"),
        ("RESOURCE_INIT_STARTED", None, "Resource network is being made"),
        ("RESOURCE_INIT_SUCCESS", None, "Resource network was made in N ms"),
        ("RESOURCE_INIT_STARTED", None, "Resource database is being made"),
        (None, None, "connected in run r"),
        ("RESOURCE_INIT_SUCCESS", None, "Resource database was made in N ms"),
        ("ENGINE_EVENT", None, "Executing 2 steps in process N"),
    ]
    assert [records[index].data for index in (2, 3)] == [
        engine_data("clock", start=True),
        engine_data("clock"),
    ]


def test_only_those_of_the_chosen_steps_are_made(storage: MemoryStorage, tmp_path: Path) -> None:
    assert execute(storage, etl, tmp_path, step_keys=("alone",)) is RunStatus.SUCCESS
    assert STEPS == ["alone"]


@resource(required_resource_keys={"network"})
def refused() -> Any:
    raise ConnectionError("refused")


@resource(required_resource_keys={"network"})
def empty() -> Iterator[str]:
    yield from ()


@resource(required_resource_keys={"network"})
def exits() -> Any:
    sys.exit("no licence")


@pytest.mark.parametrize(
    ("broken", "reason", "class_name"),
    [
        (refused, "ConnectionError: refused", "ConnectionError"),
        (empty, "resource 'it' ended without a yield; yield what it makes, once", "ResourceError"),
        (exits, "SystemExit: no licence", "SystemExit"),
    ],
)
def test_one_that_cannot_be_made_fails_the_run_and_the_others_are_torn_down(
    storage: MemoryStorage, tmp_path: Path, broken: Any, reason: str, class_name: str
) -> None:
    @op(required_resource_keys={"it"})
    def use() -> None:
        STEPS.append("used")

    @job(resource_defs={"it": broken, "network": network})
    def uses() -> None:
        use()

    assert execute(storage, uses, tmp_path) is RunStatus.FAILURE
    assert STEPS == ["network up", "network down"]
    records = events(storage)
    assert told(records)[4:] == [
        ("RESOURCE_INIT_STARTED", None, "Resource it is being made"),
        ("RESOURCE_INIT_FAILURE", None, f"Resource it could not be made: {reason}"),
        ("RUN_FAILURE", None, f"The run failed: {reason}"),
    ]
    for record in records[-2:]:
        assert record.error is not None
        assert record.error.class_name == class_name
    assert records[-2].data == engine_data("it")
    assert records[-1].data == RunFailureData(RunFailureReason.RUN_EXCEPTION)


@resource(required_resource_keys={"network"})
def breaks_at_the_end() -> Iterator[str]:
    yield "fine"
    raise OSError("still busy")


@resource(required_resource_keys={"network"})
def yields_twice() -> Iterator[str]:
    yield "fine"
    yield "again"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (breaks_at_the_end, "OSError: still busy"),
        (yields_twice, "resource 'it' yields more than once; yield it once"),
    ],
)
def test_a_teardown_that_raises_is_told_and_changes_nothing_else(
    storage: MemoryStorage, tmp_path: Path, broken: Any, reason: str
) -> None:
    @op(required_resource_keys={"it"})
    def use() -> None: ...

    @job(resource_defs={"it": broken, "network": network})
    def uses() -> None:
        use()

    assert execute(storage, uses, tmp_path) is RunStatus.SUCCESS
    assert STEPS == ["network up", "network down"]
    records = events(storage)
    assert told(records)[-2:] == [
        ("ENGINE_EVENT", None, f"Resource it could not be torn down: {reason}"),
        ("RUN_SUCCESS", None, "Run of job uses succeeded in N ms"),
    ]
    assert records[-2].level is LogLevel.ERROR
    assert records[-2].error is not None
    assert records[-2].data == EngineEventData(
        metadata=(MetadataEntry("resource", TextMetadata("it")),)
    )


def test_they_are_torn_down_after_a_failing_step(storage: MemoryStorage, tmp_path: Path) -> None:
    @op(required_resource_keys={"network"})
    def boom() -> None:
        raise ValueError("boom")

    @job(resource_defs=RESOURCES)
    def fails() -> None:
        boom()

    assert execute(storage, fails, tmp_path) is RunStatus.FAILURE
    assert STEPS == ["network up", "network down"]


@pytest.mark.parametrize("at", ["setup", "step", "teardown"])
def test_an_interrupt_does_not_keep_them_from_being_torn_down(
    storage: MemoryStorage, tmp_path: Path, at: str
) -> None:
    @resource(required_resource_keys={"network"})
    def slow() -> Iterator[str]:
        try:
            if at == "setup":
                signal.raise_signal(signal.SIGTERM)
            yield "slow"
            if at == "teardown":
                signal.raise_signal(signal.SIGTERM)
            STEPS.append("slow down")
        finally:
            STEPS.append("slow closed")

    @op(required_resource_keys={"slow"})
    def work() -> None:
        if at == "step":
            signal.raise_signal(signal.SIGTERM)
        STEPS.append("worked")

    @job(resource_defs={"slow": slow, "network": network})
    def works() -> None:
        work()

    interrupts = Interrupts()
    with interrupts.captured():
        status = execute(storage, works, tmp_path, interrupts=interrupts)
    assert interrupts.requested
    assert (status, STEPS) == {
        "setup": (RunStatus.FAILURE, ["network up", "slow closed", "network down"]),
        "step": (
            RunStatus.FAILURE,
            ["network up", "slow down", "slow closed", "network down"],
        ),
        "teardown": (
            RunStatus.SUCCESS,
            ["network up", "worked", "slow down", "slow closed", "network down"],
        ),
    }[at]


def test_one_that_turns_a_cancel_into_an_error_does_not_turn_the_run_into_a_failure(
    storage: MemoryStorage, tmp_path: Path
) -> None:
    @resource
    def gives_up() -> str:
        tell(storage, "r", EventType.RUN_CANCELING)
        try:
            signal.raise_signal(signal.SIGTERM)
        except BaseException as error:
            raise ValueError("gave up") from error
        return "never"

    @op(required_resource_keys={"it"})
    def use() -> None: ...

    @job(resource_defs={"it": gives_up})
    def uses() -> None:
        use()

    interrupts = Interrupts()
    with interrupts.captured():
        assert execute(storage, uses, tmp_path, interrupts=interrupts) is RunStatus.CANCELED
    assert [each[0] for each in told(events(storage))[-2:]] == [
        "RESOURCE_INIT_FAILURE",
        "RUN_CANCELED",
    ]


def test_one_that_was_interrupted_before_it_began_is_not_begun_to_be_torn_down(
    storage: MemoryStorage,
) -> None:
    log, writer = run_log(storage, launched_run(storage))
    with writer:
        resources = _Resources(
            etl.resource_defs, etl.resolve_run_config({}), "r", log, lambda: None
        )
        resources._generators["network"] = network.fn()
        resources.tear_down()
    assert STEPS == []
