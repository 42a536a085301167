"""The command line of `mtrack eval`. Slow imports happen inside the command."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated

import typer

import mtrack_eval
from mtrack.cli.options import PluginFiles


def evaluate(
    run: Annotated[Path, typer.Argument(help="Directory of a run; its newest checkpoint is scored.")],
    motions: Annotated[
        Path | None, typer.Option(help="Score on these: motion files, a directory, or files that can be imported.")
    ] = None,
    actor: Annotated[str, typer.Option(help="teacher or student; default: the newest checkpoint's actor.")] = "",
    rollouts: Annotated[
        int | None, typer.Option(min=1, help="Rollouts per clip, each with its own random draws; default: 8.")
    ] = None,
    episodes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Score this many whole episodes, which end as in training; default for tasks without clips: 100.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of all random draws; default: the recipe's.")] = None,
    noise: Annotated[
        bool, typer.Option("--noise", help="Use the observation noise and the start noise of training.")
    ] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change a recipe key.")] = None,
    plugin: PluginFiles = None,
    allow_change: Annotated[
        bool, typer.Option("--allow-change", help="Score the run even if component versions have changed.")
    ] = False,
    plots: Annotated[bool, typer.Option(help="Draw plots into the run directory.")] = True,
    strip: Annotated[
        bool,
        typer.Option("--strip", help="Draw the worst 5 clips or episodes as picture strips, into the run directory."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all metrics as JSON.")] = False,
) -> None:
    """Score a run on every clip, or by episodes if its task has no clips, next to baselines."""
    import torch  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    from mtrack.api.device import available_cpus  # noqa: PLC0415

    _log_to_stderr()
    torch.set_num_threads(available_cpus())
    report = mtrack_eval.evaluate(
        run,
        motions=motions,
        actor=actor,
        rollouts=rollouts,
        episodes=episodes,
        seed=seed,
        noise=noise,
        overrides=set_ or (),
        plugins=plugin or (),
        allow_change=allow_change,
        plots=plots,
        strips=strip,
        store=True,
    )
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=1))
    else:
        report.show(Console())


def _log_to_stderr() -> None:
    """Send log records to stderr, each message once: many files of one format rest on the same assumptions."""
    logged: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        text = record.getMessage()
        was_new = text not in logged
        logged.add(text)
        return was_new

    handler = logging.StreamHandler()
    handler.addFilter(is_new)
    logging.basicConfig(format="%(message)s", level=logging.INFO, handlers=[handler])
