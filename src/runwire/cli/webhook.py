"""``runwire webhook …``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runwire.cli.failures import EXIT_CODES_HELP, ExitCode
from runwire.cli.options import AsJson, Home, Token, Url, connect
from runwire.cli.printable import printable
from runwire.cli.run.tables import print_columns, print_json
from runwire.cli.run.words import local_time
from runwire.client import (
    DEFAULT_URL,
    RunwireClient,
    Webhook,
    WebhookDeadLetter,
    WebhookNotFoundError,
)
from runwire.errors import InputInvalidError

_PAGE = 100

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the webhook.")]

webhook_app = typer.Typer(
    help="Look at webhooks, pause and resume them, and send again what they did not take.",
    no_args_is_help=True,
)


@webhook_app.callback()
def commands() -> None:
    """Look at webhooks, pause and resume them, and send again what they did not take."""


@webhook_app.command(name="list")
def list_webhooks(as_json: AsJson = False, url: Url = DEFAULT_URL, token: Token = None) -> None:
    """List the webhooks, how far each was delivered to, and what is wrong."""
    with connect(url, token) as client:
        webhooks = client.list_webhooks()
    if as_json:
        print_json(webhooks)
        return
    rows = [("NAME", "URL", "STATUS", "LAG", "TAKEN", "DEAD", "LAST"), *map(_row, webhooks)]
    print_columns([tuple(map(printable, row)) for row in rows])


@webhook_app.command("dead-letters")
def dead_letters(
    name: Name,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 25,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List the events that a webhook did not take and that were given up."""
    with connect(url, token) as client:
        webhook = _find(client, name)
        letters: list[WebhookDeadLetter] = []
        page = client.list_dead_letters(webhook, limit=min(limit, _PAGE))
        letters += page.letters
        while page.has_next_page and len(letters) < limit:
            page = client.list_dead_letters(
                webhook, limit=min(limit - len(letters), _PAGE), after=page.end_cursor
            )
            letters += page.letters
    if as_json:
        print_json(letters)
        return
    rows = [("EVENT", "TYPE", "RUN ID", "FAILED", "TIMES", "WHY"), *map(_letter_row, letters)]
    print_columns([tuple(map(printable, row)) for row in rows])


@webhook_app.command()
def pause(name: Name, url: Url = DEFAULT_URL, token: Token = None) -> None:
    """Send nothing to a webhook any more; it keeps its place."""
    with connect(url, token) as client:
        _tell(client.pause_webhook(name))


@webhook_app.command()
def resume(name: Name, url: Url = DEFAULT_URL, token: Token = None) -> None:
    """Send events to a webhook again, from where it was."""
    with connect(url, token) as client:
        _tell(client.resume_webhook(name))


@webhook_app.command()
def redeliver(
    name: Name,
    event_ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[EVENT]…", help="The events, as dead-letters lists them.", show_default=False
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All of its dead letters.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Send events again that a webhook did not take; those that fail are kept."""
    if every is bool(event_ids):
        raise InputInvalidError("name the events, or give --all", ["events"])
    with connect(url, token) as client:
        count = client.redeliver_webhook(name, event_ids or None)
    typer.echo(f"{count} to be sent again")


@webhook_app.command("test", epilog=EXIT_CODES_HELP)
def send_one(name: Name, home: Home = None) -> None:
    """Send a test to a webhook, from here, and tell how it was answered.

    It goes by the configuration of the instance's home, signed as events are; its type is TEST.
    """
    from runwire.cli.webhook_trial import send_test  # noqa: PLC0415 -- other commands start faster without

    if home is None:
        raise InputInvalidError("name the instance's home: --home or RUNWIRE_HOME", ["home"])
    answer = send_test(Path(home), name)
    if answer.error is not None:
        typer.echo(f"error: {printable(answer.error)}", err=True)
        raise typer.Exit(ExitCode.FAILED)
    typer.echo(f"it answered {answer.status_code} after {answer.duration_seconds * 1000:.0f} ms")


def _find(client: RunwireClient, name: str) -> Webhook:
    webhooks = client.list_webhooks()
    for each in webhooks:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in webhooks) or "none"
    problem = f"there is no webhook {name!r}; there are: {names}"
    raise WebhookNotFoundError("WebhookNotFound", problem, {})


def _tell(webhook: Webhook) -> None:
    reason = f": {webhook.disabled_reason}" if webhook.disabled_reason else ""
    typer.echo(printable(f"{webhook.name} is {webhook.status}{reason}"))


def _row(webhook: Webhook) -> tuple[str, ...]:
    lag = "" if webhook.lag is None else str(webhook.lag)
    taken, dead = str(webhook.delivered_count), str(webhook.dead_letter_count)
    return webhook.name, webhook.url, webhook.status, lag, taken, dead, _last(webhook)


def _last(webhook: Webhook) -> str:
    if webhook.disabled_reason is not None:
        return webhook.disabled_reason
    last, retry = webhook.last_delivery, webhook.retry
    if retry is not None:
        again = f"sent again {local_time(retry.retry_at)}, failed {retry.failure_count} times"
        return f"{last.error}; {again}" if last is not None and last.error else again
    if last is None:
        return ""
    return f"{last.error or last.status_code} at {local_time(last.ended_at)}"


def _letter_row(letter: WebhookDeadLetter) -> tuple[str, ...]:
    waits = " (is sent again)" if letter.redelivery_requested else ""
    return (
        letter.event_id,
        letter.event_type,
        letter.run_id,
        local_time(letter.failed_at),
        str(letter.failure_count),
        letter.error + waits,
    )
