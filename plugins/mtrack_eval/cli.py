"""`mtrack eval`. Imports what is heavy only inside the command."""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mtrack.cli.options import PluginFiles


def evaluate(
    run: Annotated[Path, typer.Argument(help="Directory of a run; its newest checkpoint is scored.")],
    motions: Annotated[
        Path | None, typer.Option(help="Score on these: motion files, a directory, or what can be imported.")
    ] = None,
    actor: Annotated[str, typer.Option(help="teacher or student; default: that of the newest checkpoint.")] = "",
    rollouts: Annotated[
        int | None, typer.Option(min=1, help="Rollouts per clip, each with its own random draws; default: 8.")
    ] = None,
    episodes: Annotated[
        int | None,
        typer.Option(
            min=1, help="Score so many whole episodes, ended as in training; default for tasks without clips: 100."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the draws; default: the recipe's.")] = None,
    noise: Annotated[bool, typer.Option("--noise", help="Observations and starts as noisy as in training.")] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change a recipe key.")] = None,
    plugin: PluginFiles = None,
    allow_change: Annotated[
        bool, typer.Option("--allow-change", help="Score it though components are here in another version.")
    ] = False,
    figures: Annotated[bool, typer.Option(help="Draw figures into the run directory.")] = True,
    strip: Annotated[
        bool,
        typer.Option("--strip", help="Draw the worst 5 clips or episodes as picture strips, into the run directory."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Score a run on every clip, or by episodes if its task has no clips, next to baselines."""
    from rich.console import Console  # noqa: PLC0415

    from mtrack_eval import clip_report, episode_report  # noqa: PLC0415
    from mtrack_eval.evaluated_run import Wishes  # noqa: PLC0415
    from mtrack_eval.evaluation import evaluate_run  # noqa: PLC0415

    _talk_on_stderr()
    wishes = Wishes(
        rollouts=rollouts,
        episodes=episodes,
        actor=actor,
        motions=motions,
        seed=seed,
        noise=noise,
        overrides=tuple(set_ or ()),
        allow_change=allow_change,
        files=tuple(plugin or ()),
    )
    evaluation = evaluate_run(run, wishes, figures, strip)
    if isinstance(evaluation, episode_report.EpisodeEvaluation):
        facts, show = partial(episode_report.as_json, evaluation), partial(episode_report.show, evaluation)
    else:
        facts, show = partial(clip_report.as_json, evaluation), partial(clip_report.show, evaluation)
    if as_json:
        typer.echo(json.dumps(facts(), indent=1))
    else:
        show(Console())


def _talk_on_stderr() -> None:
    """Let what is logged appear on stderr, each message once: many files of one format rest on the same assumptions."""
    said: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        text = record.getMessage()
        was_new = text not in said
        said.add(text)
        return was_new

    handler = logging.StreamHandler()
    handler.addFilter(is_new)
    logging.basicConfig(format="%(message)s", level=logging.INFO, handlers=[handler])
