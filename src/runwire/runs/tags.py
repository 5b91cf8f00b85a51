"""Tags of runs: which keys the system keeps for itself, and what a tag may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runwire.errors import InputInvalidError

SYSTEM_PREFIX = "runwire/"

PRIORITY_TAG = "runwire/priority"
MAX_RUNTIME_TAG = "runwire/max_runtime_seconds"
PARENT_RUN_TAG = "runwire/parent_run_id"
ROOT_RUN_TAG = "runwire/root_run_id"
SCHEDULE_NAME_TAG = "runwire/schedule_name"
SENSOR_NAME_TAG = "runwire/sensor_name"
RUN_KEY_TAG = "runwire/run_key"
TICK_ID_TAG = "runwire/tick_id"
PARTITION_TAG = "runwire/partition"
BACKFILL_TAG = "runwire/backfill"
MAX_RETRIES_TAG = "runwire/max_retries"
RETRY_STRATEGY_TAG = "runwire/retry_strategy"
RETRY_ON_OP_FAILURE_TAG = "runwire/retry_on_asset_or_op_failure"
RETRY_NUMBER_TAG = "runwire/retry_number"

LINEAGE_TAGS = frozenset({PARENT_RUN_TAG, ROOT_RUN_TAG})
"""What storages derive from the fields of a run, so that its group is found as runs with a tag are."""

USER_SETTABLE_TAGS = frozenset(
    {
        PRIORITY_TAG,
        MAX_RUNTIME_TAG,
        MAX_RETRIES_TAG,
        RETRY_STRATEGY_TAG,
        RETRY_ON_OP_FAILURE_TAG,
    }
)
"""The keys under the system's prefix that users may set."""

MAX_KEY_CHARS = 256
MAX_VALUE_CHARS = 4096
MAX_TAGS = 200


def check_tags(tags: Iterable[tuple[str, str]], path: tuple[str, ...]) -> dict[str, str]:
    """Tags as a mapping, checked.

    Args:
        tags: (key, value) pairs in the order given.
        path: the fields on the way to the tags, for the error's path.

    Raises:
        InputInvalidError: a key is empty, too long, reserved or given twice, a value is too long, or a text
            holds a lone surrogate; its path ends with the index and ``key`` or ``value``.
    """
    checked: dict[str, str] = {}
    for index, (key, value) in enumerate(tags):
        here = (*path, str(index))
        if not key or len(key) > MAX_KEY_CHARS:
            raise InputInvalidError(
                f"a tag's key has 1 to {MAX_KEY_CHARS} characters", [*here, "key"]
            )
        if len(value) > MAX_VALUE_CHARS:
            raise InputInvalidError(
                f"the value of tag {key!r} has more than {MAX_VALUE_CHARS} characters",
                [*here, "value"],
            )
        if key.startswith(SYSTEM_PREFIX) and key not in USER_SETTABLE_TAGS:
            allowed = ", ".join(sorted(USER_SETTABLE_TAGS))
            raise InputInvalidError(
                f"tag {key!r} is the system's; of {SYSTEM_PREFIX} you may set {allowed}",
                [*here, "key"],
            )
        if key in checked:
            raise InputInvalidError(f"tag {key!r} is given twice", [*here, "key"])
        for name, text in (("key", key), ("value", value)):
            if not _is_storable(text):
                raise InputInvalidError(
                    f"the {name} of tag {key!r} is not valid Unicode", [*here, name]
                )
        checked[key] = value
    if len(checked) > MAX_TAGS:
        raise InputInvalidError(f"a run has at most {MAX_TAGS} tags", path)
    return checked


def merged(*layers: Mapping[str, str]) -> dict[str, str]:
    """Tags of several layers; a later layer wins."""
    return {key: value for layer in layers for key, value in layer.items()}


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
