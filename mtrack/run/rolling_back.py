"""Rolls a phase back if nothing is learned any more: to its newest sound checkpoint, with half the learning rate."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import attrs

from mtrack.api.distributed import all_reduce_min, rank
from mtrack.api.lifecycle import ScalesLearningRate
from mtrack.errors import CheckpointError, RunError
from mtrack.loop.learner import Learner
from mtrack.loop.rollbacks import MOST_ROLLBACKS, Futility, Rollback, Rollbacks
from mtrack.run.checkpoint import Checkpoint, find
from mtrack.run.divergence import FOLDER as REPRODUCTIONS
from mtrack.run.phase_run import PhaseRun
from mtrack.run.run_directory import short

FILE = "rollbacks.jsonl"
"""Lists the rollbacks of a run in its directory, one per line."""
_SET_ASIDE = "rolled_back"
_START = "the start of the phase"
_log = logging.getLogger("mtrack")


def roll_back(phase_run: PhaseRun, learner: Learner, futility: Futility) -> None:
    """Return to the newest state of the phase from which something was learned, with half the learning rate.

    All processes must call this together. Raises RunError, with what was tried, if that cannot help or has been done
    `MOST_ROLLBACKS` times.
    """
    obstacle = _obstacle(phase_run, learner)
    sound = {} if obstacle else _sound(phase_run, learner)
    target = None if obstacle else _common_iteration(sound)
    if target is None:
        obstacle = obstacle or "there is no earlier state of this phase after which something was learned"
        raise RunError(_last_words(phase_run, learner, futility, obstacle))
    done, stopped_at, checkpoint = learner.rollbacks.done, learner.iteration, sound[target]
    if checkpoint:
        phase_run.restore(learner, checkpoint)
    else:
        phase_run.restart(learner)
    name = checkpoint.path.name if checkpoint else _START
    # those of the checkpoint may be fewer: it can be older than the last rollback
    learner.rollbacks = Rollbacks([*done, Rollback(stopped_at, name, futility.reason)])
    phase_run.scale_learning_rate(learner.rollbacks.factor)
    moved = _set_aside(phase_run.directory, learner.name, target)
    _report(phase_run, learner, moved)


def read_rollbacks(run: Path) -> list[str]:
    """Return the rollbacks of a run in words, e.g. for a report; lines that cannot be read are left out."""
    found: dict[tuple[str, int], str] = {}  # a run that is resumed from an earlier checkpoint repeats them
    try:
        lines = (run / FILE).read_text("utf-8").splitlines()
    except OSError:
        return []
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):  # torn, or not ours
            facts = json.loads(line)
            rollback = Rollback(int(facts["iteration"]), str(facts["target"]), str(facts["reason"]))
            found[str(facts["phase"]), int(facts["number"])] = f"phase '{facts['phase']}' was {rollback}"
    return list(found.values())


def _obstacle(phase_run: PhaseRun, learner: Learner) -> str:
    """Return why no rollback is possible; "" if one may be."""
    if len(learner.rollbacks.done) >= MOST_ROLLBACKS:
        return f"it has been rolled back {MOST_ROLLBACKS} times"
    if not isinstance(phase_run.phase, ScalesLearningRate):
        return f"{phase_run.slot} has no scale_learning_rate"
    return ""


def _sound(phase_run: PhaseRun, learner: Learner) -> dict[int, Checkpoint | None]:
    """Return to which iterations this process can return: intact checkpoints by iteration, and None for the start.

    They lie before the last iteration from which something was learned: between that iteration and now no optimiser has
    made a step, so that another learning rate would change nothing.
    """
    last_learned = learner.iteration - learner.rollbacks.futile
    sound: dict[int, Checkpoint | None] = {0: None} if phase_run.has_start and last_learned > 0 else {}
    found, problems = find(phase_run.directory / "checkpoints")
    for problem in problems:
        _log.warning("%s", problem)
    for checkpoint in found:
        if checkpoint.phase == learner.name and checkpoint.iteration < last_learned:
            try:
                checkpoint.verify()
            except CheckpointError as error:
                _log.warning("%s", error)
            else:
                sound[checkpoint.iteration] = checkpoint
    return sound


def _common_iteration(sound: Mapping[int, object]) -> int | None:
    """Return the iteration to which all processes can return, or None; this one can return to `sound`."""
    common = all_reduce_min(max(sound, default=-1))
    # a process may lack the newest checkpoint of the others
    return common if all_reduce_min(int(common in sound)) else None


def _set_aside(run: Path, phase: str, iteration: int) -> list[Path]:
    """Move the checkpoints of a phase with more iterations to `rolled_back/`, and return their new paths.

    A run that is resumed then starts from what it was rolled back to. A failure is only logged.
    """
    moved = []
    for old in (c for c in find(run / "checkpoints")[0] if c.phase == phase and c.iteration > iteration):
        folder = run / _SET_ASIDE
        number = len(list(folder.glob(f"{old.path.name}*")))
        new = folder / (f"{old.path.name}-{number + 1}" if number else old.path.name)
        try:
            folder.mkdir(exist_ok=True)
            moved.append(old.path.rename(new))
        except OSError as error:
            _log.warning("cannot move %s: %s", old.path, error)
    return moved


def _report(phase_run: PhaseRun, learner: Learner, moved: list[Path]) -> None:
    """Log the newest rollback and append it to `rollbacks.jsonl`."""
    if rank() > 0:
        return
    newest, number, factor = learner.rollbacks.done[-1], len(learner.rollbacks.done), learner.rollbacks.factor
    where = f"; set aside: {', '.join(str(short(path)) for path in moved)}" if moved else ""
    _log.warning(
        "phase '%s' was %s. Now %g of the rate in the recipe; this was rollback %d of at most %d%s",
        *(learner.name, newest, factor, number, MOST_ROLLBACKS, where),
    )
    facts = {"phase": learner.name, "number": number, **attrs.asdict(newest), "learning_rate_factor": factor}
    try:
        with (phase_run.directory / FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")
    except OSError as error:
        _log.error("cannot write %s: %s", FILE, error)


def _last_words(phase_run: PhaseRun, learner: Learner, futility: Futility, obstacle: str) -> str:
    """Return why the run stops, what was tried, where the evidence is, and what to do about it."""
    lines = [learner.describe_futility(futility), f"  it is not rolled back: {obstacle}"]
    lines += [f"  before: {rollback}" for rollback in learner.rollbacks.done]
    kept = sorted((phase_run.directory / REPRODUCTIONS).glob("*.safetensors"))
    if kept:
        lines.append(f"  {len(kept)} reproductions of environments that diverged: {short(kept[0].parent)}")
    return "\n".join([*lines, f"  {futility.remedy}"])
