"""The command `mtrack bench`. Heavy imports happen inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtrack.cli.options import PluginFiles

_EXIT_SLOWER = 1


def bench(
    recipe: Annotated[str, typer.Argument(help="Recipe file, or the name of an installed one.")],
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change a recipe key.")] = None,
    envs: Annotated[str, typer.Option(metavar="N,N...", help="Numbers of environments to measure.")] = "",
    threads: Annotated[str, typer.Option(metavar="N,N...", help="Numbers of CPUs to measure with.")] = "",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the measurements to this file, as JSON.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="Compare with a file written by -o, of the same recipe on the same machine.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=100.0, help="Allowed drop of a rate in percent; exit 1 if it drops more.  [default: 30]"
        ),
    ] = None,
    plugin: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the measurements as JSON.")] = False,
) -> None:
    """Measure how fast a recipe runs on this machine, in total, by part and relative to its physics alone."""
    from mtrack_bench.sweep import THRESHOLD, run_bench  # noqa: PLC0415

    if threshold is not None and compare is None:
        raise typer.BadParameter("needs --compare FILE", param_hint="--threshold")
    allowed = THRESHOLD if threshold is None else threshold
    counts = _numbers("--envs", envs), _numbers("--threads", threads)
    slower = run_bench(recipe, set_ or [], *counts, out, compare, as_json, allowed, plugin or ())
    for text in slower:
        typer.echo(f"slower than in {compare} by more than {allowed:g} %: {text}", err=True)
    if slower:
        raise typer.Exit(_EXIT_SLOWER)


def _numbers(option: str, text: str) -> list[int]:
    """Return the positive numbers of a comma-separated list. Raises BadParameter."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise typer.BadParameter(f"{text!r} is not a list of positive numbers, e.g. 64,256", param_hint=option)
    return [int(part) for part in parts]
