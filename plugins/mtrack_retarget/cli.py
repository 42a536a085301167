"""The commands `mtrack motions repair`, `retarget` and `split`. Heavy imports happen when they are called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

_EXIT_PROBLEM = 2
_ROBOT = typer.Option(help="Robot of the motions: name, or file (.toml, .xml, .urdf).")
_OUT = typer.Option("-o", "--out", help="Directory for the motion files.")
_PICTURES = typer.Option(help="Directory for a picture (PNG) of each clip.")
_JOBS = typer.Option("-j", "--jobs", min=0, help="Processes; 0: one for each CPU.")
_OVERWRITE = typer.Option("--overwrite", help="Replace motion files that differ.")
_JSON = typer.Option("--json", help="Print the result for each clip as JSON.")


def repair(
    path: Annotated[Path, typer.Argument(help="Motion file (.npz), a directory of them, or a packed file.")],
    out: Annotated[Path, _OUT],
    only: Annotated[str, typer.Option(help="Repair only clips whose name contains this text.")] = "",
    keep_root_xy: Annotated[
        bool, typer.Option("--keep-root-xy", help="Leave the root's horizontal path as it is.")
    ] = False,
    blend: Annotated[
        float, typer.Option(min=0.0, help="Add a blend with standing of this duration at both ends [s].")
    ] = 0.0,
    robot: Annotated[str, _ROBOT] = "g1",
    pictures: Annotated[Path | None, _PICTURES] = None,
    jobs: Annotated[int, _JOBS] = 0,
    overwrite: Annotated[bool, _OVERWRITE] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Put stance feet on the floor and keep them there; resolve overlaps, spikes, jitter and joint limits.

    Exits with 2 if a clip cannot be repaired.
    """
    import attrs  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    from mtrack_retarget.output import Output  # noqa: PLC0415
    from mtrack_retarget.repair import RepairOptions  # noqa: PLC0415
    from mtrack_retarget.repairing import RepairJob, repair_motions  # noqa: PLC0415
    from mtrack_retarget.report import show_repairs  # noqa: PLC0415

    job = RepairJob(Output(out, overwrite), robot, RepairOptions(keep_root_xy, blend), pictures)
    results = []
    for result in repair_motions(path, only, job, jobs):
        results.append(result)
        if result.problem:
            typer.echo(f"error: {result.source}: {result.problem}", err=True)
        else:
            done = "already repaired" if result.done_before else result.changes
            typer.echo(f"{result.file}: {done}", err=True)
    results.sort(key=lambda result: (result.source, result.clip))
    if as_json:
        typer.echo(json.dumps([attrs.asdict(result) for result in results], indent=1))
    else:
        show_repairs(results, Console())
    if any(result.problem for result in results):
        raise typer.Exit(_EXIT_PROBLEM)
