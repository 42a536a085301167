"""Score the teacher of a run: every clip from frame 0, deterministic, against a statue that holds frame 0.

    python benchmarks/learning.py runs/g1_tracking_quick-... [--rollouts 8] [--json]

A rollout is completed when it reaches the end of its clip without a termination. Errors are means over the frames until
then, each body seen from its own root; state and reference are compared at equal times. Noise is off, and so are
randomizations of the start.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import attrs
import torch

from mtrack.assemble import assemble
from mtrack.checkpoint import newest
from mtrack.recipe import load_recipe
from mtrack.registry import Registry
from mtrack.scene import Scene
from mtrack.state import load_component_state
from mtrack.structure import check_recipe
from mtrack_tracking.command import MotionTracking
from mtrack_tracking.errors import POS, mean_body_error


def score(run: Path, rollouts: int) -> list[dict[str, float | str]]:
    """Return one row a clip: share of completed rollouts, mean local keypoint errors of policy and statue [mm]."""
    quiet = ["command.start_noise=0.0", "action.max_delay=0"]
    plain = check_recipe(load_recipe(run / "recipe.toml", quiet), Registry.scan())
    slots = [slot for group in plain.observations.values() for slot in group.values()]
    quiet += [f"{slot.path}.noise=0.0" for slot in slots]
    recipe = check_recipe(load_recipe(run / "recipe.toml", quiet), Registry.scan())
    phase = next(iter(recipe.phases))
    recipe = recipe.for_phase(phase)
    clips = assemble(recipe, phase, num_envs=2).components["command"].library
    count = len(clips.names)
    assembly = assemble(recipe, phase, num_envs=count * rollouts)
    env, command = assembly.env, assembly.components["command"]
    assert isinstance(command, MotionTracking)
    command.pin(torch.arange(count).repeat_interleave(rollouts))
    agent = recipe.agent.build()
    agent.build(assembly.layout)
    load_component_state(agent, newest(run)[0].part("agent"), "agent")

    env.start()
    keypoints = env.scene.model.bodies("keypoints")
    still = env.scene.reference.body_pos_root.clone()
    active = torch.ones(env.scene.num_envs, dtype=torch.bool)
    completed = torch.zeros_like(active)
    error, statue, frames = (torch.zeros(env.scene.num_envs) for _ in range(3))

    reward = env.rewards[0]

    def watched(scene: Scene) -> torch.Tensor:
        """Take the errors where rewards are computed: at equal times, and before any row is reset."""
        error.add_(torch.where(active, mean_body_error(scene, POS, keypoints), 0.0))
        moved = (still - scene.reference.body_pos_root).norm(dim=-1)[:, keypoints].mean(-1)
        statue.add_(torch.where(active, moved, 0.0))
        frames.add_(active.float())
        return reward.component(scene)

    env.rewards[0] = attrs.evolve(reward, component=watched)
    with torch.no_grad():
        while active.any():
            step = env.step(agent.policy(env.observations, "teacher"))
            completed |= active & step.truncated
            active &= ~(step.truncated | step.terminated)

    def by_clip(values: torch.Tensor) -> torch.Tensor:
        return values.view(count, rollouts)

    return [
        {
            "clip": name,
            "frames": int(length),
            "completed": by_clip(completed.float())[i].mean().item(),
            "progress": (by_clip(frames)[i] / (length - 1)).clamp(max=1.0).mean().item(),
            "keypoint_error_mm": 1e3 * (by_clip(error)[i] / by_clip(frames)[i]).mean().item(),
            "statue_error_mm": 1e3 * (by_clip(statue)[i] / by_clip(frames)[i]).mean().item(),
        }
        for i, (name, length) in enumerate(zip(clips.names, clips.length.tolist(), strict=True))
    ]


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rollouts", type=int, default=8, help="rollouts a clip")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = score(arguments.run, arguments.rollouts)
    if arguments.json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return
    for row in rows:
        policy, statue = row["keypoint_error_mm"], row["statue_error_mm"]
        sys.stdout.write(
            f"{row['clip']:20} {row['frames']:5} frames  completed {row['completed']:5.0%}  "
            f"progress {row['progress']:5.0%}  keypoints {policy:6.1f} mm  statue {statue:6.1f} mm\n"
        )
    means = [sum(row[key] for row in rows) / len(rows) for key in ("completed", "keypoint_error_mm", "statue_error_mm")]
    sys.stdout.write(
        f"mean of clips: completed {means[0]:.0%}, keypoints {means[1]:.1f} mm, statue {means[2]:.1f} mm\n"
    )


if __name__ == "__main__":
    main()
