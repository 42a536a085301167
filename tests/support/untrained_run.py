"""A run directory with an untrained agent and short clips, as fast as a run can be made."""

from __future__ import annotations

from pathlib import Path

import attrs

from mtrack import load_recipe
from mtrack.loop.assemble import assemble
from mtrack.loop.state import component_state
from mtrack.run import checkpoint
from mtrack.run.manifest import manifest
from mtrack.run.transfer import Contract
from mtrack_motion.file import write_clip
from support.clips import swaying_clip


def make_run(
    directory: Path,
    *changes: str,
    phase: str = "train",
    clips: tuple[int, ...] = (12, 20),
    recipe_name: str = "g1_tracking_quick",
    gain: float = 1.0,
) -> Path:
    """Make a run of a recipe with a checkpoint of one of its phases; clips `swayN` have N frames at 50 Hz.

    The student's weights are multiplied by `gain`.
    """
    (directory / "clips").mkdir(parents=True)
    for frames in clips:
        write_clip(directory / "clips" / f"sway{frames}.npz", swaying_clip(frames=frames, name=f"sway{frames}"))
    motions = ("motions.builtin.use='motion_files'", f"motions.builtin.path='{directory / 'clips'}'")
    recipe = load_recipe(recipe_name, "num_envs=2", *motions, *changes)
    (directory / "recipe.toml").write_text(recipe.resolved_toml(), encoding="utf-8")
    save_checkpoint(directory, recipe, phase, gain=gain)
    return directory


def save_checkpoint(directory: Path, recipe, phase: str = "train", iteration: int = 1, gain: float = 1.0) -> Path:
    """Save a checkpoint of an untrained agent; each iteration has other weights."""
    agent, assembly = recipe.agent.build(), assemble(recipe.for_phase(phase), phase)
    agent.build(attrs.evolve(assembly.layout, seed=iteration))
    if gain != 1.0:
        for weights in agent.actor("student").parameters():
            weights.data.mul_(gain)
    phases = list(recipe.phases)
    history = [recipe.phases[name].entry.name for name in phases[: phases.index(phase) + 1]]
    facts = manifest(recipe, run_id="untrained")
    facts |= {"contract": attrs.asdict(Contract.of(recipe.for_phase(phase), assembly))}
    facts |= {"phase": phase, "phase_history": history, "iteration": iteration, "frames": 640 * iteration}
    facts |= {"frames_before": 0, "ended": False}
    parts = {"agent": component_state(agent)}
    return checkpoint.save(directory / "checkpoints", f"{phase}-{iteration:07d}", facts, parts)
