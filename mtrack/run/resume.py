"""Continues a run: from which checkpoint, in how many processes, and whether recipe and versions still match."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from mtrack.api.device import available_cpus
from mtrack.api.distributed import (
    all_reduce_max,
    all_reduce_min,
    broadcast_from_rank0,
    launch_words,
    num_ranks,
    rank,
)
from mtrack.errors import CheckpointError, MtrackError
from mtrack.recipe.checked import Recipe, check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.run.checkpoint import Checkpoint, find, load, newest
from mtrack.run.checkpoint_facts import has_any
from mtrack.run.compatibility import (
    require_compatible,
    require_local_files,
    require_same_versions,
    resumed_threads,
    warn_of_other_processor,
)
from mtrack.run.manifests import read_manifest, require_shape
from mtrack.run.run_directory import short

STARTED_FROM = "started_from"  # key of the manifest: which agent of another run a run started with
_log = logging.getLogger("mtrack")


@attrs.frozen
class ResumePoint:
    """Where a run continues."""

    checkpoint: Checkpoint
    """Of this process; or that of rank 0, if not all processes have one of their own."""
    is_exact: bool
    """Whether environments continue too; if not, they start again."""


def resumed_recipe(run: Path, settings: Sequence[str], registry: Registry, *, allow_change: bool) -> Recipe:
    """Return the recipe of a run to resume, with changes as for `--set`.

    Raises CheckpointError if local files or package versions are not those that made it, and RecipeError.
    """
    if has_any(run):  # before the recipe is checked, because plugins of other versions may reject it
        before = read_manifest(run)
        require_local_files(run, before, registry, allow_change)
        require_same_versions(run, before, registry, allow_change)
    return check_recipe(read_recipe(run / "recipe.toml", settings), registry)


def find_resume_point(root: Path, directory: Path, first_save: int) -> ResumePoint | None:
    """Return where all processes of a run continue; None if it starts over, because it has ended before its first save.

    `root` is the run directory, and `directory` that of this process. The newest checkpoint that every process has is
    best, because it loses nothing. If they have none in common, or if another number of processes made it, all load
    that of rank 0. `first_save` is the iteration of the first save: a run with a later one never starts over. Raises
    CheckpointError if all checkpoints are damaged.
    """
    checkpoints, problems = _of_rank0(root)
    fallback: tuple[str, str] | None = None
    for name, ranks, frames in checkpoints:
        is_same = ranks == num_ranks()
        own = _intact(directory / "checkpoints" / name, frames, problems) if is_same or rank() == 0 else None
        if is_same and all_reduce_min(int(own is not None)):
            _log_all(problems)
            assert own is not None
            return ResumePoint(own, is_exact=True)
        if not all_reduce_min(int(own is not None or rank() > 0)):
            continue  # that of rank 0 is damaged
        lacking = all_reduce_max(rank() if is_same and own is None else 0)
        fallback = fallback or (name, f"rank {lacking} has no such checkpoint" if is_same else _other_number(ranks))
        if not is_same:
            break
    if fallback is None:
        if checkpoints or all_reduce_max(len(problems)):
            raise CheckpointError("\n".join([f"no usable checkpoint in {short(root / 'checkpoints')}", *problems]))
        return None
    _log_all(problems)
    checkpoint = load(root / "checkpoints" / fallback[0])
    is_same = checkpoint.manifest["processes"]["ranks"] == num_ranks()
    is_first_save = is_same and checkpoint.frames_before == 0 and checkpoint.iteration <= first_save
    if not all_reduce_min(int(has_any(directory))) and is_first_save:
        return None  # only some processes had saved when the run ended: from the start, the numbers are the same
    _log_change(checkpoint, fallback[1])
    return ResumePoint(checkpoint, is_exact=False)


def _of_rank0(root: Path) -> tuple[list[tuple[str, int, int]], list[str]]:
    """Return name, processes and frames of each checkpoint of rank 0, newest first; and, in rank 0, other problems."""
    listed: list[tuple[str, int, int]] = []
    problems: list[str] = []
    if rank() == 0:
        found, problems = find(root / "checkpoints")
        for checkpoint in found:
            try:
                require_shape(checkpoint.path / "manifest.json", checkpoint.manifest)
            except CheckpointError as error:
                problems.append(str(error))
            else:
                ranks = int(checkpoint.manifest["processes"]["ranks"])
                listed.append((checkpoint.path.name, ranks, checkpoint.frames))
    return json.loads(broadcast_from_rank0(json.dumps(listed))), problems


def _intact(path: Path, frames: int, problems: list[str]) -> Checkpoint | None:
    """Return a checkpoint with so many frames if it is there and intact; what is wrong with it is added to problems."""
    try:
        checkpoint = load(path)
        checkpoint.verify()
    except CheckpointError as error:
        problems += [str(error)] if path.exists() else []
        return None
    return checkpoint if checkpoint.frames == frames else None


def _other_number(ranks: int) -> str:
    """Return that another number of processes made a checkpoint than there is now."""
    now = num_ranks()
    processes = f"{ranks} process{'es' if ranks > 1 else ''} made it"
    return f"{processes}, and {now} continue{'' if now > 1 else 's'}"


def _log_all(problems: Sequence[str]) -> None:
    for problem in problems:
        _log.warning("%s", problem)


def _log_change(checkpoint: Checkpoint, reason: str) -> None:
    """Say once for all processes that environments start again; those of a new phase do in any case."""
    if rank() == 0:
        envs = "" if checkpoint.ended else "All environments start again. "
        _log.warning(
            "%s: %s. %sAgent, optimisers, normalisers, schedules and progress continue, but the numbers will not be "
            "those of an uninterrupted run.",
            *(short(checkpoint.path), reason, envs),
        )


def continue_facts(root: Path, facts: dict[str, Any], *, is_exact: bool, allow_change: bool) -> bool:
    """Give the manifest of a resumed run what it keeps. Returns whether its recipe has changed.

    Raises CheckpointError if recipe, versions or data do not match the run.
    """
    before = read_manifest(root)
    require_compatible(root, before, facts, "resume", allow_change=allow_change)
    warn_of_other_processor(before, facts)
    if is_exact:
        facts["processes"]["threads"] = resumed_threads(before, available_cpus(), allow_change)
    facts |= {key: before[key] for key in ("run_id", "started", "recipe", STARTED_FROM) if key in before}
    return bool(before["recipe_sha256"] != facts["recipe_sha256"])


def require_own_start(directory: Path) -> None:
    """Raise MtrackError if a run that starts over had started with an agent that only its command names."""
    try:
        before = json.loads((directory / "manifest.json").read_bytes())
    except (OSError, ValueError):  # killed before it was written
        return
    if isinstance(before, Mapping) and STARTED_FROM in before:
        raise MtrackError(
            f"{directory} has no checkpoint yet, and it started with the agent of another run: repeat the command "
            f"that started it, with --from RUN and --run-dir {directory}"
        )


def how_to_continue(directory: Path) -> str:
    """Return the last checkpoint of a run in words, and the command that continues from it.

    `directory` is that of this process.
    """
    root = directory.parents[1] if rank() > 0 else directory
    command = shlex.join([*launch_words(), "mtrack", "run", "--resume", str(short(root))])
    try:
        checkpoint, _ = newest(root)
    except CheckpointError:
        return f"there is no checkpoint; once this is fixed, start again from the beginning: {command}"
    at = f"iteration {checkpoint.iteration} of phase '{checkpoint.phase}'"
    return (
        f"the last checkpoint is {short(checkpoint.path)} ({at})\n"
        f"  once this is fixed: {command}   (with --allow-change if you edited code)"
    )
