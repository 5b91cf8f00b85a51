"""The page on executors: its code runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from runwire.definitions import JobDefinition
from runwire.executors import MultiprocessExecutor, make_executor
from runwire.runs.status import RunStatus
from runwire.storages.memory import MemoryStorage
from tests.execution.runs import events, execute

PAGE = (Path(__file__).parents[2] / "docs" / "executors.md").read_text()


def etl(block: int) -> JobDefinition:
    """The job of a block."""
    defined: dict[str, Any] = {"__name__": "page"}
    code = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[block]
    exec(compile(code, "executors.md", "exec"), defined)
    made = defined["etl"]
    assert isinstance(made, JobDefinition)
    return made


def test_those_that_there_are_are_configured() -> None:
    assert isinstance(make_executor(etl(0)), MultiprocessExecutor)


def test_one_of_your_own_runs_the_steps(tmp_path: Path) -> None:
    storage, loud = MemoryStorage(), etl(1)
    status = execute(storage, loud, tmp_path, executor=make_executor(loud))
    assert status is RunStatus.SUCCESS
    said = [e.message for e in events(storage) if e.stored_type == "ENGINE_EVENT"]
    assert said == ["etl: hooray for load"]
