"""Arguments that commands about backfills have in common."""

from __future__ import annotations

from typing import Annotated

import typer

BackfillId = Annotated[str, typer.Argument(metavar="BACKFILL_ID", help="The id of the backfill.")]
