"""``runwire pool …``."""

from __future__ import annotations

from typing import Annotated

import typer

from runwire.cli.options import AsJson, Token, Url, connect
from runwire.cli.printable import printable
from runwire.cli.run.tables import print_columns, print_json
from runwire.cli.run.words import local_time
from runwire.client import DEFAULT_URL, PoolStep, PoolSummary
from runwire.runs.pools import MAX_POOL_LIMIT

_HEADINGS = ("POOL", "LIMIT", "USED", "WAITING")
_STEP_HEADINGS = ("POOL", "", "RUN ID", "STEP", "SINCE")

pool_app = typer.Typer(
    help="Look at concurrency pools, and set their limits.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="The name of the pool.")]


@pool_app.callback()
def commands() -> None:
    """Look at concurrency pools, and set their limits."""


@pool_app.command(name="list")
def list_pools(
    steps: Annotated[
        int,
        typer.Option(min=0, max=100, help="How many steps to show that hold slots, and that wait."),
    ] = 0,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List the pools, their limits, and how many steps hold slots and wait."""
    with connect(url, token) as client:
        pools = client.list_pools(steps=max(1, steps))
    if as_json:
        print_json(pools)
        return
    _print([_HEADINGS, *map(_row, pools)])
    told = [row for pool in pools for row in _step_rows(pool)] if steps else []
    if told:
        typer.echo()
        _print([_STEP_HEADINGS, *told])


@pool_app.command(name="set")
def set_limit(
    name: Name,
    limit: Annotated[
        int, typer.Argument(min=0, max=MAX_POOL_LIMIT, help="How many steps hold slots at once.")
    ],
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Set the limit of a pool."""
    with connect(url, token) as client:
        _print([_HEADINGS, _row(client.set_pool_limit(name, limit))])


@pool_app.command(name="delete")
def delete_limit(name: Name, url: Url = DEFAULT_URL, token: Token = None) -> None:
    """Take away the limit of a pool, so that the default limit holds."""
    with connect(url, token) as client:
        _print([_HEADINGS, _row(client.delete_pool_limit(name))])


def _row(pool: PoolSummary) -> tuple[str, ...]:
    limit = "none" if pool.limit is None else str(pool.limit)
    if pool.has_default_limit:
        limit += " (default)"
    return pool.name, limit, str(pool.used), str(pool.waiting_count)


def _step_rows(pool: PoolSummary) -> list[tuple[str, ...]]:
    return [
        *(_step_row(pool, step, "holds") for step in pool.slots),
        *(_step_row(pool, step, "waits") for step in pool.waiting),
    ]


def _step_row(pool: PoolSummary, step: PoolStep, does: str) -> tuple[str, ...]:
    return pool.name, does, step.run_id, step.step_key, local_time(step.since)


def _print(rows: list[tuple[str, ...]]) -> None:
    print_columns([tuple(map(printable, row)) for row in rows])
