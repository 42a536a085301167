"""The command line of `mtrack report`. Slow imports happen inside the command."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from mtrack.cli.options import PluginFiles
from mtrack_eval.run_arguments import AgainstRuns, RunGroupsCommand

FILE = "report.html"


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Directories of runs, several are compared; a folder of runs counts as its runs."
        ),
    ],
    against: AgainstRuns = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help=f"File to write; default: {FILE}, in the run directory if there is one run."
        ),
    ] = None,
    evaluate: Annotated[
        bool, typer.Option("--eval/--no-eval", help="Evaluate and record what is missing, or use what exists.")
    ] = True,
    plugin: PluginFiles = None,
    allow_change: Annotated[
        bool, typer.Option("--allow-change", help="Evaluate a run even if component versions have changed.")
    ] = False,
) -> None:
    """Write a report of a run, or a comparison of several, as one HTML file that needs nothing else."""
    from mtrack_report.reports import write  # noqa: PLC0415

    logging.basicConfig(format="%(message)s")
    logging.getLogger("mtrack").setLevel(logging.INFO)
    typer.echo(write(runs, against or (), output, evaluate, plugin or (), allow_change))


report.command_settings = {"cls": RunGroupsCommand}  # type: ignore[attr-defined]
