"""`mtrack motions`: import, make, list and pack motions. Heavy modules are imported inside the commands."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtrack_motion.make import SETTINGS, make
from mtrack_motion.view import view

if TYPE_CHECKING:
    from mtrack_motion.importing import Imported
    from mtrack_motion.installed_importer import Settings

motions = typer.Typer(
    name="motions", help="Import, make, check and view motions.", no_args_is_help=True, rich_markup_mode=None
)

motions.command("make", context_settings=SETTINGS)(make)
motions.command("view")(view)

_EXIT_PROBLEM = 2


@motions.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="Motion file of another project, or a directory of such files.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Directory for the motion files.")],
    format_: Annotated[str, typer.Option("--format", help="Importer; auto detects it from the content.")] = "auto",
    robot: Annotated[
        str, typer.Option(help="Robot to check the motions against: name, or file (.toml, .xml, .urdf).")
    ] = "g1",
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter of the importer.")
    ] = None,
    fps: Annotated[float | None, typer.Option(help="Frame rate to use (--set fps=VALUE).")] = None,
    fill_missing: Annotated[
        bool,
        typer.Option("--fill-missing", help="Keep missing joints at their default (--set fill_missing=true)."),
    ] = False,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Import even if checks fail: units, orders, jumps (--set trust=true)."),
    ] = False,
    licence: Annotated[str, typer.Option(help="Licence to store in the motion files.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace motion files that differ.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result for each file as JSON.")] = False,
) -> None:
    """Convert motions of other formats to motion files, and report what was found, assumed and filled in."""
    import attrs  # noqa: PLC0415

    from mtrack.registry.registry import Registry  # noqa: PLC0415
    from mtrack_motion.importing import Choices, import_motions  # noqa: PLC0415

    flags = {"--fps": fps, "--fill-missing": fill_missing or None, "--trust": trust or None}
    choices = Choices(out, format_, robot, read_settings(set_ or (), flags), overwrite, licence)
    results = []
    with _log_to_stderr():
        for result in import_motions(Registry.scan(), path, choices):
            results.append(result)
            if result.file and not as_json:
                typer.echo(result.file)
            for line in result.oddities:
                _say(f"odd: {line}")
            _say(_outcome(result))
    if as_json:
        typer.echo(json.dumps([attrs.asdict(result) for result in results], indent=2))
    written, problems, skipped = (
        sum(bool(getattr(result, of)) for result in results) for of in ("file", "problem", "skipped")
    )
    more = (f", {problems} not imported" if problems else "") + (f", {skipped} skipped" if skipped else "")
    _say(f"{written} clip{'s' if written != 1 else ''} written to {out}{more}")
    if problems:
        raise typer.Exit(_EXIT_PROBLEM)


@motions.command("info")
def info(
    path: Annotated[Path, typer.Argument(help="Motion file (.npz), a directory of them, or a packed file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List motion files: rate, length, joints, root height, joint speed, origin, hash."""
    import attrs  # noqa: PLC0415

    from mtrack import MotionError  # noqa: PLC0415
    from mtrack_motion.reading import each_clip  # noqa: PLC0415
    from mtrack_motion.summary import ClipSummary, table  # noqa: PLC0415

    summaries, problems = [], 0
    for file, read in each_clip(path):
        try:
            summaries.append(ClipSummary.of(read(), str(file)))
        except MotionError as error:
            problems += 1
            _say(f"error: {error}")
    if as_json:
        typer.echo(json.dumps([attrs.asdict(summary) for summary in summaries], indent=2))
    elif summaries:
        typer.echo("\n".join(table(summaries)))
    if problems:
        raise typer.Exit(_EXIT_PROBLEM)


@motions.command("pack")
def pack(
    path: Annotated[Path, typer.Argument(help="Motion file (.npz), a directory of them, or a packed file.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Packed file to write.")],
    robot: Annotated[
        str, typer.Option(help="Robot for which frames are derived: name, or file (.toml, .xml, .urdf).")
    ] = "g1",
    control_dt: Annotated[float, typer.Option(help="Control step of the recipes that will use the file [s].")] = 0.02,
    contact: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A threshold, if command.contact_KEY is not its default."),
    ] = None,
    allow_jumps: Annotated[
        bool, typer.Option("--allow-jumps", help="Also pack clips that jump or repeat frames.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was packed as JSON.")] = False,
) -> None:
    """Pack many clips with all derived quantities into one file that processes share; exits 2 if one is left out."""
    import attrs  # noqa: PLC0415

    from mtrack_motion.packing import pack_for  # noqa: PLC0415

    packed = pack_for(path, out, robot, control_dt, contact or (), allow_jumps)
    for name, reason in packed.left_out.items():
        _say(f"left out '{name}': {reason}")
    if as_json:
        typer.echo(json.dumps(attrs.asdict(packed), indent=2))
    else:
        minutes = packed.frames * control_dt / 60.0
        typer.echo(
            f"{out}: {packed.clips} clips, {packed.frames:,} frames, {minutes:.1f} min, {packed.bytes / 1e6:,.0f} MB"
        )
    if packed.num_failed:
        _say(f"{packed.num_failed} not packed; see the reasons above")
        raise typer.Exit(_EXIT_PROBLEM)


def read_settings(texts: Sequence[str], flags: Mapping[str, object]) -> Settings:
    """Return the parameters from `--set NAME=VALUE` and from flags. Raises MtrackError."""
    from mtrack import MtrackError  # noqa: PLC0415
    from mtrack.recipe.keypath import parse_value  # noqa: PLC0415
    from mtrack_motion.installed_importer import Settings  # noqa: PLC0415

    given = [
        (flag.removeprefix("--").replace("-", "_"), value, flag) for flag, value in flags.items() if value is not None
    ]
    for text in texts:
        name, equals, written = (part.strip() for part in text.partition("="))
        if not equals or not name.isidentifier():
            raise MtrackError(f"--set {text}: expected NAME=VALUE, e.g. --set fps=50")
        try:
            given.append((name, parse_value(written), f"--set {text}"))
        except ValueError as error:
            raise MtrackError(f"--set {text}: {error}") from None
    names = [name for name, _, _ in given]
    for name in names:
        if names.count(name) > 1:
            raise MtrackError(f"{name} is given twice; remove one of them")
    return Settings({name: value for name, value, _ in given}, {name: written for name, _, written in given})


def _outcome(result: Imported) -> str:
    """Return the result for a file or motion in one line."""
    if result.problem:
        return f"error: {result.problem}"
    return f"{result.source}: " + (f"skipped: {result.skipped}" if result.skipped else result.found)


def _say(line: str) -> None:
    typer.echo(line, err=True)


class _OnceHandler(logging.Handler):
    """Prints each message once: a hundred files of one format have the same assumptions."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.printed: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message of a record if it is new."""
        from mtrack_motion.decompress import without_folder  # noqa: PLC0415

        text = without_folder(record.getMessage())
        if text not in self.printed:
            self.printed.add(text)
            _say(text)


@contextmanager
def _log_to_stderr() -> Iterator[None]:
    """Print what importers log on stderr, each message once."""
    root, handler = logging.getLogger(), _OnceHandler()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
