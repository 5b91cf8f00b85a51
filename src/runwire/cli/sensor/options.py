"""Arguments that commands about sensors have in common."""

from __future__ import annotations

from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(metavar="SENSOR", help="The name of the sensor.")]
