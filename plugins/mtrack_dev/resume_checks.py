"""Doctor check of a run: which checkpoint `--resume` would use, and what differs here from what made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from mtrack import ComponentError, MtrackError, Recipe, RecipeError
from mtrack.api.device import available_cpus
from mtrack.loop.assemble import assemble
from mtrack.recipe.changes import Change, Part, describe
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.run.checkpoint import Checkpoint, newest
from mtrack.run.checkpoint_facts import has_any
from mtrack.run.compatibility import differences, require_local_files, version_changes
from mtrack.run.manifest import installed_versions, manifest
from mtrack.run.manifests import read_manifest
from mtrack.run.seeds import is_finished
from mtrack.run.transfer import Contract
from mtrack.trial.preflight import missing_device
from mtrack_dev.check_result import CheckResult, Status

_MOST_LISTED = 20
_ALLOW = "or resume with --allow-change"
_REMEDIES: dict[Part, str] = {
    "policy": f"change it back, {_ALLOW}",
    "widths": "change it back: with these widths the networks of the checkpoint cannot be used",
    "data": f"restore the clips, {_ALLOW}",
    "values": f"change it back, {_ALLOW}",
    "code": f"restore the code of that version, {_ALLOW}",
}


def resume(run: Path, status: str, files: Sequence[str]) -> Iterator[CheckResult]:
    """Report how a run with a status would continue; `files` are local files of components, `-p FILE.py`.

    Raises CheckpointError if its manifest cannot be read, or all its checkpoints are damaged.
    """
    before = read_manifest(run)
    checkpoint = _resumed_from(run, before)
    is_done = is_finished(run)
    level: Status = "note" if is_done or status == "running" else "problem"
    if checkpoint is None:
        message = "there is no checkpoint yet: --resume starts over"
        yield CheckResult(
            "note", "resume", message, "start with smaller run.checkpoint_every if runs end before the first"
        )
    elif is_done:
        yield CheckResult("ok", "resume", "all phases are finished, nothing is left to resume")
    else:
        at = f"iteration {checkpoint.iteration} of phase '{checkpoint.phase}', {checkpoint.frames:,} frames"
        yield CheckResult("ok", "resume", f"--resume uses {checkpoint.path.relative_to(run)}: {at}")
    yield from _machine(run, before)
    yield from _changes(run, before, checkpoint, files, level)


def _resumed_from(run: Path, before: Mapping[str, Any]) -> Checkpoint | None:
    """Return the newest intact checkpoint that all processes of a run have; None if one has no checkpoint.

    Raises CheckpointError if all checkpoints of one are damaged.
    """
    places = [run, *(run / "ranks" / str(rank) for rank in range(1, before["processes"]["ranks"]))]
    if not all(map(has_any, places)):
        return None
    return newest(run, min(newest(place)[0].frames for place in places))[0]


def _machine(run: Path, before: Mapping[str, Any]) -> Iterator[CheckResult]:
    """Report other numbers of processes and threads, and another processor."""
    ranks, threads = before["processes"]["ranks"], before["processes"]["threads"]
    if ranks > 1:
        remedy = f"torchrun --nproc-per-node {ranks} -m mtrack run --resume {run}"
        yield CheckResult("note", "processes", f"{ranks} processes made it, and as many must resume it", remedy)
    here = available_cpus()
    if ranks == 1 and threads != here:
        message = (
            f"made with {threads} torch threads, {here} CPUs here: --resume uses {threads}, so numbers stay the same"
        )
        remedy = f"--allow-change uses {here}; numbers then differ in their last bits" if threads > here else ""
        yield CheckResult("note" if threads > here else "ok", "threads", message, remedy)


def _changes(
    run: Path, before: Mapping[str, Any], checkpoint: Checkpoint | None, files: Sequence[str], status: Status
) -> Iterator[CheckResult]:
    """Yield everything that differs between a run and the present installation and data."""
    registry = Registry.scan(files=files)
    try:
        require_local_files(run, before, registry, allow_change=False)
        recipe = check_recipe(read_recipe(run / "recipe.toml"), registry)
    except RecipeError as error:
        for problem in error.problems:
            yield CheckResult(status, "recipe", f"{problem.path}: {problem.message}", problem.hint or "restore it")
        yield from _listed(list(version_changes(before, _installed(before, registry))), run, status)
        return
    except MtrackError as error:
        yield CheckResult(status, "recipe", str(error), "give the file that it was made with: -p FILE.py")
        return
    now = manifest(recipe)
    if checkpoint:
        try:
            now["contract"] = attrs.asdict(_contract(recipe, checkpoint.phase))
        except (MtrackError, ComponentError) as error:
            yield CheckResult(status, "recipe", str(error), "the run needs this robot, these motions and this code")
    found = differences(checkpoint.manifest if checkpoint else before, now)
    if not found:
        yield CheckResult("ok", "changes", "recipe, packages, code and data are those that made it")
    yield from _listed(found, run, status)


def _contract(recipe: Recipe, phase: str) -> Contract:
    """Return what a phase is here. Raises MtrackError, or ComponentError, if it cannot be assembled."""
    in_phase = recipe.for_phase(phase)
    device = "cpu" if missing_device(in_phase) else in_phase.resolved_device
    return Contract.of(in_phase, assemble(in_phase, phase, device=device, num_envs=1))


def _installed(before: Mapping[str, Any], registry: Registry) -> dict[str, Any]:
    return {"distributions": installed_versions(before["distributions"], registry)}


def _listed(found: Sequence[Change], run: Path, status: Status) -> Iterator[CheckResult]:
    """Yield a result for each difference, and one for all clips of a component."""
    others = [change for change in found if change.part != "data"]
    lines = [(str(change), _remedy(change)) for change in others]
    lines += [(line, _REMEDIES["data"]) for line in describe(change for change in found if change.part == "data")]
    for line, remedy in lines[:_MOST_LISTED]:
        yield CheckResult(status, "changes", line, remedy)
    if len(lines) > _MOST_LISTED:
        message = f"... and {len(lines) - _MOST_LISTED} more changes"
        yield CheckResult(status, "changes", message, f"mtrack diff {run} RECIPE lists them")


def _remedy(change: Change) -> str:
    if change.part == "versions":
        return f"python -m pip install {change.path[0]}=={change.old}, {_ALLOW}"
    return _REMEDIES[change.part]
