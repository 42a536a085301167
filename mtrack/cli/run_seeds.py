"""`mtrack run --seeds`: trains one run per seed, one after the other, and continues where it was interrupted."""

from __future__ import annotations

import gc
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
import typer

from mtrack.api.distributed import expected_ranks
from mtrack.cli import show_error
from mtrack.cli.commands import load_command
from mtrack.cli.next_steps import SEED_USES, has_command, next_steps, resume_command
from mtrack.errors import MtrackError, StoppedAtOnce
from mtrack.loop.process_state import process_state_kept
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import override, read_recipe
from mtrack.registry.registry import OWN, Registry
from mtrack.run.checkpoint import newest
from mtrack.run.checkpoint_facts import has_any
from mtrack.run.choose_directory import new_directory
from mtrack.run.compatibility import require_compatible, require_local_files, require_same_versions
from mtrack.run.fetched import local_run
from mtrack.run.hooks import Hooks
from mtrack.run.manifest import manifest
from mtrack.run.resume import resumed_recipe
from mtrack.run.run_directory import locked, short
from mtrack.run.seeds import SeedPlan, is_finished, name_seeds, read_plan
from mtrack.run.train import TrainResult, train

_MOST_SEEDS = 100
_log = logging.getLogger("mtrack")


def start_seeds(
    recipe: str,
    settings: Sequence[str],
    seeds: str,
    directory: Path | None,
    init_from: Path | None,
    registry: Registry,
    options: Sequence[str],
    allow_change: bool,
) -> int:
    """Train one run per seed in a new directory. Return the exit status, see `_train_all`. Raises MtrackError."""
    _require_one_process()
    plan = _new_plan(recipe, settings, seeds, directory, init_from, registry)
    plan.make_directory()
    with locked(plan.directory):
        plan.write()
        try:
            return _train_all(plan, registry, options, allow_change)
        finally:
            plan.discard()


def continue_seeds(directory: Path, registry: Registry, options: Sequence[str], *, allow_change: bool) -> int:
    """Train what is left in a directory of seeds. Return the exit status. Raises MtrackError if code has changed."""
    _require_one_process()
    plan = read_plan(directory)
    require_local_files(plan.directory, plan.manifest, registry, allow_change)
    require_same_versions(plan.directory, plan.manifest, registry, allow_change)
    now = manifest(check_recipe(plan.recipe(plan.seeds[0]), registry))
    require_compatible(plan.directory, plan.manifest, now, "resume", allow_change=allow_change)
    with locked(plan.directory):
        return _train_all(plan, registry, options, allow_change)


def parse_seeds(text: str, first: int) -> tuple[int, ...]:
    """Return the seeds: `3` means three from `first` on, `0,4,7` exactly these. Raises MtrackError."""
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise MtrackError(f"--seeds {text}: expected a number of seeds (3) or a list of seeds (0,4,7)")
    numbers = tuple(map(int, text.split(",")))
    if len(numbers) > 1:
        double = sorted({seed for seed in numbers if numbers.count(seed) > 1})
        if double:
            raise MtrackError(f"--seeds {text}: {', '.join(map(str, double))} occurs more than once")
        return numbers
    if not 1 <= numbers[0] <= _MOST_SEEDS:
        raise MtrackError(
            f"--seeds {text}: from 1 to {_MOST_SEEDS} runs can be trained by one command; "
            f"--seed {text} trains one run with this seed"
        )
    return tuple(range(first, first + numbers[0]))


def _require_one_process() -> None:
    """Raise MtrackError under torchrun, whose processes would have to form a group for each run."""
    if expected_ranks() > 1:
        remedy = "start each seed with its own torchrun, with --seed N --run-dir DIR/seed_N"
        raise MtrackError(f"several seeds cannot be trained under one torchrun: {remedy}")


def _new_plan(
    recipe: str, settings: Sequence[str], seeds: str, directory: Path | None, init_from: Path | None, registry: Registry
) -> SeedPlan:
    """Return the plan of new runs, after everything that can be checked before the first one. Raises MtrackError."""
    source = read_recipe(recipe, settings)
    numbers = parse_seeds(seeds, check_recipe(source, registry).seed)
    first = check_recipe(source.with_layers([override(f"seed={numbers[0]}")]), registry)
    start, problems = newest(local_run(init_from).absolute()) if init_from else (None, [])  # the same for all runs
    for problem in problems:
        _log.warning("%s", problem)
    place = (directory or new_directory(first)).absolute()
    return SeedPlan(place, numbers, source, manifest(first), start.path if start else None)


def _train_all(plan: SeedPlan, registry: Registry, options: Sequence[str], allow_change: bool) -> int:
    """Train the runs that are not finished. `options` are those of `-p`.

    Returns the exit status: 0; 1 if a run failed, after all others; 130 or 143 if a signal stopped one, and no more
    were started. Raises MtrackError, which concerns all runs, without starting another one.
    """
    status, failed = 0, {}
    for number, seed in enumerate(plan.seeds, 1):
        run = plan.run(seed)
        which = f"seed {seed} ({number} of {len(plan.seeds)})"
        if is_finished(run):
            _log.info("%s is finished: %s", which, short(run))
            continue
        _log.info("%s", which)
        try:
            with process_state_kept():  # each run must give the results that it gives in a process of its own
                status = _train(plan, seed, registry, options, allow_change).exit_status
        except StoppedAtOnce as error:
            status = int(str(error.code))
        except KeyboardInterrupt:  # while nothing was being trained
            status = 130
        except MtrackError as error:
            if plan.has_started():
                error.add_note(_how_to_continue(plan, options))
            raise
        except Exception as error:  # of a component: another seed may not have it
            show_error(error)
            failed[seed] = str(error).partition("\n")[0]
        if status:
            break
        _forget_run()
    _show(plan, registry, options, failed)
    return status or int(bool(failed))


def _train(plan: SeedPlan, seed: int, registry: Registry, options: Sequence[str], allow_change: bool) -> TrainResult:
    run, is_resumed = plan.run(seed), has_any(plan.run(seed))
    if is_resumed:
        recipe = resumed_recipe(run, (), registry, allow_change=allow_change)
    else:
        recipe = check_recipe(plan.recipe(seed), registry)
    hooks = Hooks.load(registry, [option for option in options if option.startswith("no:")])
    start = None if is_resumed else plan.init_from
    return train(recipe, run, init_from=start, resume=is_resumed, allow_change=allow_change, hooks=hooks)


def _forget_run() -> None:
    """Free what a run leaves in the process."""
    gc.collect()  # environments, parts of which refer to each other
    if "torch._dynamo" in sys.modules:  # compiled code depends on the shapes that it has met before
        torch.compiler.reset()


def _show(plan: SeedPlan, registry: Registry, options: Sequence[str], failed: dict[int, str]) -> None:
    """Write a table of the runs, what has failed, and the commands that continue from here."""
    directory, left = short(plan.directory), plan.unfinished()
    if has_command("runs", registry):
        load_command(registry, registry.find("cli", f"{OWN}:runs")).main([str(directory)], standalone_mode=False)
    for seed, reason in failed.items():
        typer.echo(f"seed {seed} failed: {reason}", err=True)
    is_saved = any(has_any(plan.run(seed)) for seed in plan.seeds)
    lines = next_steps(
        directory,
        options,
        registry,
        was_stopped=bool(left),
        is_saved=is_saved,
        uses=SEED_USES,
        left=f"with {name_seeds(left)}",
    )
    typer.echo("\n".join(lines), err=True)


def _how_to_continue(plan: SeedPlan, options: Sequence[str]) -> str:
    command = resume_command(short(plan.directory), options)
    return f"not finished: {name_seeds(plan.unfinished())}; once this is fixed: {command}"
