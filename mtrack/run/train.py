"""Trains a recipe in a run directory: `mtrack.train`, which `mtrack run` calls too."""

from __future__ import annotations

import json
import logging
import secrets
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import torch

from mtrack.api.device import available_cpus
from mtrack.api.distributed import all_reduce_min, broadcast_from_rank0, process_group, rank
from mtrack.errors import MtrackError
from mtrack.recipe.checked import Recipe, check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.recipe.phase_order import check_order
from mtrack.registry.registry import Registry
from mtrack.run.checkpoint import Checkpoint, newest
from mtrack.run.checkpoint_facts import has_any
from mtrack.run.compatibility import (
    require_compatible,
    require_local_files,
    require_same_ranks,
    require_same_versions,
    resumed_threads,
    warn_of_other_processor,
)
from mtrack.run.fetched import local_run
from mtrack.run.hooks import Hooks
from mtrack.run.manifest import manifest
from mtrack.run.manifests import read_manifest
from mtrack.run.reporting import Reporter
from mtrack.run.run import Run
from mtrack.run.run_directory import locked, require_one_run, short
from mtrack.run.stall import StallWatch
from mtrack.trial.first_step import try_phases
from mtrack.trial.preflight import describe_physics, notes, require_runnable

_FROM = "started_from"  # key of the manifest: which agent of another run a run started with
_log = logging.getLogger("mtrack")


@attrs.frozen
class TrainResult:
    """How a run ended."""

    directory: Path
    """The run directory, absolute."""
    exit_status: int
    """0 if all phases are finished; 130 or 143 if SIGINT or SIGTERM stopped the run after a checkpoint."""

    @property
    def status(self) -> Literal["finished", "interrupted"]:
        """`finished` or `interrupted`; `train(recipe, directory, resume=True)` continues an interrupted run."""
        return "interrupted" if self.exit_status else "finished"


def train(
    recipe: Recipe,
    run_dir: Path | str | None = None,
    *,
    init_from: Path | str | None = None,
    resume: bool = False,
    allow_change: bool = False,
    hooks: Hooks | None = None,
) -> TrainResult:
    """Train every phase of a recipe in order, with checkpoints; all processes of torchrun call this together.

    `run_dir` is a new directory, `runs/NAME-TIME` by default. `init_from` is a run or checkpoint to start from, or a
    reference such as "wandb:ENTITY/PROJECT/RUN".
    With `resume`, `run_dir` is a run to continue from its newest checkpoint, and `recipe` its own
    (`load_recipe(run_dir / "recipe.toml")`). With `allow_change`, it continues even if recipe or versions have changed.
    `hooks` watch the run; by default all that are installed.

    Raises MtrackError if the run cannot start, ComponentError if a component fails, and RunError if nothing was
    learned. Nothing is lost: the last checkpoint is kept.
    """
    require_runnable(recipe)
    directory = Path(run_dir or default_directory(recipe))
    require_one_run(directory)
    if not resume and any(map(has_any, (directory, *directory.glob("ranks/*")))):
        raise MtrackError(f"{directory} already holds a run: resume it (--resume), or give another --run-dir")
    hooks = Hooks.load(recipe.registry) if hooks is None else hooks
    start = local_run(init_from).absolute() if init_from else None
    with process_group(recipe.resolved_device):
        if rank() > 0:  # every process has a directory of its own; rank 0 does all the reporting
            logging.getLogger("mtrack").setLevel(logging.WARNING)
            recipe, hooks = attrs.evolve(recipe, loggers={}), Hooks()
        root = Path(broadcast_from_rank0(str(directory))).absolute()  # a component may change the working directory
        directory = root / "ranks" / str(rank()) if rank() > 0 else root
        with StallWatch(recipe) as watch:
            return TrainResult(root, _run_in(directory, recipe, hooks, start, resume, allow_change, watch))


def default_directory(recipe: Recipe) -> Path:
    """Return a new directory for a run of a recipe: `runs/NAME-TIME`."""
    return Path("runs") / f"{Path(recipe.name).name.removesuffix('.toml')}-{time.strftime('%Y%m%d-%H%M%S')}"


def resumed_recipe(run: Path, settings: Sequence[str], registry: Registry, *, allow_change: bool) -> Recipe:
    """Return the recipe of a run to resume, with changes as for `--set`.

    Raises CheckpointError if processes, local files or package versions are not those that made it, and RecipeError.
    """
    if has_any(run):  # before the recipe is checked, because plugins of other versions may reject it
        before = read_manifest(run)
        require_same_ranks(run, before)
        require_local_files(run, before, registry, allow_change)
        require_same_versions(run, before, registry, allow_change)
    return check_recipe(read_recipe(run / "recipe.toml", settings), registry)


def _run_in(
    directory: Path,
    recipe: Recipe,
    hooks: Hooks,
    init_from: Path | None,
    resume: bool,
    allow_change: bool,
    watch: StallWatch,
) -> int:
    """Prepare the run directory and run. Returns the exit status."""
    facts = manifest(recipe, run_id=secrets.token_hex(4), started=time.strftime("%Y-%m-%dT%H:%M:%S%z"))
    checkpoint, problems = newest(init_from) if init_from else (None, [])
    previous = checkpoint.phase_history[-1] if checkpoint else None
    if not resume:  # before the trial, which takes longer
        check_order(recipe, previous)
    _make_first_step(recipe, previous)  # before anything is written
    _require_writable(directory, resume)
    with locked(directory):
        is_changed = False
        if resume:
            checkpoint, problems = _common_checkpoint(directory)
            if checkpoint is None:
                _require_own_start(directory)
                _log.warning("%s has no checkpoint yet: the run starts over", short(directory))
                check_order(recipe, None)
                resume = False
        for problem in problems:
            _log.warning("%s", problem)
        if checkpoint:
            _log.info("starting from %s", short(checkpoint.path))
        if resume:
            is_changed = _continue_facts(directory, facts, allow_change)
        elif checkpoint:
            facts[_FROM] = {"phase": checkpoint.phase, "iteration": checkpoint.iteration}
        torch.set_num_threads(facts["processes"]["threads"])
        _log.info("run directory: %s", short(directory))
        _log.info("%s", describe_physics(recipe))
        return Run(
            recipe,
            directory,
            facts,
            Reporter(recipe, hooks),
            recipe.resolved_device,
            watch,
            checkpoint,
            resume,
            allow_change=allow_change,
            is_changed=is_changed,
        ).execute()


def _make_first_step(recipe: Recipe, previous: str | None) -> None:
    """Try every phase, and log what is doubtful. Raises what is wrong."""
    found = try_phases(recipe, recipe.resolved_device, previous)
    unsensed = [f"{problem.path}: {problem.message}" for problem in found.without_sensor]
    for note in (*notes(recipe), *found.notes, *unsensed):
        _log.warning("%s", note)


def _continue_facts(directory: Path, facts: dict[str, Any], allow_change: bool) -> bool:
    """Give the manifest of a resumed run what it keeps. Returns whether its recipe has changed.

    Raises CheckpointError if recipe, versions or data do not match the run.
    """
    before = read_manifest(directory)
    require_compatible(directory, before, facts, "resume", allow_change=allow_change)
    warn_of_other_processor(before, facts)
    facts["processes"]["threads"] = resumed_threads(before, available_cpus(), allow_change)
    facts |= {key: before[key] for key in ("run_id", "started", "recipe", _FROM) if key in before}
    return bool(before["recipe_sha256"] != facts["recipe_sha256"])


def _common_checkpoint(directory: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest checkpoint that every process of a run has, and problems; None if one process has none."""
    checkpoint, problems = newest(directory) if has_any(directory) else (None, [])
    frames = checkpoint.frames if checkpoint else 0
    # processes that were killed while they saved continue from the newest checkpoint that all of them have
    least = all_reduce_min(frames)
    if least == 0:
        return None, problems
    return newest(directory, least) if least < frames else (checkpoint, problems)


def _require_own_start(directory: Path) -> None:
    """Raise MtrackError if a run that starts over had started with an agent that only its command names."""
    try:
        before = json.loads((directory / "manifest.json").read_bytes())
    except (OSError, ValueError):  # killed before it was written
        return
    if isinstance(before, Mapping) and _FROM in before:
        raise MtrackError(
            f"{directory} has no checkpoint yet, and it started with the agent of another run: repeat the command "
            f"that started it, with --from RUN and --run-dir {directory}"
        )


def _require_writable(directory: Path, resume: bool) -> None:
    """Make the run directory and its folder of checkpoints, and write to both. Raises MtrackError."""
    folder = directory / "checkpoints"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / ".lock.json").touch()
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".probe.", dir=folder):
            pass
    except OSError as error:
        remedy = "make it writable" if resume else "give another --run-dir"
        raise MtrackError(f"cannot write to {error.filename or directory}: {error.strerror}; {remedy}") from error
