"""The command `mtrack motions check`. Heavy imports happen when it is called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

_EXIT_PROBLEM = 2


def check(
    path: Annotated[Path, typer.Argument(help="Motion file (.npz), a directory of them, or a packed file.")],
    fix: Annotated[str, typer.Option(help="Repair to make: ground (shift a clip so that its soles meet 0).")] = "",
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Directory for repaired clips.")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Directory for a plot (PNG) of each clip.")] = None,
    robot: Annotated[str, typer.Option(help="Robot of the motions: name, or file (.toml, .xml, .urdf).")] = "g1",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace motion files that differ.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all metrics and problems as JSON.")] = False,
) -> None:
    """Check clips on their robot: floor, contact, jumps, limits, overlaps. Exits with 2 if a clip is unusable."""
    from rich.console import Console  # noqa: PLC0415

    from mtrack import MotionError  # noqa: PLC0415
    from mtrack_quality.checking import CheckOptions, check_motions  # noqa: PLC0415
    from mtrack_quality.report import show  # noqa: PLC0415

    qualities, problem = [], None
    try:
        for quality, line in check_motions(path, CheckOptions(fix, out, pictures, robot, overwrite)):
            qualities.append(quality)
            if line:
                typer.echo(line, err=True)
    except MotionError as error:
        if not qualities:
            raise
        problem = error  # files could not be written: the results are shown first
    if as_json:
        typer.echo(json.dumps([quality.facts() for quality in qualities], indent=1))
    else:
        show(qualities, Console())
    if problem is not None:
        raise problem
    if any(quality.unusable for quality in qualities):
        raise typer.Exit(_EXIT_PROBLEM)
