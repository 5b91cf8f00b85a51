"""Arguments of the client's methods as inputs of the schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from runwire.errors import InputInvalidError
from runwire.runs.status import RunStatus

Tags = Mapping[str, str] | Iterable[tuple[str, str]]


def endpoint(url: str) -> str:
    """The address of the endpoint; ``/graphql`` is added to an address without a path.

    Raises:
        InputInvalidError: it is no http or https address.
    """
    parts = _split(url)
    if parts is None:
        raise InputInvalidError(
            f"{url!r} is no address of a server; write it like http://127.0.0.1:3333/graphql",
            ["url"],
        )
    return url if parts.path not in {"", "/"} else parts._replace(path="/graphql").geturl()


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an unreadable port or IPv6 address
        return None
    return parts if usable else None


def new_run_input(
    job: str,
    run_config: Mapping[str, Any] | None,
    tags: Tags | None,
    repository: str | None,
    location: str | None,
    run_id: str | None,
    idempotency_key: str | None,
    partition_key: str | None = None,
) -> dict[str, Any]:
    """A ``NewRunInput``."""
    selector = {"jobName": job, "repositoryName": repository, "locationName": location}
    return given(
        {
            "job": given(selector),
            "runId": run_id,
            "runConfig": run_config,
            "tags": None if tags is None else tag_inputs(tags),
            "idempotencyKey": idempotency_key,
            "partitionKey": partition_key,
        }
    )


def tag_inputs(tags: Tags) -> list[dict[str, str]]:
    """A list of ``TagInput``."""
    pairs = tags.items() if isinstance(tags, Mapping) else tags
    return [{"key": key, "value": value} for key, value in pairs]


def tag_filters(tags: Tags) -> list[dict[str, Any]]:
    """A list of ``TagFilter``; values given for the same key are alternatives."""
    values: dict[str, list[str]] = {}
    for tag in tag_inputs(tags):
        values.setdefault(tag["key"], []).append(tag["value"])
    return [{"key": key, "values": alternatives} for key, alternatives in values.items()]


def runs_filter(
    statuses: Iterable[RunStatus] | None,
    job_names: Iterable[str] | None,
    tags: Tags | None,
    created_before: datetime | None = None,
    run_id_prefix: str | None = None,
) -> dict[str, Any]:
    """A ``RunsFilter``."""
    return given(
        {
            "statuses": None if statuses is None else [status.value for status in statuses],
            "jobNames": None if job_names is None else list(job_names),
            "tags": None if tags is None else tag_filters(tags),
            "createdAt": None if created_before is None else {"before": created_before.isoformat()},
            "runIdPrefix": run_id_prefix,
        }
    )


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}
