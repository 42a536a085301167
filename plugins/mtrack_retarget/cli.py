"""The commands `mtrack motions repair`, `retarget` and `split`. Heavy imports happen when they are called."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mtrack_retarget.repairing import RepairResult
    from mtrack_retarget.retargeting import RetargetResult
    from mtrack_retarget.splitting import SplitResult

_EXIT_PROBLEM = 2
_PACKAGES = ("mink", "daqp", "scipy")
_ROBOT = typer.Option(help="Robot of the motions: name, or file (.toml, .xml, .urdf).")
_OUT = typer.Option("-o", "--out", help="Directory for the motion files.")
_KEEP_ROOT_XY = typer.Option("--keep-root-xy", help="Leave the root's horizontal path as it is.")
_BLEND = typer.Option(min=0.0, help="Add a blend with standing of this duration at both ends [s].")
_FPS = typer.Option(help="Frame rate of the recording, if the file lacks it (--set fps=VALUE).")
_SET = typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter of the source.")
_PICTURES = typer.Option(help="Directory for a picture (PNG) of each clip.")
_JOBS = typer.Option("-j", "--jobs", min=0, help="Processes; 0: one for each CPU.")
_OVERWRITE = typer.Option("--overwrite", help="Replace motion files that differ.")
_JSON = typer.Option("--json", help="Print the result for each clip as JSON.")


def _require_packages() -> None:
    """Raise MtrackError if the extra `retarget` is not installed."""
    from mtrack import MtrackError  # noqa: PLC0415

    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise MtrackError(f'this command needs {", ".join(missing)}: python -m pip install "mtrack[retarget]"')


def _finish(results: Sequence[RepairResult | RetargetResult | SplitResult], as_json: bool) -> None:
    """Print results as JSON if wanted, and end with status 2 if there is a problem."""
    import attrs  # noqa: PLC0415

    if as_json:
        typer.echo(json.dumps([attrs.asdict(result) for result in results], indent=1))
    if any(result.problem for result in results):
        raise typer.Exit(_EXIT_PROBLEM)


def repair(
    path: Annotated[Path, typer.Argument(help="Motion file (.npz), a directory of them, or a packed file.")],
    out: Annotated[Path, _OUT],
    only: Annotated[str, typer.Option(help="Repair only clips whose name contains this text.")] = "",
    keep_root_xy: Annotated[bool, _KEEP_ROOT_XY] = False,
    blend: Annotated[float, _BLEND] = 0.0,
    robot: Annotated[str, _ROBOT] = "g1",
    pictures: Annotated[Path | None, _PICTURES] = None,
    jobs: Annotated[int, _JOBS] = 0,
    overwrite: Annotated[bool, _OVERWRITE] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Put stance feet on the floor and keep them there; resolve overlaps, spikes, jitter and joint limits.

    Exits with 2 if a clip cannot be repaired.
    """
    _require_packages()
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
    if not as_json:
        show_repairs(results, Console())
    _finish(results, as_json)


def retarget(
    path: Annotated[Path, typer.Argument(help="A person's motion (BVH, SMPL, joint positions), or a directory.")],
    out: Annotated[Path, _OUT],
    robot: Annotated[str, _ROBOT] = "g1",
    format_: Annotated[str, typer.Option("--format", help="Skeleton source; auto detects it.")] = "auto",
    names: Annotated[Path | None, typer.Option(help="TOML file with the joint of each part of the body.")] = None,
    unit: Annotated[str, typer.Option(help="Unit of the file: m, cm, mm, in, cmu, or metres per unit.")] = "",
    up: Annotated[str, typer.Option(help="Axis of the file that points up: x, y, z, -x, -y or -z.")] = "",
    fps: Annotated[float | None, _FPS] = None,
    rate: Annotated[float, typer.Option(min=1.0, max=1000.0, help="Frame rate of the robot's motion.")] = 50.0,
    set_: Annotated[list[str] | None, _SET] = None,
    keep_root_xy: Annotated[bool, _KEEP_ROOT_XY] = False,
    blend: Annotated[float, _BLEND] = 0.0,
    licence: Annotated[str, typer.Option(help="Licence to store in the motion files.")] = "",
    pictures: Annotated[Path | None, _PICTURES] = None,
    jobs: Annotated[int, _JOBS] = 0,
    overwrite: Annotated[bool, _OVERWRITE] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Make a robot move like a recorded person: scale, solve inverse kinematics, repair the stances.

    Exits with 2 if a motion cannot be retargeted.
    """
    _require_packages()
    from rich.console import Console  # noqa: PLC0415

    from mtrack_motion.cli import read_settings  # noqa: PLC0415
    from mtrack_retarget.output import Output  # noqa: PLC0415
    from mtrack_retarget.repair import RepairOptions  # noqa: PLC0415
    from mtrack_retarget.report import show_retargets  # noqa: PLC0415
    from mtrack_retarget.retargeting import RetargetJob, retarget_motions  # noqa: PLC0415

    job = RetargetJob(
        output=Output(out, overwrite),
        robot=robot,
        format=format_,
        settings=read_settings(set_ or (), {"--fps": fps}),
        rate=rate,
        names=names,
        unit=unit or None,
        up=up or None,
        licence=licence,
        options=RepairOptions(keep_root_xy, blend),
        pictures=pictures,
    )
    results, shown = [], set[str]()
    for result in retarget_motions(path, job, jobs):
        results.append(result)
        _say_new(result.reading, shown)
        typer.echo(_outcome(result), err=True)
    results.sort(key=lambda result: (result.source, result.clip))
    if not as_json:
        show_retargets(results, Console())
    _finish(results, as_json)


def _say_new(lines: Sequence[str], shown: set[str]) -> None:
    """Print lines that were not printed before: a hundred files of one kind are read alike."""
    for line in dict.fromkeys(lines):
        if line not in shown:
            typer.echo(f"  {line}", err=True)
    shown.update(lines)


def _outcome(result: RetargetResult) -> str:
    """Return the result for a person or file in one line."""
    if result.problem:
        return f"error: {result.problem}"
    if result.skipped:
        return f"{result.source}: skipped: {result.skipped}"
    return f"{result.source}: {result.file}{' (already done)' if result.done_before else ''}"


def split(
    path: Annotated[Path, typer.Argument(help="Motion file (.npz), a directory of them, or a packed file.")],
    out: Annotated[Path, _OUT],
    longest: Annotated[float, typer.Option(help="Longest clip [s].")] = 20.0,
    shortest: Annotated[float, typer.Option(help="Shortest clip, at most half of the longest [s].")] = 3.0,
    robot: Annotated[str, _ROBOT] = "g1",
    overwrite: Annotated[bool, _OVERWRITE] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Cut long motions into clips, in frames in which both feet stand and the robot moves least."""
    _require_packages()
    from mtrack_retarget.output import Output  # noqa: PLC0415
    from mtrack_retarget.splitting import SplitLengths, split_motions  # noqa: PLC0415

    results = []
    for result in split_motions(path, Output(out, overwrite), robot, SplitLengths(longest, shortest)):
        results.append(result)
        if result.problem:
            typer.echo(f"error: {result.source}: {result.problem}", err=True)
        elif not as_json:
            feet = f"{result.feet} {'foot stands' if result.feet == 1 else 'feet stand'} in the last frame"
            done = " (already done)" if result.done_before else ""
            typer.echo(f"{result.file}  {result.seconds:.1f} s from frame {result.first_frame}, {feet}{done}")
    _finish(results, as_json)
