"""The client of a runwire server."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from runwire.client.backfill_calls import BackfillCalls
from runwire.client.errors import ServerUnreachableError, WebhookNotFoundError, refusal
from runwire.client.following import (
    DEFAULT_POLICY,
    InstancePlace,
    Outage,
    Place,
    PlainPlace,
    ReconnectPolicy,
    RunPlace,
    decode,
    follow,
)
from runwire.client.inputs import Tags, endpoint, given, new_run_input, runs_filter, tag_inputs
from runwire.client.records import (
    CodeLocation,
    DaemonStatus,
    DeadLettersPage,
    DeletedRuns,
    EventsBatch,
    PoolSummary,
    QueuePage,
    ReportedEvent,
    RunChangesBatch,
    RunDetail,
    RunEvent,
    RunEventsBatch,
    RunPage,
    RunSummary,
    SubmittedRun,
    TerminatedRuns,
    Webhook,
)
from runwire.client.schedule_calls import ScheduleCalls
from runwire.client.sensor_calls import SensorCalls
from runwire.documents import load_document
from runwire.runs.status import RunStatus
from runwire.workspace import CodeLocationStatus

if TYPE_CHECKING:
    from runwire.client.connection import Connection, Token

T = TypeVar("T")

_POLL_SECONDS = 0.05

DEFAULT_URL = "http://127.0.0.1:3333/graphql"


def _ignore(_: Outage) -> None:
    pass


def _policy(*, force: bool) -> str:
    return "MARK_AS_CANCELED_IMMEDIATELY" if force else "SAFE_TERMINATE"


def _scope(
    step_keys: Sequence[str] | None, op_selection: Sequence[str] | None, *, from_failure: bool
) -> dict[str, Any]:
    strategy = "FROM_FAILURE" if from_failure else None
    scope = given({"strategy": strategy, "stepKeys": step_keys, "opSelection": op_selection})
    if len(scope) > 1:
        raise ValueError("give one of from_failure, step_keys and op_selection, or none")
    return scope or {"strategy": "ALL_STEPS"}


class RunwireClient(ScheduleCalls, SensorCalls, BackfillCalls):
    """Talks to a runwire server over GraphQL. Synchronous; close it, or use it in a ``with``.

    It works in a notebook too, where an event loop runs already, for it has one of its own.

    Every call may raise what `runwire.client.errors` lists; a refusal that the schema knows is a
    RequestRefusedError that names its type.

    Args:
        url: the endpoint; ``/graphql`` is added to an address without a path.
        token: the token of the server, where it demands one; or a function that gives it, which is called for
            each request and each connection, so that streams go on when a token has expired. What it raises
            comes out of the call.
        timeout_seconds: how long to wait for an answer; streams are not bound by it.
    """

    def __init__(
        self, url: str = DEFAULT_URL, token: Token | None = None, *, timeout_seconds: float = 60
    ) -> None:
        self.url = endpoint(url)
        self._token = token
        self._timeout_seconds = timeout_seconds
        self._open_connection: Connection | None = None
        self._opening = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections. Harmless when called twice; a later call opens new ones."""
        with self._opening:
            connection, self._open_connection = self._open_connection, None
        if connection is not None:
            connection.close()

    # ------------------------------------------------------------ any operation

    def execute(
        self, operation_name: str, variables: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Runs a query or mutation of the folder graphql/ and returns its ``data`` as it came."""
        document = load_document(operation_name)
        return self._connection.execute(document, operation_name, variables or {})

    def subscribe(
        self,
        operation_name: str,
        variables: Mapping[str, Any] | None = None,
        *,
        on_outage: Callable[[Outage], None] = _ignore,
        policy: ReconnectPolicy = DEFAULT_POLICY,
    ) -> Iterator[Mapping[str, Any]]:
        """Runs a subscription of the folder graphql/; gives the value of its field as it comes, until it completes.

        After an outage it goes on after the newest cursor; a subscription without cursors begins anew. The other
        arguments are those of `follow_run`.
        """
        wanted = variables or {}
        place = PlainPlace(wanted.get("after"))
        return self._follow(operation_name, wanted, place, on_outage, policy)

    def list_code_locations(self) -> tuple[CodeLocation, ...]:
        """The code locations of the server, loaded or not, by name."""
        return decode(self.execute("CodeLocations")["codeLocations"], tuple[CodeLocation, ...])

    def list_daemons(self) -> tuple[DaemonStatus, ...]:
        """The daemons of the instance and whether they do their work."""
        instance = self.execute("InstanceHealth")["instance"]
        return decode(instance["daemons"], tuple[DaemonStatus, ...])

    def wait_until_ready(self, timeout_seconds: float = 60) -> tuple[CodeLocation, ...]:
        """Waits until a server that was just started answers and has loaded, or failed to load, its code.

        Returns its code locations as they are then; after the time is up, as they are.

        Raises:
            ServerUnreachableError: it did not answer in time.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            late = time.monotonic() >= deadline
            try:
                locations = self.list_code_locations()
                if late or all(
                    place.status is not CodeLocationStatus.LOADING for place in locations
                ):
                    return locations
            except ServerUnreachableError:
                if late:
                    raise
            time.sleep(_POLL_SECONDS)

    def reload_code_location(self, name: str) -> CodeLocation:
        """Loads a code location anew; one that fails to load is returned with its load error."""
        answer = self._mutate("ReloadCodeLocation", "reloadCodeLocation", {"name": name})
        return decode(answer["codeLocation"], CodeLocation)

    # ------------------------------------------------------------ webhooks

    def list_webhooks(self) -> list[Webhook]:
        """The receivers of events, and how far each was delivered to."""
        return decode(self.execute("Webhooks")["instance"]["webhooks"], list[Webhook])

    def list_dead_letters(
        self, webhook: Webhook, *, limit: int = 25, after: str | None = None
    ) -> DeadLettersPage:
        """Events that a webhook did not take and that were given up, the first that were first."""
        asked = {"id": webhook.id, "first": limit, "after": after}
        found = self.execute("WebhookDeadLetters", asked)["node"]
        if found is None:
            raise WebhookNotFoundError(
                "WebhookNotFound", f"there is no webhook {webhook.name!r} any more", {}
            )
        page = found["deadLetters"]
        return decode({"letters": page["nodes"], **page["pageInfo"]}, DeadLettersPage)

    def pause_webhook(self, name: str) -> Webhook:
        """Has no events be sent to a webhook any more; it keeps its place."""
        answer = self._mutate("PauseWebhook", "pauseWebhook", {"name": name})
        return decode(answer["webhook"], Webhook)

    def resume_webhook(self, name: str) -> Webhook:
        """Has events be sent to a webhook again, from where it was."""
        answer = self._mutate("ResumeWebhook", "resumeWebhook", {"name": name})
        return decode(answer["webhook"], Webhook)

    def redeliver_webhook(self, name: str, event_ids: Iterable[str] | None = None) -> int:
        """Sends dead letters of a webhook again, all or those of some events; returns how many."""
        asked: dict[str, Any] = {"name": name}
        if event_ids is not None:
            asked["eventIds"] = list(event_ids)
        answer = self._mutate("RedeliverWebhook", "redeliverWebhook", asked)
        return int(answer["requestedCount"])

    # ------------------------------------------------------------ making runs

    def submit(
        self, job: str, run_config: Mapping[str, Any] | None = None, tags: Tags | None = None
    ) -> RunSummary:
        """Makes a run of a job and hands it to the run coordinator: `submit_run` in short."""
        return self.submit_run(job, run_config, tags).run

    def submit_run(
        self,
        job: str,
        run_config: Mapping[str, Any] | None = None,
        tags: Tags | None = None,
        repository: str | None = None,
        location: str | None = None,
        *,
        run_id: str | None = None,
        idempotency_key: str | None = None,
        partition_key: str | None = None,
    ) -> SubmittedRun:
        """Makes a run of a job and hands it to the run coordinator.

        Args:
            job: the name of the job.
            run_config: its run config.
            tags: its tags, over those of the job.
            repository: the repository of the job, and
            location: its code location; needed only where its name is ambiguous.
            run_id: the id of the run; a new one when left out.
            idempotency_key: makes the call safe to repeat: the same key gives the same run.
            partition_key: the key of the partition that the run is of. Without a run config, the job gives it one.
        """
        new_run = new_run_input(
            job, run_config, tags, repository, location, run_id, idempotency_key, partition_key
        )
        answer = self._mutate("SubmitRun", "submitRun", {"target": {"newRun": new_run}})
        return decode(answer, SubmittedRun)

    def create_run(
        self,
        job: str,
        run_config: Mapping[str, Any] | None = None,
        tags: Tags | None = None,
        repository: str | None = None,
        location: str | None = None,
        *,
        run_id: str | None = None,
        idempotency_key: str | None = None,
        partition_key: str | None = None,
        managed: bool = False,
    ) -> SubmittedRun:
        """Makes a run and leaves it in NOT_STARTED.

        With ``managed`` an external system runs it: it is in MANAGED, its job need not be loaded, and its events
        come through `report_events`. The other arguments are those of `submit_run`.
        """
        new_run = new_run_input(
            job, run_config, tags, repository, location, run_id, idempotency_key, partition_key
        )
        answer = self._mutate("CreateRun", "createRun", {"newRun": new_run, "managed": managed})
        return decode(answer, SubmittedRun)

    def submit_existing_run(self, run_id: str) -> RunSummary:
        """Hands a run in NOT_STARTED to the run coordinator."""
        return self._mutate_run("SubmitRun", "submitRun", {"target": {"runId": run_id}})

    def launch_run(self, run_id: str) -> RunSummary:
        """Hands a run in NOT_STARTED or QUEUED straight to the run launcher."""
        return self._mutate_run("LaunchRun", "launchRun", {"target": {"runId": run_id}})

    def reexecute_run(
        self,
        run_id: str,
        *,
        from_failure: bool = False,
        step_keys: Sequence[str] | None = None,
        op_selection: Sequence[str] | None = None,
        run_config: Mapping[str, Any] | None = None,
        tags: Tags | None = None,
        idempotency_key: str | None = None,
    ) -> SubmittedRun:
        """Runs steps of a run that has ended again, as a new run; outputs of the others are reused.

        All steps, unless one of ``from_failure``, ``step_keys`` and ``op_selection`` is given.

        Args:
            run_id: the run.
            from_failure: only the steps that failed or did not end, and all that depend on them.
            step_keys: only these steps.
            op_selection: only these steps, such as ``load*``, ``*report`` or ``+clean``.
            run_config: another run config; the run's own when left out.
            tags: tags over those of the run.
            idempotency_key: a text that makes the call safe to repeat.

        Raises:
            ValueError: more than one choice of steps is given.
        """
        wanted = {
            "runId": run_id,
            "scope": _scope(step_keys, op_selection, from_failure=from_failure),
            "runConfig": run_config,
            "tags": None if tags is None else tag_inputs(tags),
            "idempotencyKey": idempotency_key,
        }
        answer = self._mutate("ReexecuteRun", "reexecuteRun", given(wanted))
        return decode(answer, SubmittedRun)

    # ------------------------------------------------------------ changing runs

    def resume_run(self, run_id: str, *, attempt_number: int | None = None) -> RunSummary:
        """Gives a launched run whose worker died a new worker; finished steps do not run again.

        Args:
            run_id: the run.
            attempt_number: the number that this attempt must have, 1 for the first, which makes the call safe
                to repeat: another number is refused. The next one when left out.
        """
        return self._mutate_run(
            "ResumeRun", "resumeRun", given({"runId": run_id, "attemptNumber": attempt_number})
        )

    def terminate_run(self, run_id: str, *, force: bool = False) -> RunSummary:
        """Stops a run: its worker is asked to end, or with ``force`` the run ends at once without it."""
        return self._mutate_run(
            "TerminateRun", "terminateRun", {"runId": run_id, "policy": _policy(force=force)}
        )

    def terminate_runs(
        self,
        *,
        statuses: Iterable[RunStatus] | None = None,
        job_names: Iterable[str] | None = None,
        tags: Tags | None = None,
        created_before: datetime | None = None,
        force: bool = False,
        dry_run: bool = False,
        limit: int = 1000,
    ) -> TerminatedRuns:
        """Stops the runs that match all that is given, which must be something, oldest first.

        Args:
            statuses: only runs in one of these statuses.
            job_names: only runs of one of these jobs.
            tags: only runs with these tags; values of one key are alternatives.
            created_before: only runs made before this instant, which is aware.
            force: as for `terminate_run`.
            dry_run: only tells which runs it would be.
            limit: at most so many in this call; call again until `remaining_count` is 0.
        """
        wanted = runs_filter(statuses, job_names, tags, created_before)
        answer = self._mutate(
            "TerminateRuns",
            "terminateRuns",
            {
                "filter": wanted,
                "policy": _policy(force=force),
                "dryRun": dry_run,
                "limit": limit,
            },
        )
        return decode(answer, TerminatedRuns)

    def delete_run(self, run_id: str, *, force: bool = False) -> None:
        """Deletes a run with its event log; with ``force`` also one that has not ended."""
        self._mutate("DeleteRun", "deleteRun", {"runId": run_id, "force": force})

    def delete_runs(
        self,
        *,
        statuses: Iterable[RunStatus] | None = None,
        job_names: Iterable[str] | None = None,
        tags: Tags | None = None,
        created_before: datetime | None = None,
        dry_run: bool = False,
        limit: int = 1000,
    ) -> DeletedRuns:
        """Deletes the runs that match all that is given, which must be something, oldest first.

        Those that have not ended are told as failures. The arguments are those of `terminate_runs`.
        """
        wanted = runs_filter(statuses, job_names, tags, created_before)
        answer = self._mutate(
            "DeleteRuns", "deleteRuns", {"filter": wanted, "dryRun": dry_run, "limit": limit}
        )
        return decode(answer, DeletedRuns)

    def add_run_tags(self, run_id: str, tags: Tags) -> RunSummary:
        """Adds tags to a run; a key that it has already gets the new value."""
        return self._mutate_run(
            "AddRunTags", "addRunTags", {"runId": run_id, "tags": tag_inputs(tags)}
        )

    def report_events(
        self,
        run_id: str,
        events: Sequence[Mapping[str, Any]],
        *,
        idempotency_key: str | None = None,
    ) -> tuple[ReportedEvent, ...]:
        """Appends events to a MANAGED run, all or none; each is an ``EventRecordInput`` of the schema."""
        answer = self._mutate(
            "ReportEvents",
            "reportEvents",
            given(
                {
                    "runId": run_id,
                    "events": [dict(event) for event in events],
                    "idempotencyKey": idempotency_key,
                }
            ),
        )
        return decode(answer["records"], tuple[ReportedEvent, ...])

    # ------------------------------------------------------------ reading runs

    def get_run(self, run_id: str) -> RunDetail | None:
        """A run; None when there is none."""
        run = self.execute("RunDetail", {"runId": run_id, "events": 1})["run"]
        return None if run is None else decode(run, RunDetail)

    def get_planned_steps(self, run_id: str) -> tuple[str, ...]:
        """The keys of the steps that a run was asked for, by level; empty when its job is not loaded now."""
        run = self.execute("RunPlan", {"runId": run_id})["run"]
        job = None if run is None else run["origin"]["job"]
        if job is None or job["plan"] is None:
            return ()
        wanted = run["origin"]["stepKeys"]
        keys = [step["stepKey"] for step in job["plan"]]
        return tuple(key for key in keys if wanted is None or key in wanted)

    def list_runs(
        self,
        *,
        statuses: Iterable[RunStatus] | None = None,
        job_names: Iterable[str] | None = None,
        tags: Tags | None = None,
        run_id_prefix: str | None = None,
        limit: int = 25,
        after: str | None = None,
    ) -> RunPage:
        """A page of the runs that match all that is given, newest first."""
        run_filter = runs_filter(statuses, job_names, tags, run_id_prefix=run_id_prefix)
        variables = {"filter": run_filter, "first": limit, "after": after}
        connection = self.execute("RunsPage", variables)["runs"]
        return RunPage(
            runs=decode([edge["node"] for edge in connection["edges"]], tuple[RunSummary, ...]),
            end_cursor=connection["pageInfo"]["endCursor"],
            has_next_page=connection["pageInfo"]["hasNextPage"],
            head_cursor=connection["headCursor"],
        )

    def list_pools(self, *, steps: int = 10) -> tuple[PoolSummary, ...]:
        """All concurrency pools by name, each with as many of the steps that hold slots of it, or wait for them."""
        pools: list[PoolSummary] = []
        page: dict[str, Any] = {"hasNextPage": True, "endCursor": None}
        while page["hasNextPage"]:
            variables = {"first": 100, "after": page["endCursor"], "steps": steps}
            found = self.execute("PoolsPage", variables)["pools"]
            pools += decode(found["nodes"], tuple[PoolSummary, ...])
            page = found["pageInfo"]
        return tuple(pools)

    def set_pool_limit(self, name: str, limit: int) -> PoolSummary:
        """Sets how many steps of all runs hold slots of a concurrency pool at once."""
        answer = self._mutate("SetPoolLimit", "setPoolLimit", {"name": name, "limit": limit})
        return decode(answer["pool"], PoolSummary)

    def delete_pool_limit(self, name: str) -> PoolSummary:
        """Takes away the limit of a concurrency pool, so that the default limit of the instance holds."""
        answer = self._mutate("DeletePoolLimit", "deletePoolLimit", {"name": name})
        return decode(answer["pool"], PoolSummary)

    def get_queue(self, *, limit: int = 25, after: str | None = None) -> QueuePage | None:
        """The queue, with some of its runs in the order in which they will be tried.

        None when the run coordinator does not queue.
        """
        queue = self.execute("QueuePage", {"first": limit, "after": after})["instance"]["queue"]
        if queue is None:
            return None
        runs = queue.pop("runs")
        page = runs["pageInfo"]
        here = {"endCursor": page["endCursor"], "hasNextPage": page["hasNextPage"]}
        return decode({**queue, "runs": runs["nodes"], **here}, QueuePage)

    def follow_run(
        self,
        run_id: str,
        after: str | None = None,
        *,
        on_outage: Callable[[Outage], None] = _ignore,
        policy: ReconnectPolicy = DEFAULT_POLICY,
    ) -> Iterator[RunEventsBatch]:
        """The events of a run as they come, each position once and in order, until the run has ended.

        When the connection drops or the server restarts, it connects again and goes on where it was.

        Args:
            run_id: the run.
            after: the cursor after which to start; None for the first event, ``"HEAD"`` for new ones only.
            on_outage: told of each lost connection, before the wait for the next attempt.
            policy: how long to wait between attempts, and when to give up.

        Raises:
            ServerUnreachableError: the first connection could not be made, or the policy gave up.
            RequestRefusedError: the run is not there (any more), or the cursor is refused.
        """
        return self._follow("FollowRun", {"runId": run_id}, RunPlace(after), on_outage, policy)

    def follow(self, run: RunSummary | str) -> Iterator[RunEvent]:
        """The events of a run, or of the run of an id, from the first to the last: `follow_run` in short."""
        for batch in self.follow_run(run if isinstance(run, str) else run.run_id):
            yield from batch.records

    def watch_events(
        self,
        event_types: Iterable[str],
        after: str | None = None,
        *,
        job_names: Iterable[str] | None = None,
        asset_keys: Iterable[Sequence[str]] | None = None,
        on_outage: Callable[[Outage], None] = _ignore,
        policy: ReconnectPolicy = DEFAULT_POLICY,
    ) -> Iterator[EventsBatch]:
        """Events of all runs as they come, without end; after an outage it goes on where it was.

        Args:
            event_types: the types, each a run type, ``STEP_FAILURE`` or an asset type.
            after: the cursor after which to start; None for the first event, ``"HEAD"`` for new ones only.
            job_names: only events of runs of one of these jobs.
            asset_keys: only events of one of these assets.
            on_outage: as for `follow_run`, and
            policy: likewise.
        """
        wanted = given(
            {
                "eventTypes": list(event_types),
                "jobNames": None if job_names is None else list(job_names),
                "assetKeys": None if asset_keys is None else [list(key) for key in asset_keys],
            }
        )
        place = InstancePlace(after, "EventRecordBatch", EventsBatch)
        return self._follow("WatchEvents", {"filter": wanted}, place, on_outage, policy)

    def watch_runs(
        self,
        after: str | None = None,
        *,
        statuses: Iterable[RunStatus] | None = None,
        job_names: Iterable[str] | None = None,
        tags: Tags | None = None,
        on_outage: Callable[[Outage], None] = _ignore,
        policy: ReconnectPolicy = DEFAULT_POLICY,
    ) -> Iterator[RunChangesBatch]:
        """The runs that match all that is given as they come, change and go, without end.

        `RunPage.head_cursor` as `after` continues a page without a gap; the other arguments are those of
        `list_runs` and `watch_events`.
        """
        variables = {"filter": runs_filter(statuses, job_names, tags)}
        place = InstancePlace(after, "RunChangeBatch", RunChangesBatch)
        return self._follow("WatchRuns", variables, place, on_outage, policy)

    # ------------------------------------------------------------ inside

    @property
    def _connection(self) -> Connection:
        # gql and aiohttp take longer to import than the whole command line takes to start.
        from runwire.client.connection import Connection  # noqa: PLC0415

        with self._opening:
            if self._open_connection is None:
                self._open_connection = Connection(self.url, self._token, self._timeout_seconds)
            return self._open_connection

    def _follow(
        self,
        operation_name: str,
        variables: Mapping[str, Any],
        place: Place[T],
        on_outage: Callable[[Outage], None],
        policy: ReconnectPolicy,
    ) -> Iterator[T]:
        connection, document = self._connection, load_document(operation_name)

        async def open_stream(cursor: str | None) -> AsyncGenerator[Mapping[str, Any], None]:
            here = {**variables, **({} if cursor is None else {"after": cursor})}
            async with aclosing(connection.subscribe(document, operation_name, here)) as messages:
                async for data in messages:
                    [value] = data.values()
                    yield value

        renews = callable(self._token)
        return connection.iterate(
            follow(open_stream, self.url, place, policy, on_outage, renews_token=renews)
        )

    def _mutate(self, operation: str, field: str, input: Mapping[str, Any]) -> dict[str, Any]:
        payload: dict[str, Any] = self.execute(operation, {"input": input})[field]
        if not str(payload.get("__typename")).endswith("Success"):
            raise refusal(payload)
        return payload

    def _mutate_run(self, operation: str, field: str, input: Mapping[str, Any]) -> RunSummary:
        return decode(self._mutate(operation, field, input).get("run"), RunSummary)
