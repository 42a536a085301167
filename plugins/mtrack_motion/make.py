"""`mtrack motions make`: write built-in clips as motion files. Heavy modules are imported when called."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mtrack import Clip

SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Context settings of the command: each kind has its own parameters."""


def make(
    context: typer.Context,
    kind: Annotated[str, typer.Option(help="Kind of motion, built-in clip, or `library` for all clips.")] = "",
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Directory for the motion files.")] = None,
    name: Annotated[str, typer.Option(help="Name of the clip; default: the kind and its parameters.")] = "",
    side: Annotated[str, typer.Option(help="Side that starts or moves: left or right; default: random.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random choices.")] = 0,
    variants: Annotated[int, typer.Option(min=1, max=1000, help="Number of randomly varied clips.")] = 1,
    spread: Annotated[
        float, typer.Option(min=0.0, max=0.3, help="Random relative variation of sizes and times.")
    ] = 0.0,
    robot: Annotated[str, typer.Option(help="Robot that moves: name, or file (.toml, .xml, .urdf).")] = "g1",
    list_: Annotated[
        bool, typer.Option("--list", help="List kinds, their parameters (units, defaults, bounds) and clips.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace motion files that differ.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list, or the files written, as JSON.")] = False,
) -> None:
    """Make balanced clips of a robot: stand, squat, reach, wave, bow, sway, step_in_place, walk, kick, half_kneel.

    Every kind has its own parameters, e.g. --kind walk --speed 0.6 --turn 0.3; --list shows them.
    """
    from mtrack import MotionError  # noqa: PLC0415
    from mtrack.registry.registry import Registry  # noqa: PLC0415
    from mtrack_motion.chosen_robot import chosen_robot  # noqa: PLC0415
    from mtrack_motion.file import file_name  # noqa: PLC0415
    from mtrack_motion.motion_errors import raise_all  # noqa: PLC0415
    from mtrack_procedural.catalogue import listed, listing, source_for  # noqa: PLC0415

    if list_:
        typer.echo(json.dumps(listing(), indent=2) if as_json else listed())
        return
    if not kind or out is None:
        raise MotionError("give --kind and --out, e.g. mtrack motions make --kind walk -o DIRECTORY; --list shows all")
    given = _parameters(context.args)
    source = source_for(kind, given, side, seed, variants, spread)
    clips = source.clips(chosen_robot(Registry.scan(), robot).model())
    for left, reason in source.left_out.items():
        typer.echo(f"left out '{left}': {reason}", err=True)
    files, problems = [], []
    for clip in _named(clips, name or "_".join([kind, *(f"{key}{value}" for key, value in given.items())]), kind):
        file = out / f"{file_name(clip.name)}.npz"
        try:
            _write(file, clip, overwrite)
        except MotionError as error:  # the other clips can still be written
            problems.append(error)
            continue
        files.append(file)
        if not as_json:
            typer.echo(file)
    if as_json:
        typer.echo(json.dumps([str(file) for file in files], indent=2))
    raise_all(problems)


def _parameters(arguments: Sequence[str]) -> dict[str, str]:
    """Return the value of each `--name VALUE` or `--name=VALUE`. Raises MotionError."""
    from mtrack import MotionError  # noqa: PLC0415

    given: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        option, _, value = argument.partition("=")
        if not option.startswith("--"):
            raise MotionError(f"'{argument}' is not an option; write parameters as --speed 0.6")
        value = value or next(rest, "")
        if not value:
            raise MotionError(f"{option}: the value is missing; write for example --speed 0.6")
        given[option.removeprefix("--").replace("-", "_")] = value
    return given


def _named(clips: Sequence[Clip], name: str, kind: str) -> Iterator[Clip]:
    """Yield clips with the names of their files; clips of the library keep their names."""
    import attrs  # noqa: PLC0415

    for number, clip in enumerate(clips):
        own = name if len(clips) == 1 else f"{name}_{number}"
        yield clip if kind == "library" else attrs.evolve(clip, name=own)


def _write(file: Path, clip: Clip, overwrite: bool) -> None:
    """Write a clip. Raises MotionError if the file exists with another motion."""
    from mtrack import MotionError  # noqa: PLC0415
    from mtrack_motion.clip import content_hash  # noqa: PLC0415
    from mtrack_motion.file import read_clip, write_clip  # noqa: PLC0415

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MotionError(f"cannot create {file.parent}: {error.strerror}; choose another directory") from None
    if file.exists() and not overwrite and content_hash(read_clip(file)) != content_hash(clip):
        raise MotionError(f"{file}: exists with another motion; choose another --name, or use --overwrite")
    write_clip(file, clip)
