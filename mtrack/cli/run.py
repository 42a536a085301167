"""`mtrack run`: from the command line to a run directory, a run and an exit status."""

from __future__ import annotations

import logging
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import attrs
import typer

from mtrack.errors import MtrackError

if TYPE_CHECKING:
    from mtrack.hooks import Hooks
    from mtrack.structure import Recipe

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
    plugin: Annotated[list[str] | None, typer.Option("-p", metavar="no:HOOK", help="Switch a hook off.")] = None,
) -> None:
    """Carry out a recipe: every phase in order, with checkpoints."""
    if bool(recipe) == bool(resume):
        raise MtrackError("give a recipe (mtrack run g1_tracking_quick), or a run to go on with (--resume runs/...)")
    if from_ and resume:
        raise MtrackError("--from begins a new run with another run's agent, --resume goes on with a run: give one")
    for option in plugin or ():
        if not option.startswith("no:"):
            raise MtrackError(f"-p {option}: only 'no:NAME' is understood, it switches the hook NAME off")
    logging.basicConfig(format="%(message)s", level=logging.INFO)

    from mtrack.compatibility import require_same_ranks, require_same_versions
    from mtrack.hooks import Hooks
    from mtrack.manifests import read_manifest
    from mtrack.ranks import joined, of_first_rank, rank
    from mtrack.recipe import load_recipe
    from mtrack.registry import Registry
    from mtrack.structure import check_recipe

    overrides = [*(set_ or []), *([f"seed={seed}"] if seed is not None else [])]
    registry = Registry.scan()
    if resume:  # before the recipe is read, which a plugin of another version may not understand
        before = read_manifest(resume)
        require_same_ranks(resume, before)
        require_same_versions(resume, before, registry, allow_change)
    checked = check_recipe(load_recipe(str(resume / "recipe.toml") if resume else recipe, overrides), registry)
    directory = resume or run_dir or Path("runs") / f"{Path(recipe).stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    if not resume and (directory / "recipe.toml").exists():
        raise MtrackError(f"{directory} holds a run already: --resume {directory}, or give another --run-dir")
    hooks = Hooks.load(registry, plugin or ())
    with joined(checked.place):
        if rank() > 0:  # every process has a directory of its own; the first one speaks for all
            logging.getLogger("mtrack").setLevel(logging.WARNING)
            checked, hooks = attrs.evolve(checked, loggers={}), Hooks()
        root = Path(of_first_rank(str(directory)))
        directory = root / "ranks" / str(rank()) if rank() > 0 else root
        begin = directory if resume else from_
        status = _carry_out(checked, directory, hooks, begin, bool(resume), allow_change)
    raise typer.Exit(status)


def _carry_out(
    recipe: Recipe, directory: Path, hooks: Hooks, begin: Path | None, resume: bool, allow_change: bool
) -> int:
    """Prepare the run directory and run. Returns the exit status."""
    import torch

    from mtrack.checkpoint import newest
    from mtrack.compatibility import require_compatible, resumed_threads, warn_of_other_processor
    from mtrack.manifests import read_manifest
    from mtrack.phase_order import check_order
    from mtrack.processors import own_processors
    from mtrack.provenance import manifest
    from mtrack.ranks import extreme_over_ranks
    from mtrack.reporting import Reporter
    from mtrack.run import Run, locked

    facts = manifest(recipe, run_id=secrets.token_hex(4), started=time.strftime("%Y-%m-%dT%H:%M:%S%z"))
    _prove_writable(directory)
    with locked(directory):
        checkpoint, complaints = newest(begin) if begin else (None, [])
        if checkpoint and resume:
            # processes that were killed while they saved go on from where all of them have been
            least = extreme_over_ranks(checkpoint.frames, least=True)
            checkpoint, complaints = newest(directory, least) if least < checkpoint.frames else (checkpoint, complaints)
        for complaint in complaints:
            _log.warning("%s", complaint)
        if checkpoint:
            _log.info("starting from %s", checkpoint.path)
        if resume:
            before = read_manifest(directory)
            require_compatible(directory, before, facts, "resume", allow_change=allow_change)
            warn_of_other_processor(before, facts)
            facts["processes"]["threads"] = resumed_threads(before, own_processors(), allow_change)
            facts |= {key: before[key] for key in ("run_id", "started") if key in before}
        else:
            check_order(recipe, checkpoint.trainers[-1] if checkpoint else None)
        torch.set_num_threads(facts["processes"]["threads"])
        if not resume or before["recipe_sha256"] != facts["recipe_sha256"]:  # a change that was allowed is kept
            (directory / "recipe.toml").write_text(recipe.resolved_toml(), "utf-8")
        _log.info("run directory: %s", directory)
        _log.info("%s", physics_place(recipe))
        reporter = Reporter(recipe, hooks)
        return Run(recipe, directory, facts, reporter, recipe.place, checkpoint, resume, allow_change).execute()


def physics_place(recipe: Recipe) -> str:
    """Say what computes the physics, and what the recipe has left open."""
    from mtrack.processors import has_gpu
    from mtrack.slots import AUTO

    is_unused = recipe.place == "cpu" and recipe.device == AUTO and has_gpu()
    remedy = "; there is a GPU: python -m pip install 'mtrack[gpu]', or backend.use=mujoco_warp, uses it"
    chosen = f" (auto{remedy * is_unused})" * (AUTO in (recipe.backend.use, recipe.device))
    return f"physics: {recipe.backend.entry.name} on {recipe.place}{chosen}"


def _prove_writable(directory: Path) -> None:
    """Make the run directory and write to it. Raises MtrackError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / ".lock.json").touch()
    except OSError as error:
        raise MtrackError(f"cannot write to {directory}: {error.strerror}; give another --run-dir") from error
