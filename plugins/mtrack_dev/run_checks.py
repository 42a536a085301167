"""Doctor checks of a run directory: state, lock, files, and every checkpoint against its manifest."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from mtrack import CheckpointError, MtrackError
from mtrack.cli.next_steps import resume_command
from mtrack.run.checkpoint import Checkpoint, load
from mtrack.run.checkpoint_facts import best_of_phases, describe_score
from mtrack.run.run_directory import is_locked, lock_holder
from mtrack_dev.check_result import CheckResult, Status
from mtrack_dev.machine import cannot_write
from mtrack_dev.run_state import RunState
from mtrack_log.jsonl import each_line

_SCARCE = 5  # checkpoints that fit the free space
_NAMED = 5  # lines of a file, or leftovers, in a message
_METRICS = "metrics.jsonl"
_PROCESSES = Path("/proc")


def lock(run: Path) -> Iterator[CheckResult]:
    """Report the process that has locked a run."""
    if not is_locked(run):
        yield CheckResult("ok", "lock", "no process uses this run")
        return
    pid, started = lock_holder(run)
    who = f"process {pid or 'of unknown number'} has trained this run since {started or 'an unknown time'}"
    if pid is None or not _PROCESSES.exists() or (_PROCESSES / str(pid)).exists():
        yield CheckResult("ok", "lock", who, f"stop it after a checkpoint with: kill -INT {pid}" if pid else "")
    else:
        remedy = "look for it on the machines and in the containers that share this folder, and for its child processes"
        yield CheckResult("note", "lock", f"{who}, but it is not on this machine", remedy)


def status(run: Path, state: RunState, options: Sequence[str]) -> Iterator[CheckResult]:
    """Report whether a run is finished, running, stopped, failed or killed; `options` are those of `-p`."""
    at = f" in iteration {state.at.get('iteration', '?')} of phase '{state.phase}'" if state.phase else ""
    resume = resume_command(run, options)
    found = {
        "finished": CheckResult("ok", "status", "finished"),
        "running": CheckResult("ok", "status", f"running{at}"),
        "stopped": CheckResult("note", "status", f"stopped{at}", f"continue: {resume}"),
        "failed": CheckResult("problem", "status", f"failed{at}", f"fix what its last lines name, then: {resume}"),
        "killed": CheckResult(
            "note",
            "status",
            f"killed{at}: its process could not report its end (kill -9, out of memory, or a power cut)",
            f"continue: {resume}",
        ),
    }
    yield found[state.status]


def recipe_and_manifest(run: Path, state: RunState) -> Iterator[CheckResult]:
    """Check that the files that `--resume` needs are there and readable."""
    for problem in state.problems:
        name = problem.split(maxsplit=1)[0].rstrip(":")
        copy = f"cp {run / 'checkpoints'}/NAME/{name} {run / name}   (NAME: the newest checkpoint)"
        yield CheckResult("problem", "files", problem, copy if name == "manifest.json" else f"rm {run / name}")
    if not (run / "recipe.toml").is_file():
        remedy = "restore it from a copy; without it this run cannot be resumed, evaluated or played"
        yield CheckResult("problem", "files", "recipe.toml is missing", remedy)


def folder(run: Path, state: RunState, found: Sequence[Checkpoint]) -> Iterator[CheckResult]:
    """Check that a run can be written, and that its disk has space for checkpoints."""
    is_done = state.status == "finished"
    for place in (run, run / "checkpoints"):
        reason = cannot_write(place) if place.is_dir() else ""
        if reason:
            remedy = f"make it writable: chmod u+rwx {shlex.quote(str(place))}, or copy the run to another folder"
            message = f"{place} cannot be written: {reason}"
            yield CheckResult("note" if is_done else "problem", "folder", message, remedy)
    sizes = [sum(entry["size"] for entry in checkpoint.manifest["files"].values()) for checkpoint in found]
    free, size = shutil.disk_usage(run).free, max(sizes, default=0)
    message = f"{free / 1e9:.1f} GB free" + (f"; a checkpoint has {size / 1e6:.1f} MB" if size else "")
    level: Status = "problem" if free < 2 * size else "note" if free < _SCARCE * size else "ok"
    if is_done or level == "ok":
        yield CheckResult("ok", "disk", message)
    else:
        yield CheckResult(
            level, "disk", message, "free some space: an old checkpoint is deleted after a new one is saved"
        )


def metrics(run: Path, state: RunState) -> Iterator[CheckResult]:
    """Check every line of metrics.jsonl."""
    file = run / _METRICS
    if not file.is_file():
        remedy = "train with [loggers.jsonl] in the recipe to get learning curves"
        yield CheckResult("note", "metrics", f"{_METRICS} is missing", remedy)
        return
    count, torn, is_last_torn = 0, 0, False
    try:
        for _, found, is_ended in each_line(file):
            count, torn, is_last_torn = count + (found is not None), torn + (found is None), not is_ended
    except (OSError, MtrackError) as error:
        yield CheckResult("problem", "metrics", str(error), f"make {file} readable, or delete that line")
        return
    yield CheckResult("ok", "metrics", f"{_METRICS}: {count:,} iterations")
    if is_last_torn and state.status != "running":
        remedy = "nothing to do: readers skip it, and --resume removes it"
        yield CheckResult("note", "metrics", f"the last line of {_METRICS} is torn: a write was interrupted", remedy)
    if torn > is_last_torn:
        message = f"{torn - is_last_torn} torn lines in {_METRICS}: the disk was full, or a write was interrupted"
        yield CheckResult("note", "metrics", message, "nothing to do: readers skip them")


def checkpoints(run: Path, found: Sequence[Checkpoint], problems: Sequence[str]) -> Iterator[CheckResult]:
    """Report the checkpoints that were opened, and why others could not be."""
    for problem in problems:
        yield CheckResult(
            "problem", "checkpoint", problem, "delete its folder; a run uses the newest one that is intact"
        )
    names = [str(checkpoint.path.relative_to(run)) for checkpoint in found]
    if names:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield CheckResult("ok", "checkpoint", f"intact: {', '.join(names[:_NAMED])}{more}")
    manifests = {checkpoint.path: checkpoint.manifest for checkpoint in found if checkpoint.path.parents[1] == run}
    for phase, path in best_of_phases(manifests).items():
        score = describe_score(manifests[path]["score"])
        yield CheckResult("ok", "best", f"{path.relative_to(run)} of phase '{phase}' ({score})")


def open_checkpoints(run: Path) -> tuple[list[Checkpoint], list[str]]:
    """Return the intact checkpoints of a run, newest first, and what is wrong with each file of the others."""
    intact, problems = [], []
    for path in sorted([*run.glob("checkpoints/[!.]*/"), *run.glob("ranks/*/checkpoints/[!.]*/")]):
        try:
            checkpoint = load(path)
        except CheckpointError as error:
            problems.append(str(error))
            continue
        damaged = list(_damaged_parts(checkpoint))
        problems += damaged
        intact += [] if damaged else [checkpoint]
    return sorted(intact, key=lambda c: (c.frames, c.ended), reverse=True), problems


def _damaged_parts(checkpoint: Checkpoint) -> Iterator[str]:
    """Yield what is wrong with each part of a checkpoint: missing, another size or sha256, or not valid JSON."""
    for part in dict.fromkeys(Path(name).stem for name in checkpoint.manifest["files"]):
        try:
            checkpoint.part(part)
        except CheckpointError as error:
            yield str(error)


def leftovers(run: Path, state: RunState) -> Iterator[CheckResult]:
    """Report what interrupted saves have left behind; nothing reads it."""
    if state.status == "running":  # it may be a save that is going on
        return
    hidden = [*run.glob("checkpoints/.*/"), *run.glob("ranks/*/checkpoints/.*/"), *run.glob(".*.new")]
    if not hidden:
        return
    size = sum(file.stat().st_size for place in hidden for file in (place, *place.rglob("*")) if file.is_file())
    names = ", ".join(str(place.relative_to(run)) for place in hidden[:_NAMED])
    more = f" and {len(hidden) - _NAMED} more" if len(hidden) > _NAMED else ""
    remedy = "nothing needs it: the next save deletes it, or delete it yourself"
    yield CheckResult("note", "leftovers", f"{size / 1e6:.1f} MB of interrupted saves: {names}{more}", remedy)
