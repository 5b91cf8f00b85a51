"""Adding tags to a run."""

from __future__ import annotations

from collections.abc import Sequence

from runwire.errors import InputInvalidError
from runwire.runs.run import RunRecord
from runwire.runs.tags import MAX_TAGS, check_tags, merged
from runwire.storage.instance_storage import InstanceStorage


def add_run_tags(
    storage: InstanceStorage, run_id: str, tags: Sequence[tuple[str, str]]
) -> RunRecord:
    """Adds tags to a run; a key that it has already gets the new value.

    Raises:
        InputInvalidError: a tag is refused, or the run would have too many; its path begins with ``tags``.
        RunNotFoundError: there is no such run.
    """
    checked = check_tags(tags, ("tags",))
    with storage.run_storage.hold_run(run_id) as held:
        if len(merged(held.record.run.tags, checked)) > MAX_TAGS:
            raise InputInvalidError(f"a run has at most {MAX_TAGS} tags", ["tags"])
        if checked:
            held.add_tags(checked)
        return held.record
