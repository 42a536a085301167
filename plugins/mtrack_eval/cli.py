"""The command line of `mtrack eval`. Slow imports happen inside the command."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from mtrack import MtrackError
from mtrack.cli.options import PluginFiles
from mtrack_eval.run_arguments import AgainstRuns, RunGroupsCommand, run_groups

if TYPE_CHECKING:
    from mtrack_eval.evaluated_run import EvalOptions

ScoredRuns: TypeAlias = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUN...",
        help="Directories of runs, whose newest checkpoints are scored; a folder of runs counts as its runs. "
        "Also RUN@best, the path of a checkpoint, or wandb:ENTITY/PROJECT/RUN[:vN].",
    ),
]


def evaluate(
    runs: ScoredRuns,
    against: AgainstRuns = None,
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
    again: Annotated[
        bool, typer.Option("--again", help="With several runs: score also those whose stored scores are up to date.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all metrics as JSON.")] = False,
) -> None:
    """Score runs on every clip, or by episodes if their task has no clips; compare several with equal rollouts."""
    from mtrack.run.fetched import local_run  # noqa: PLC0415
    from mtrack_eval.evaluated_run import EvalOptions  # noqa: PLC0415

    _log_to_stderr()
    runs = [local_run(run) for run in runs]
    groups = run_groups(runs, [local_run(run) for run in against or ()])
    _use_all_cpus()
    options = EvalOptions(
        rollouts=rollouts,
        episodes=episodes,
        actor=actor,
        motions=motions,
        seed=seed,
        noise=noise,
        overrides=tuple(set_ or ()),
        files=tuple(plugin or ()),
        allow_change=allow_change,
    )
    members = [run for group in groups.values() for run in group.values()]
    if members == runs[:1]:
        _score(runs[0], options, plots, strip, as_json)
    else:
        _compare(groups, options, plots, strip, again, as_json)


def _score(run: Path, options: EvalOptions, plots: bool, strips: bool, as_json: bool) -> None:
    """Score one run and print its report. Raises MtrackError."""
    from rich.console import Console  # noqa: PLC0415

    from mtrack_eval.evaluation import evaluate_run  # noqa: PLC0415

    report = evaluate_run(run, options, plots, strips, is_stored=True)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=1))
    else:
        report.show(Console())


def _compare(
    groups: Mapping[str, Mapping[str, Path]],
    options: EvalOptions,
    plots: bool,
    strips: bool,
    again: bool,
    as_json: bool,
) -> None:
    """Score several runs and print their median and range. Raises MtrackError, in the end if a run cannot be scored."""
    from rich.console import Console  # noqa: PLC0415

    from mtrack_eval.group_report import group_report  # noqa: PLC0415
    from mtrack_eval.group_table import show_groups  # noqa: PLC0415
    from mtrack_eval.several_runs import evaluate_runs  # noqa: PLC0415

    names = {run: name for group in groups.values() for name, run in group.items()}
    scored = evaluate_runs(list(names), options, with_plots=plots, with_strips=strips, again=again)
    if not scored.found:
        raise next(iter(scored.problems.values()))
    found = {
        group: {name: scored.found[run] for name, run in runs.items() if run in scored.found}
        for group, runs in groups.items()
    }
    report = group_report({group: runs for group, runs in found.items() if runs})
    problems = {names[run]: str(error) for run, error in scored.problems.items()}
    if as_json:
        typer.echo(json.dumps({**report.to_dict(), "problems": problems}, indent=1))
    else:
        show_groups(report, Console())
    if problems:
        listed = "".join(f"\n  {name}: {problem}" for name, problem in problems.items())
        raise MtrackError(f"{len(problems)} of {len(names)} runs could not be scored and are left out:{listed}")


evaluate.command_settings = {"cls": RunGroupsCommand}  # type: ignore[attr-defined]


def _use_all_cpus() -> None:
    import torch  # noqa: PLC0415

    from mtrack.api.device import available_cpus  # noqa: PLC0415

    torch.set_num_threads(available_cpus())


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
