"""`mtrack run`: from the command line to a run directory, a run and an exit status."""

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

_FROM = "started_from"  # key of the manifest: which agent of another run a run started with
_log = logging.getLogger("mtrack")


def run(
    recipe: Annotated[str, typer.Argument(help="Recipe file, or the name of an installed one.")] = "",
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change a recipe key.")] = None,
    seed: Annotated[int | None, typer.Option(help="Short for --set seed=N.")] = None,
    run_dir: Annotated[Path | None, typer.Option(help="Where the run is kept; default runs/NAME-TIME.")] = None,
    from_: Annotated[Path | None, typer.Option("--from", help="Begin with the agent of another run.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with a run that stopped, exactly where it was.")] = None,
    allow_change: Annotated[
        bool, typer.Option("--allow-change", help="Go on though recipe or versions have changed.")
    ] = False,
    plugin: Annotated[
        list[str] | None,
        typer.Option("-p", metavar="FILE.py|no:HOOK", help="Use the components of a file, or disable a hook."),
    ] = None,
) -> None:
    """Carry out a recipe: every phase in order, with checkpoints."""
    if not recipe and not resume:
        raise MtrackError("give a recipe (mtrack run g1_tracking_quick), or a run to resume (--resume runs/NAME)")
    if resume:
        _require_run(resume, recipe, from_, run_dir)
    disabled = [option for option in plugin or () if option.startswith("no:")]
    files = [option for option in plugin or () if not option.startswith("no:")]
    logging.basicConfig(format="%(message)s", level=logging.INFO)

    from mtrack.api.distributed import broadcast_from_rank0, joined, rank
    from mtrack.recipe.checked import check_recipe
    from mtrack.recipe.load import read_recipe
    from mtrack.registry.registry import Registry
    from mtrack.run.checkpoint import has_any
    from mtrack.run.compatibility import require_local_files, require_same_ranks, require_same_versions
    from mtrack.run.hooks import Hooks
    from mtrack.run.manifests import read_manifest
    from mtrack.trial.preflight import require_runnable

    overrides = [*(set_ or []), *([f"seed={seed}"] if seed is not None else [])]
    registry = Registry.scan(files=files)
    if resume and has_any(resume):  # before the recipe is read, which a plugin of another version may not understand
        before = read_manifest(resume)
        require_same_ranks(resume, before)
        require_local_files(resume, before, registry, allow_change)
        require_same_versions(resume, before, registry, allow_change)
    checked = check_recipe(read_recipe(str(resume / "recipe.toml") if resume else recipe, overrides), registry)
    require_runnable(checked)
    directory = resume or run_dir or Path("runs") / f"{Path(recipe).stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    if not resume and any(map(has_any, (directory, *directory.glob("ranks/*")))):
        raise MtrackError(f"{directory} holds a run already: --resume {directory}, or give another --run-dir")
    hooks = Hooks.load(registry, disabled)
    with joined(checked.place):
        if rank() > 0:  # every process has a directory of its own; the first one speaks for all
            logging.getLogger("mtrack").setLevel(logging.WARNING)
            checked, hooks = attrs.evolve(checked, loggers={}), Hooks()
        root = Path(broadcast_from_rank0(str(directory))).absolute()  # whatever the working directory will be
        directory = root / "ranks" / str(rank()) if rank() > 0 else root
        begin = from_.absolute() if from_ else None
        status = _carry_out(checked, directory, hooks, begin, bool(resume), allow_change)
    raise typer.Exit(status)


def _carry_out(
    recipe: Recipe, directory: Path, hooks: Hooks, begin: Path | None, resume: bool, allow_change: bool
) -> int:
    """Prepare the run directory and run. Returns the exit status."""
    import torch

    from mtrack.recipe.phase_order import check_order
    from mtrack.run.checkpoint import newest
    from mtrack.run.manifest import manifest
    from mtrack.run.reporting import Reporter
    from mtrack.run.run import Run
    from mtrack.run.run_directory import locked, short

    facts = manifest(recipe, run_id=secrets.token_hex(4), started=time.strftime("%Y-%m-%dT%H:%M:%S%z"))
    is_changed = False
    checkpoint, complaints = newest(begin) if begin else (None, [])
    previous = checkpoint.phase_history[-1] if checkpoint else None
    if not resume:  # before the trial, which takes longer
        check_order(recipe, previous)
    _make_first_step(recipe, previous)  # before anything is written
    _prove_writable(directory, resume)
    with locked(directory):
        if resume:
            checkpoint, complaints = _common_checkpoint(directory)
            if checkpoint is None:
                _require_own_start(directory)
                _log.warning("%s has no checkpoint yet: the run starts over", short(directory))
                check_order(recipe, None)
                resume = False
        for complaint in complaints:
            _log.warning("%s", complaint)
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
            recipe.place,
            checkpoint,
            resume,
            allow_change=allow_change,
            is_changed=is_changed,
        ).execute()


def _make_first_step(recipe: Recipe, previous: str | None) -> None:
    """Try every phase, and log what is doubtful. Raises what is wrong."""
    from mtrack.trial.first_step import try_phases
    from mtrack.trial.preflight import notes

    found = try_phases(recipe, recipe.place, previous)
    unsensed = [f"{problem.path}: {problem.message}" for problem in found.without_sensor]
    for note in (*notes(recipe), *found.notes, *unsensed):
        _log.warning("%s", note)


def _continue_facts(directory: Path, facts: dict[str, Any], allow_change: bool) -> bool:
    """Give the manifest of a resumed run what it keeps. Returns whether its recipe has changed.

    Raises CheckpointError if what is here does not fit the run.
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


def _require_run(place: Path, recipe: str, from_: Path | None, run_dir: Path | None) -> None:
    """Raise MtrackError if `--resume` is given what it does not take, or something that contradicts it."""
    from mtrack.run.run_directory import short

    if recipe:
        change = "to change keys: --set A.B=VALUE and --allow-change"
        raise MtrackError(f"--resume uses the recipe in {place}: leave out '{recipe}' or --resume ({change})")
    if from_:
        raise MtrackError("--from starts a new run with the agent of another run, --resume continues a run: give one")
    if run_dir:
        raise MtrackError(f"--resume continues in {place} itself: leave out --run-dir")
    if not place.exists():
        siblings = [path.name for path in place.parent.glob("*/")]
        raise MtrackError(f"--resume {place}: no such directory. {did_you_mean(place.name, siblings)}".rstrip())
    if not place.is_dir():
        raise MtrackError(f"--resume {place}: not a directory; it takes the directory of a run, such as runs/NAME")
    if place.absolute().parent.name != "ranks" and (place / "recipe.toml").exists():
        return
    run = next((folder for folder in place.absolute().parents[:2] if (folder / "recipe.toml").exists()), None)
    if run is None:
        raise MtrackError(f"--resume {place}: not the directory of a run, recipe.toml is missing")
    hint = f"--resume {short(run)} continues from its newest checkpoint"
    is_one = (place / "manifest.json").exists() and place.parent.name == "checkpoints"
    other = f"; --from {place} starts a new run with the agent of this one" if is_one else ""
    raise MtrackError(f"--resume {place}: not a run, but a folder of one. {hint}{other}")


def _common_checkpoint(directory: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest checkpoint that every process of a run has, and complaints; None if one process has none."""
    from mtrack.run.checkpoint import has_any, newest

    checkpoint, complaints = newest(directory) if has_any(directory) else (None, [])
    frames = checkpoint.frames if checkpoint else 0
    # processes that were killed while they saved continue from where all of them have been
    least = all_reduce_min(frames)
    if least == 0:
        return None, complaints
    return newest(directory, least) if least < frames else (checkpoint, complaints)


def _require_own_start(directory: Path) -> None:
    """Raise MtrackError if a run that is to start over had started with an agent that only its command names."""
    try:
        before = json.loads((directory / "manifest.json").read_bytes())
    except (OSError, ValueError):  # killed before it was written
        return
    if isinstance(before, dict) and _FROM in before:
        raise MtrackError(
            f"{directory} has no checkpoint yet, and it started with the agent of another run: repeat the command "
            f"that started it, with --from RUN and --run-dir {directory}"
        )


def describe_physics(recipe: Recipe) -> str:
    """Return a line that says what computes the physics, and whether `auto` chose it."""
    from mtrack.backend_choice import unused_gpu
    from mtrack.recipe.slots import AUTO

    notes = ["auto"] if AUTO in (recipe.backend.use, recipe.device) else []
    if recipe.device == AUTO:
        notes += filter(None, [unused_gpu(recipe.backend.cls, is_named=recipe.backend.use != AUTO)])
    chosen = f" ({'; '.join(notes)})" if notes else ""
    return f"physics: {recipe.backend.entry.name} on {recipe.place}{chosen}"


def _prove_writable(directory: Path, resume: bool) -> None:
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
