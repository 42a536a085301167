"""`mtrack motions make`: built-in clips as motion files. Imports what is heavy only when called."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mtrack.exchange import Clip

SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}
"""For the command: parameters differ from kind to kind."""


def make(
    context: typer.Context,
    kind: Annotated[str, typer.Option(help="Kind of motion, clip of the library, or `library` for all of them.")] = "",
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Directory for the motion files.")] = None,
    name: Annotated[str, typer.Option(help="Name of the clip; default: the kind and what was chosen.")] = "",
    side: Annotated[str, typer.Option(help="Side that begins, or does all: left or right; default: by seed.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Decides what is left to chance.")] = 0,
    variants: Annotated[int, typer.Option(min=1, max=1000, help="Clips that differ by chance.")] = 1,
    spread: Annotated[
        float, typer.Option(min=0.0, max=0.3, help="Share by which sizes and times differ from what is asked for.")
    ] = 0.0,
    list_: Annotated[
        bool, typer.Option("--list", help="List kinds, their parameters with units, defaults and bounds, and clips.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace motion files that differ.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list, or the files written, as JSON.")] = False,
) -> None:
    """Make balanced clips of the G1: stand, squat, reach, wave, bow, sway, step_in_place, walk, kick, half_kneel.

    Every kind has parameters of its own, as in --kind walk --speed 0.6 --turn 0.3; --list names them.
    """
    from mtrack.errors import MotionError  # noqa: PLC0415
    from mtrack.registry import Registry, is_own  # noqa: PLC0415
    from mtrack_motion.importing import file_name  # noqa: PLC0415
    from mtrack_motion.motion_errors import raise_all  # noqa: PLC0415
    from mtrack_procedural.catalogue import listed, listing, ordered  # noqa: PLC0415

    if list_:
        typer.echo(json.dumps(listing(), indent=2) if as_json else listed())
        return
    if not kind or out is None:
        raise MotionError("say what to make and where: mtrack motions make --kind walk -o DIRECTORY; --list lists all")
    given = _parameters(context.args)
    source = ordered(kind, given, side, seed, variants, spread)
    registry = Registry.scan()
    robot = registry.load(registry.find("robot", "g1", is_own))().model()
    clips = source.clips(robot)
    files, problems = [], []
    for clip in _named(clips, name or "_".join([kind, *(f"{key}{value}" for key, value in given.items())]), kind):
        file = out / f"{file_name(clip.name)}.npz"
        try:
            _keep(file, clip, overwrite)
        except MotionError as error:  # the others can be written all the same
            problems.append(error)
            continue
        files.append(file)
        if not as_json:
            typer.echo(file)
    if as_json:
        typer.echo(json.dumps([str(file) for file in files], indent=2))
    raise_all(problems)


def _parameters(arguments: Sequence[str]) -> dict[str, str]:
    """Return what follows each `--name`, or stands behind its `=`. Raises MotionError."""
    from mtrack.errors import MotionError  # noqa: PLC0415

    given: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        option, _, value = argument.partition("=")
        if not option.startswith("--"):
            raise MotionError(f"'{argument}' is no option; parameters are given as --speed 0.6")
        value = value or next(rest, "")
        if not value:
            raise MotionError(f"{option}: has no value; give one, as in --speed 0.6")
        given[option.removeprefix("--").replace("-", "_")] = value
    return given


def _named(clips: Sequence[Clip], name: str, kind: str) -> Iterator[Clip]:
    """Yield clips with the names of their files; those of the library keep their own."""
    import attrs  # noqa: PLC0415

    for number, clip in enumerate(clips):
        own = name if len(clips) == 1 else f"{name}_{number}"
        yield clip if kind == "library" else attrs.evolve(clip, name=own)


def _keep(file: Path, clip: Clip, overwrite: bool) -> None:
    """Write a clip. Raises MotionError where another motion is there already."""
    from mtrack.errors import MotionError  # noqa: PLC0415
    from mtrack_motion.clip import content_hash  # noqa: PLC0415
    from mtrack_motion.file import read_clip, write_clip  # noqa: PLC0415

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MotionError(f"{file.parent}: cannot be made: {error.strerror}; choose another directory") from None
    if file.exists() and not overwrite and content_hash(read_clip(file)) != content_hash(clip):
        raise MotionError(f"{file}: is there already, with another motion; choose another --name, or --overwrite")
    write_clip(file, clip)
