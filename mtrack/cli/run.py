"""The command `mtrack run`: checks its options, prepares the run directory, and runs."""

from __future__ import annotations

import json
import logging
import secrets
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer

from mtrack.errors import MtrackError, did_you_mean

if TYPE_CHECKING:
    from mtrack.recipe.checked import Recipe
    from mtrack.run.checkpoint import Checkpoint
    from mtrack.run.hooks import Hooks

_FROM = "started_from"  # manifest key: the checkpoint of another run whose agent this run started with
_log = logging.getLogger("mtrack")


def run(
    recipe: Annotated[str, typer.Argument(help="Recipe file, or the name of an installed one.")] = "",
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change a recipe key.")] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed; short for --set seed=N.")] = None,
    run_dir: Annotated[Path | None, typer.Option(help="Directory of the run; default runs/NAME-TIME.")] = None,
    from_: Annotated[Path | None, typer.Option("--from", help="Start with the agent of another run.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Continue a run from its last checkpoint.")] = None,
    allow_change: Annotated[
        bool, typer.Option("--allow-change", help="Continue even if the recipe or package versions have changed.")
    ] = False,
    plugin: Annotated[
        list[str] | None,
        typer.Option(
            "-p", metavar="FILE.py|no:HOOK", help="Use the components and functions of this file, or disable a hook."
        ),
    ] = None,
) -> None:
    """Train all phases of a recipe, with checkpoints."""
    if not recipe and not resume:
        raise MtrackError("give a recipe (mtrack run g1_tracking_quick), or a run to resume (--resume runs/NAME)")
    if resume:
        _require_run(resume, recipe, from_, run_dir)
    disabled = [option for option in plugin or () if option.startswith("no:")]
    files = [option for option in plugin or () if not option.startswith("no:")]
    logging.basicConfig(format="%(message)s", level=logging.INFO)

    from mtrack.api.distributed import broadcast_from_rank0, process_group, rank
    from mtrack.recipe.checked import check_recipe
    from mtrack.recipe.load import load_recipe
    from mtrack.registry.registry import Registry
    from mtrack.run.checkpoint import has_any
    from mtrack.run.compatibility import require_local_files, require_same_ranks, require_same_versions
    from mtrack.run.hooks import Hooks
    from mtrack.run.manifests import read_manifest
    from mtrack.trial.preflight import require_runnable

    overrides = [*(set_ or []), *([f"seed={seed}"] if seed is not None else [])]
    registry = Registry.scan(files=files)
    if resume and has_any(resume):  # before the recipe is checked, because plugins of other versions may reject it
        before = read_manifest(resume)
        require_same_ranks(resume, before)
        require_local_files(resume, before, registry, allow_change)
        require_same_versions(resume, before, registry, allow_change)
    checked = check_recipe(load_recipe(str(resume / "recipe.toml") if resume else recipe, overrides), registry)
    require_runnable(checked)
    directory = resume or run_dir or Path("runs") / f"{Path(recipe).stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    if not resume and any(map(has_any, (directory, *directory.glob("ranks/*")))):
        raise MtrackError(
            f"{directory} already holds a run: continue it with --resume {directory}, or give another --run-dir"
        )
    hooks = Hooks.load(registry, disabled)
    with process_group(checked.place):
        if rank() > 0:  # each process has its own directory, and only rank 0 reports
            logging.getLogger("mtrack").setLevel(logging.WARNING)
            checked, hooks = attrs.evolve(checked, loggers={}), Hooks()
        root = Path(broadcast_from_rank0(str(directory))).absolute()  # a component may change the working directory
        directory = root / "ranks" / str(rank()) if rank() > 0 else root
        init_from = from_.absolute() if from_ else None
        status = _carry_out(checked, directory, hooks, init_from, bool(resume), allow_change)
    raise typer.Exit(status)


def _carry_out(
    recipe: Recipe, directory: Path, hooks: Hooks, init_from: Path | None, resume: bool, allow_change: bool
) -> int:
    """Try the recipe, prepare the run directory and run. Return the exit status."""
    import torch

    from mtrack.recipe.phase_order import check_order
    from mtrack.run.checkpoint import newest
    from mtrack.run.manifest import manifest
    from mtrack.run.reporting import Reporter
    from mtrack.run.run import Run
    from mtrack.run.run_directory import locked, short

    facts = manifest(recipe, run_id=secrets.token_hex(4), started=time.strftime("%Y-%m-%dT%H:%M:%S%z"))
    is_changed = False
    checkpoint, problems = newest(init_from) if init_from else (None, [])
    previous = checkpoint.phase_history[-1] if checkpoint else None
    if not resume:  # before the trial, because that takes longer
        check_order(recipe, previous)
    _make_first_step(recipe, previous)  # before anything is written
    _require_writable(directory, resume)
    with locked(directory):
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
        _log.info("%s", physics_place(recipe))
        return Run(
            recipe,
            directory,
            facts,
            Reporter(recipe, hooks),
            recipe.place,
            checkpoint,
            resume,
            allow_change=allow_change,
            is_changed=is_changed,
        ).execute()


def _make_first_step(recipe: Recipe, previous: str | None) -> None:
    """Try every phase and log warnings. Raises an error if a phase does not work."""
    from mtrack.trial.first_step import try_phases
    from mtrack.trial.preflight import notes

    found = try_phases(recipe, recipe.place, previous)
    unsensed = [f"{problem.path}: {problem.message}" for problem in found.without_sensor]
    for note in (*notes(recipe), *found.notes, *unsensed):
        _log.warning("%s", note)


def _continue_facts(directory: Path, facts: dict[str, Any], allow_change: bool) -> bool:
    """Copy to `facts` what the manifest of a resumed run keeps. Return whether the recipe has changed.

    Raises CheckpointError if the recipe, the versions or the hardware are not compatible with the run.
    """
    from mtrack.api.device import available_cpus
    from mtrack.run.compatibility import require_compatible, resumed_threads, warn_of_other_processor
    from mtrack.run.manifests import read_manifest

    before = read_manifest(directory)
    require_compatible(directory, before, facts, "resume", allow_change=allow_change)
    warn_of_other_processor(before, facts)
    facts["processes"]["threads"] = resumed_threads(before, available_cpus(), allow_change)
    facts |= {key: before[key] for key in ("run_id", "started", _FROM) if key in before}
    return bool(before["recipe_sha256"] != facts["recipe_sha256"])


def _require_run(folder: Path, recipe: str, from_: Path | None, run_dir: Path | None) -> None:
    """Raise MtrackError if `--resume` names no run directory, or if other options contradict it."""
    from mtrack.run.run_directory import short

    if recipe:
        change = "to change keys, use --set A.B=VALUE and --allow-change"
        raise MtrackError(f"--resume uses the recipe in {folder}: leave out '{recipe}' or --resume ({change})")
    if from_:
        raise MtrackError(
            "--from starts a new run with the agent of another run, but --resume continues a run: use only one of them"
        )
    if run_dir:
        raise MtrackError(f"--resume continues in {folder} itself: leave out --run-dir")
    if not folder.exists():
        siblings = [path.name for path in folder.parent.glob("*/")]
        raise MtrackError(f"--resume {folder}: no such directory. {did_you_mean(folder.name, siblings)}".rstrip())
    if not folder.is_dir():
        raise MtrackError(f"--resume {folder}: not a directory; expected a run directory, such as runs/NAME")
    if folder.absolute().parent.name != "ranks" and (folder / "recipe.toml").exists():
        return
    run = next((parent for parent in folder.absolute().parents[:2] if (parent / "recipe.toml").exists()), None)
    if run is None:
        raise MtrackError(f"--resume {folder}: not a run directory, recipe.toml is missing")
    hint = f"--resume {short(run)} continues from its newest checkpoint"
    if (folder / "manifest.json").exists() and folder.parent.name == "checkpoints":
        hint += f"; --from {folder} starts a new run with the agent of this checkpoint"
    raise MtrackError(f"--resume {folder}: not a run directory, but a folder inside one. {hint}")


def _common_checkpoint(directory: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest checkpoint that all processes have (None if one of them has none), and problems."""
    from mtrack.api.distributed import all_reduce_min
    from mtrack.run.checkpoint import has_any, newest

    checkpoint, problems = newest(directory) if has_any(directory) else (None, [])
    frames = checkpoint.frames if checkpoint else 0
    # if processes were killed while they saved, some have a newer checkpoint than others
    least = all_reduce_min(frames)
    if least == 0:
        return None, problems
    return newest(directory, least) if least < frames else (checkpoint, problems)


def _require_own_start(directory: Path) -> None:
    """Raise MtrackError if a run cannot start over because it started with the agent of another run."""
    try:
        before = json.loads((directory / "manifest.json").read_bytes())
    except (OSError, ValueError):  # the run was killed before it wrote a manifest
        return
    if isinstance(before, dict) and _FROM in before:
        raise MtrackError(
            f"{directory} has no checkpoint yet, and it started with the agent of another run: repeat the command "
            f"that started it, with --from RUN and --run-dir {directory}"
        )


def physics_place(recipe: Recipe) -> str:
    """Return a line that names the physics backend and its device, and says whether they were chosen automatically."""
    from mtrack.api.device import has_gpu
    from mtrack.recipe.slots import AUTO

    text = f"physics: {recipe.backend.entry.name} on {recipe.place}"
    if AUTO not in (recipe.backend.use, recipe.device):
        return text
    has_unused_gpu = recipe.place == "cpu" and recipe.device == AUTO and has_gpu()
    hint = "; to use the GPU: python -m pip install 'mtrack[gpu]', or backend.use=mujoco_warp"
    return f"{text} (auto{hint if has_unused_gpu else ''})"


def _require_writable(directory: Path, resume: bool) -> None:
    """Create the run directory and its folder of checkpoints. Raises MtrackError if one is not writable."""
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
