"""The command `mtrack run`: checks its options, prepares the run directory, and runs."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from mtrack.errors import MtrackError, did_you_mean
from mtrack.run.run_directory import is_of_seeds, short

if TYPE_CHECKING:
    from mtrack.cli.play_window import PlayWindow
    from mtrack.recipe.checked import Recipe
    from mtrack.registry.registry import Registry
    from mtrack.run.hooks import Hooks
    from mtrack.run.train import TrainResult


_StartingRun: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="RUN",
        help="Start with the agent of another run; also RUN@best or wandb:ENTITY/PROJECT/RUN[:vN].",
    ),
]


def run(
    recipe: Annotated[str, typer.Argument(help="Recipe file, or the name of an installed one.")] = "",
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change a recipe key.")] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed; short for --set seed=N.")] = None,
    seeds: Annotated[
        str, typer.Option(metavar="N|N,N...", help="Train one run per seed: so many, from --seed on, or these seeds.")
    ] = "",
    run_dir: Annotated[Path | None, typer.Option(help="Directory of the run; default runs/NAME-TIME.")] = None,
    from_: _StartingRun = None,
    resume: Annotated[
        Path | None, typer.Option(help="Continue a run, or a directory of seeds, from its last checkpoint.")
    ] = None,
    allow_change: Annotated[
        bool, typer.Option("--allow-change", help="Continue even if the recipe or package versions have changed.")
    ] = False,
    plugin: Annotated[
        list[str] | None,
        typer.Option("-p", metavar="FILE.py|no:HOOK", help="Use the components of this file, or disable a hook."),
    ] = None,
    open_: Annotated[
        bool, typer.Option("--open", help="Watch the run in the browser with mtrack play; after the end, until Ctrl-C.")
    ] = False,
) -> None:
    """Train all phases of a recipe, with checkpoints."""
    if resume:
        _require_run(resume, recipe, from_, run_dir)
    elif not recipe:
        raise MtrackError("give a recipe (mtrack run g1_tracking_quick), or a run to resume (--resume runs/NAME)")
    options = plugin or []
    files = [option for option in options if not option.startswith("no:")]
    settings = [*(set_ or []), *([f"seed={seed}"] if seed is not None else [])]
    logging.basicConfig(format="%(message)s", level=logging.INFO)

    from mtrack.cli.run_seeds import continue_seeds, start_seeds
    from mtrack.recipe.checked import check_recipe
    from mtrack.recipe.load import read_recipe
    from mtrack.registry.registry import Registry
    from mtrack.run.hooks import Hooks
    from mtrack.run.resume import resumed_recipe
    from mtrack.run.train import train

    registry = Registry.scan(files=files)
    if seeds or (resume and is_of_seeds(resume)):
        _require_no_contradiction(resume, seeds, seed, settings, open_)
        if resume:
            raise typer.Exit(continue_seeds(resume, registry, options, allow_change=allow_change))
        raise typer.Exit(start_seeds(recipe, settings, seeds, run_dir, from_, registry, options, allow_change))
    if resume:
        checked = resumed_recipe(resume, settings, registry, allow_change=allow_change)
    else:
        checked = check_recipe(read_recipe(recipe, settings), registry)
    hooks = Hooks.load(registry, set(options) - set(files))
    with _window(hooks, files, registry) if open_ else nullcontext() as window:
        result = train(
            checked, resume or run_dir, init_from=from_, resume=bool(resume), allow_change=allow_change, hooks=hooks
        )
        _say_what_next(result, checked, options, has_own_start=not from_)
        if window and not result.exit_status and sys.stderr.isatty():
            window.wait()
    raise typer.Exit(result.exit_status)


@contextmanager
def _window(hooks: Hooks, files: list[str], registry: Registry) -> Iterator[PlayWindow]:
    """Watch a run with `mtrack play` while entered. Raises MtrackError if it is not installed."""
    from mtrack.cli.play_window import PlayWindow, require_play

    require_play(registry)
    window = PlayWindow([word for file in files for word in ("-p", file)])
    hooks.add(window, "--open")
    try:
        yield window
    finally:
        window.close()


def _say_what_next(result: TrainResult, recipe: Recipe, options: list[str], has_own_start: bool) -> None:
    """Write the commands that continue from a run that has finished or was stopped."""
    from mtrack.api.abilities import PlaysClips
    from mtrack.cli.next_steps import next_steps
    from mtrack.run.checkpoint_facts import has_any

    run, is_saved = short(result.directory), has_any(result.directory)
    if os.environ.get("RANK", "0") != "0" or (not is_saved and not has_own_start):
        return
    lines = next_steps(
        run,
        options,
        recipe.registry,
        was_stopped=result.status == "interrupted",
        is_saved=is_saved,
        plays_clips=issubclass(recipe.command.cls, PlaysClips),
    )
    typer.echo("\n".join(lines), err=True)


def _require_run(folder: Path, recipe: str, from_: Path | None, run_dir: Path | None) -> None:
    """Raise MtrackError if `--resume` names no run or directory of seeds, or if other options contradict it."""
    from mtrack.run.fetched import is_reference

    if recipe:
        change = "to change keys, use --set A.B=VALUE and --allow-change"
        raise MtrackError(f"--resume uses the recipe in {folder}: leave out '{recipe}' or --resume ({change})")
    if from_:
        raise MtrackError(
            "--from starts a new run with the agent of another one, --resume continues a run: give only one"
        )
    if run_dir:
        raise MtrackError(f"--resume continues in {folder} itself: leave out --run-dir")
    if is_reference(folder):
        raise MtrackError(f"--resume continues in a run directory; --from {folder} starts a new run with its agent")
    if not folder.exists() and is_of_seeds(folder.parent):
        raise MtrackError(f"--resume {folder}: this run has not started; resume all seeds: --resume {folder.parent}")
    if not folder.exists():
        siblings = [path.name for path in folder.parent.glob("*/")]
        raise MtrackError(f"--resume {folder}: no such directory. {did_you_mean(folder.name, siblings)}".rstrip())
    if not folder.is_dir():
        raise MtrackError(f"--resume {folder}: not a directory; expected a run directory, such as runs/NAME")
    if is_of_seeds(folder) or (folder.absolute().parent.name != "ranks" and (folder / "recipe.toml").exists()):
        return
    run = next((parent for parent in folder.absolute().parents[:2] if (parent / "recipe.toml").exists()), None)
    if run is None:
        raise MtrackError(f"--resume {folder}: not a run directory, recipe.toml is missing")
    hint = f"--resume {short(run)} continues from its newest checkpoint"
    if (folder / "manifest.json").exists() and folder.parent.name == "checkpoints":
        hint += f"; --from {folder} starts a new run with the agent of this checkpoint"
    raise MtrackError(f"--resume {folder}: not a run directory, but a folder inside one. {hint}")


def _require_no_contradiction(
    resume: Path | None, seeds: str, seed: int | None, settings: list[str], open_: bool
) -> None:
    """Raise MtrackError if other options contradict `--seeds`, or `--resume` of a directory of seeds."""
    if resume and seeds:
        raise MtrackError(f"--resume {resume} continues what was started there: leave out --seeds")
    if resume and settings:
        raise MtrackError(
            f"{resume} holds the runs of several seeds, whose recipe must not change between them: leave out --set and "
            f"--seed, or resume one run with the change: --resume {resume / 'seed_N'} --set A.B=VALUE --allow-change"
        )
    if "," in seeds and seed is not None:
        raise MtrackError(f"--seeds {seeds} names the seeds: leave out --seed {seed}")
    if open_:
        raise MtrackError(
            "--open watches one run: leave it out, and watch any of them with mtrack play DIR/seed_N --follow --open"
        )
