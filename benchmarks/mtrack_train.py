"""Train a single-phase recipe on a CPU and write its learning curve over frames and CPU seconds.

    python benchmarks/mtrack_train.py MOTIONS CURVE.jsonl --envs 64 --frames 500000

MOTIONS is a folder of motion files. The reward of the curve is that of the group `tracking` per step, not multiplied by
the control step, so that other projects' rewards can be compared with it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from training_curve import CurveFile, cpu_seconds

from mtrack import Recipe
from mtrack.api.device import available_cpus
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.run.manifest import manifest
from mtrack.run.phase_run import PhaseRun
from mtrack_bench.measure import TimedTraining


def read(name: str, motions: Path, num_envs: int, frames: int, seed: int, more: list[str]) -> Recipe:
    """Return the recipe, with one folder of motions and a size."""
    changes = (
        f"num_envs={num_envs}",
        f"seed={seed}",
        "backend.use=mujoco",
        "motions.builtin.enabled=false",
        "motions.given.use=motion_files",
        f"motions.given.path={motions.absolute()}",
        f"phases.ppo.frames={frames}",
        "phases.ppo.compile=false",
    )
    return check_recipe(read_recipe(name, (*changes, *more)), Registry.scan())


def train(recipe: Recipe, out: Path) -> None:
    """Train the phase `ppo` and write the curve."""
    torch.set_num_threads(available_cpus())
    whole = recipe.for_phase("ppo")
    facts = manifest(recipe)
    about = {
        "side": Path(recipe.name).stem,
        "num_envs": recipe.num_envs,
        "seed": recipe.seed,
        "init_std": recipe.agent.params["init_std"],
        "threads": available_cpus(),
        "machine": facts["machine"],
        "distributions": facts["distributions"],
    }
    with tempfile.TemporaryDirectory() as folder:
        run = PhaseRun.open(whole, "ppo", Path(folder), whole.agent.build(), "cpu", None, [], 0)
        env, learner = run.assembly.env, TimedTraining(run, "ppo").learner
        curve = CurveFile(out, about)
        for iteration in range(learner.iterations):
            progress = iteration / learner.iterations
            env.set_progress(progress)
            started = cpu_seconds()
            rollout = learner.collect()
            collected = cpu_seconds()
            run.phase.update(rollout, progress)
            ended = cpu_seconds()
            values = env.statistics.read()
            reward = values["reward/tracking"] / recipe.control_dt
            frames, length = learner.frames_per_iteration, values.get("episode/length")
            curve.add(frames, collected - started, ended - collected, reward, length)
        curve.finish()


def main() -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("motions", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--recipe", default="g1_tracking_single_phase")
    parser.add_argument("--envs", type=int, default=64)
    parser.add_argument("--frames", type=int, default=500_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--init-std", type=float, default=1.0)
    parser.add_argument("--set", action="append", default=[], metavar="A.B=VALUE", dest="more")
    chosen = parser.parse_args()
    more = [f"agent.init_std={chosen.init_std}", *chosen.more]
    recipe = read(chosen.recipe, chosen.motions, chosen.envs, chosen.frames, chosen.seed, more)
    train(recipe, chosen.out)


if __name__ == "__main__":
    main()
