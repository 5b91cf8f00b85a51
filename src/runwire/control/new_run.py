"""A request for a run, before anything is known of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from runwire.errors import InputInvalidError
from runwire.events.entry import storable_text
from runwire.partitions import MAX_KEY_CHARS
from runwire.runs.tags import SYSTEM_PREFIX, check_tags
from runwire.storage.run_storage import RequestKey
from runwire.workspace import JobSelector

RUN_ID_PATTERN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
MAX_IDEMPOTENCY_KEY_CHARS = 256
MAX_JOB_NAME_CHARS = 256

_OF_SYSTEM = "system"
"""Stands for the digest of what the system asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run to make.

    Attributes:
        job: the job to run. For a managed run only names: it need not be loaded.
        run_id: the id of the run; a new UUID when left out.
        run_config: the run config; when left out that of the partition, or empty.
        tags: (key, value) pairs, over those of the job.
        step_keys: the steps to run; all when left out.
        partition_key: the partition of the run. Its job's `partition_config` then gives the run config, unless one is
            given here.
        idempotency_key: a text that makes the request safe to repeat.
        managed: whether an external system runs it and reports its events.
        requested_by: the name of the principal that asks.
    """

    job: JobSelector
    run_id: str | None = None
    run_config: Mapping[str, Any] | None = None
    tags: Sequence[tuple[str, str]] = ()
    step_keys: Sequence[str] | None = None
    partition_key: str | None = None
    idempotency_key: str | None = None
    managed: bool = False
    requested_by: str | None = None

    def checked_tags(self) -> dict[str, str]:
        """Its tags as a mapping; raises InputInvalidError as `check_tags`."""
        return check_tags(self.tags, ("tags",))

    def check(self) -> None:
        """Checks what needs no knowledge of the job.

        Raises:
            InputInvalidError: names the field, relative to this request.
        """
        if self.run_id is not None and not RUN_ID_PATTERN.fullmatch(self.run_id):
            raise InputInvalidError(
                "a run id has 1 to 128 letters, digits, '-', '_' and '.', and does not begin with '.'",
                ["runId"],
            )
        if not self.job.job_name or len(self.job.job_name) > MAX_JOB_NAME_CHARS:
            raise InputInvalidError(
                f"a job name has 1 to {MAX_JOB_NAME_CHARS} characters", ["job", "jobName"]
            )
        names = {
            "jobName": self.job.job_name,
            "repositoryName": self.job.repository_name,
            "locationName": self.job.location_name,
        }
        for field, name in names.items():
            if name is not None and storable_text(name) != name:
                raise InputInvalidError("the name is not valid Unicode", ["job", field])
        if self.partition_key is not None:
            self._check_partition_key(self.partition_key)
        check_idempotency_key(self.idempotency_key)
        self.checked_tags()

    def request_key(self, system_key: str | None = None) -> RequestKey | None:
        """The idempotency key with the digest of all that was asked for; None without.

        A key of the system says all: whoever comes again with it finds the run, whatever he would ask for now.
        """
        if system_key is not None:
            return RequestKey(system_key, _OF_SYSTEM)
        key = self.idempotency_key
        if key is None:
            return None
        asked = [
            self.job.job_name,
            self.job.repository_name,
            self.job.location_name,
            self.run_id,
            dict(self.run_config or {}),
            sorted(self.tags),
            None if self.step_keys is None else list(self.step_keys),
            self.managed,
            *([] if self.partition_key is None else [self.partition_key]),
        ]
        body = msgspec.json.encode(asked, order="deterministic")
        return RequestKey(key, hashlib.sha256(body).hexdigest())

    def _check_partition_key(self, key: str) -> None:
        if self.managed:
            raise InputInvalidError(
                "what an external system runs has no partition here; leave the key out, or tell it by a tag",
                ["partitionKey"],
            )
        if not 1 <= len(key) <= MAX_KEY_CHARS or storable_text(key) != key:
            raise InputInvalidError(
                f"a partition key has 1 to {MAX_KEY_CHARS} characters of valid Unicode",
                ["partitionKey"],
            )


def check_idempotency_key(key: str | None) -> None:
    """Checks the idempotency key of a request.

    Raises:
        InputInvalidError: it is empty, too long, the system's, or not valid Unicode.
    """
    if key is None:
        return
    if key.startswith(SYSTEM_PREFIX):
        raise InputInvalidError(
            f"idempotency keys that begin with {SYSTEM_PREFIX} are the system's; choose another",
            ["idempotencyKey"],
        )
    if not 1 <= len(key) <= MAX_IDEMPOTENCY_KEY_CHARS or storable_text(key) != key:
        raise InputInvalidError(
            f"an idempotency key has 1 to {MAX_IDEMPOTENCY_KEY_CHARS} characters of valid Unicode",
            ["idempotencyKey"],
        )
