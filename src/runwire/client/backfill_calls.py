"""What the client asks of partitions and backfills."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from runwire.client.backfill_records import (
    Backfill,
    BackfillDetail,
    BackfillPage,
    CreatedBackfill,
    PartitionPage,
)
from runwire.client.following import decode
from runwire.client.inputs import Tags, given, tag_inputs
from runwire.storage import BackfillScope, BackfillStatus


class BackfillCalls(ABC):
    """The methods of the client for partitions and backfills.

    A job is named by its name; repository and code location are needed only where it is ambiguous.
    """

    @abstractmethod
    def execute(
        self, operation_name: str, variables: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Runs a query or mutation of the folder graphql/ and returns its ``data`` as it came."""

    @abstractmethod
    def _mutate(self, operation: str, field: str, input: Mapping[str, Any]) -> dict[str, Any]: ...

    def list_partitions(
        self,
        job: str,
        *,
        repository: str | None = None,
        location: str | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> PartitionPage | None:
        """A page of the partitions of a job that exist now, with their last runs; None when it has none at all, or
        there is no such job.

        Args:
            job: the name of the job.
            repository: the name of its repository.
            location: the name of its code location.
            first: how many from the first on, at most 100; 25 when nothing is said.
            after: the `end_cursor` of the page before.
            last: how many from the last back, instead of `first`.
            before: the `start_cursor` of the page after.
        """
        variables = given({"first": first, "after": after, "last": last, "before": before})
        variables["job"] = _selector(job, repository, location)
        found = self.execute("PartitionsPage", variables)["job"]
        if found is None or found["partitions"] is None:
            return None
        listed = found["partitions"]
        told = {
            "definition": listed["definition"],
            "partitions": listed["nodes"],
            "totalCount": listed["totalCount"],
            **listed["pageInfo"],
        }
        return decode(told, PartitionPage)

    def create_backfill(
        self,
        job: str,
        *,
        keys: Iterable[str] | None = None,
        first: str | None = None,
        last: str | None = None,
        missing_only: bool = False,
        runs_at_once: int | None = None,
        run_config: Mapping[str, Any] | None = None,
        tags: Tags | None = None,
        repository: str | None = None,
        location: str | None = None,
        idempotency_key: str | None = None,
    ) -> CreatedBackfill:
        """Asks for runs of many partitions; all that exist, when none are named.

        Args:
            job: the name of the job.
            keys: the keys of the partitions; or else:
            first: the key of the first; the first that there is when left out.
            last: the key of the last; the last that there is when left out.
            missing_only: whether those get no run whose last run succeeded.
            runs_at_once: how many of its runs there are at most that have not ended; 25 when left out.
            run_config: the run config of all its runs; what the job gives each partition when left out.
            tags: the tags of its runs.
            repository: the name of the job's repository.
            location: the name of the job's code location.
            idempotency_key: a text that makes the call safe to repeat.

        Raises:
            ValueError: keys are given, and a first or last one too.
        """
        if keys is not None and (first is not None or last is not None):
            raise ValueError("give keys, or first and last, not both")
        chosen = (
            {"range": given({"first": first, "last": last})}
            if keys is None
            else {"keys": list(keys)}
        )
        wanted = {
            "job": _selector(job, repository, location),
            "partitions": chosen,
            "scope": (BackfillScope.MISSING if missing_only else BackfillScope.ALL).value,
            "runsAtOnce": runs_at_once,
            "runConfig": run_config,
            "tags": None if tags is None else tag_inputs(tags),
            "idempotencyKey": idempotency_key,
        }
        return decode(
            self._mutate("CreateBackfill", "createBackfill", given(wanted)), CreatedBackfill
        )

    def list_backfills(
        self,
        *,
        job: str | None = None,
        location: str | None = None,
        statuses: Iterable[BackfillStatus] | None = None,
        limit: int = 25,
        after: str | None = None,
    ) -> BackfillPage:
        """A page of the backfills that match all that is given, newest first.

        Args:
            job: those of this job.
            location: those of a job of this code location.
            statuses: those in one of these statuses.
            limit: how many at most; a page has at most 100.
            after: the `end_cursor` of the page before.
        """
        wanted = {
            "jobName": job,
            "locationName": location,
            "statuses": None if statuses is None else [status.value for status in statuses],
        }
        variables = {"filter": given(wanted), "first": limit, "after": after}
        found = self.execute("BackfillsPage", variables)["backfills"]
        page = found["pageInfo"]
        return BackfillPage(
            backfills=decode(found["nodes"], tuple[Backfill, ...]),
            total_count=found["totalCount"],
            end_cursor=page["endCursor"],
            has_next_page=page["hasNextPage"],
        )

    def get_backfill(
        self, backfill_id: str, *, failures: int = 25, after: str | None = None
    ) -> BackfillDetail | None:
        """A backfill with some of its failures; None when there is none.

        Args:
            backfill_id: its id.
            failures: how many failures, from 1 to 100.
            after: the `end_cursor` of the failures before.
        """
        variables = {"backfillId": backfill_id, "failures": failures, "after": after}
        found = self.execute("BackfillDetail", variables)["backfill"]
        if found is None:
            return None
        listed = found.pop("failures")
        page = listed["pageInfo"]
        told = {"failures": listed["nodes"], "endCursor": page["endCursor"]}
        return decode({**found, **told, "hasNextPage": page["hasNextPage"]}, BackfillDetail)

    def cancel_backfill(self, backfill_id: str, *, terminate_runs: bool = False) -> Backfill:
        """Has a backfill end: no run is made any more, and those that wait are canceled.

        Args:
            backfill_id: its id.
            terminate_runs: whether its runs in progress are terminated as well.
        """
        wanted = {"backfillId": backfill_id, "terminateRuns": terminate_runs}
        return decode(
            self._mutate("CancelBackfill", "cancelBackfill", wanted)["backfill"], Backfill
        )

    def resume_backfill(self, backfill_id: str) -> Backfill:
        """Has a backfill that has ended submit again what did not succeed."""
        wanted = {"backfillId": backfill_id}
        return decode(
            self._mutate("ResumeBackfill", "resumeBackfill", wanted)["backfill"], Backfill
        )


def _selector(name: str, repository: str | None, location: str | None) -> dict[str, str]:
    return given({"jobName": name, "repositoryName": repository, "locationName": location})
