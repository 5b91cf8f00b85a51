"""The page on the life of a run shows the statuses as they are."""

from __future__ import annotations

import re
from pathlib import Path

from runwire.runs.status import TRANSITIONS

PAGE = (Path(__file__).parents[2] / "docs" / "runs.md").read_text()


def test_the_diagram_has_every_transition_and_no_other() -> None:
    arrows = re.findall(r"^    (\w+) --> (\w+): (\w+)$", PAGE, re.MULTILINE)
    assert sorted(arrows) == sorted(
        (before.value, after.value, event_type.value)
        for (before, event_type), after in TRANSITIONS.items()
    )
