"""The page on the life of a run shows the statuses as they are."""

from __future__ import annotations

import re
from pathlib import Path

from runwire.definitions import JobDefinition
from runwire.executors import execute_in_process
from runwire.runs.status import TRANSITIONS

PAGE = (Path(__file__).parents[2] / "docs" / "runs.md").read_text()


def test_the_diagram_has_every_transition_and_no_other() -> None:
    arrows = re.findall(r"^    (\w+) --> (\w+): (\w+)$", PAGE, re.MULTILINE)
    assert sorted(arrows) == sorted(
        (before.value, after.value, event_type.value)
        for (before, event_type), after in TRANSITIONS.items()
    )


def test_the_steps_of_the_example_are_tried_again_until_they_succeed() -> None:
    [code] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    defined: dict[str, object] = {"__name__": "page"}
    exec(compile(code, "runs.md", "exec"), defined)
    report = defined["report"]
    assert isinstance(report, JobDefinition)
    result = execute_in_process(report)
    assert result.success
    again = [e.step_key for e in result.events if e.stored_type == "STEP_UP_FOR_RETRY"]
    assert again == ["fetch", "fetch", "publish"]
