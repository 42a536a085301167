"""The command `mtrack new-robot`. Heavy imports happen inside the command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtrack import MtrackError


def new_robot(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="MJCF (.xml) or URDF file of a robot.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the new files; by default the model's name.")
    ] = None,
) -> None:
    """Describe a robot: write robot.toml, a picture and a recipe from its MJCF or URDF, and say what is doubtful."""
    from mtrack_robot.new_robot import write_robot  # noqa: PLC0415

    if model.suffix.lower() == ".toml":
        raise MtrackError(f"{model} is a description already; give the MJCF or URDF file of a robot")
    typer.echo("\n".join(write_robot(model, out or Path(model.stem.lower()))))
