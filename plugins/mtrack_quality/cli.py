"""`mtrack motions check`: how good clips are, with pictures and repairs. Imports what is heavy only inside."""

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
    pictures: Annotated[Path | None, typer.Option(help="Directory for a picture (PNG) of each clip.")] = None,
    robot: Annotated[str, typer.Option(help="Robot the motions are of.")] = "g1",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace motion files that differ.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures and findings as JSON.")] = False,
) -> None:
    """Measure clips on their robot: floor, contact, jumps, limits, overlaps; exits 2 where one is of no use."""
    from rich.console import Console  # noqa: PLC0415

    from mtrack.errors import MotionError  # noqa: PLC0415
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
        problem = error  # of files that could not be written; what was measured is shown
    if as_json:
        typer.echo(json.dumps([quality.facts() for quality in qualities], indent=1))
    else:
        show(qualities, Console())
    if problem is not None:
        raise problem
    if any(quality.unusable for quality in qualities):
        raise typer.Exit(_EXIT_PROBLEM)
