"""Measure how much faster updates are with torch.compile, and how long compiling takes.

    python benchmarks/compiled.py g1_tracking_teacher 256 --rounds 8 [--device cuda] [-o FILE]

It repeats updates on one rollout in one process, alternately compiled and plain, so that the ratio does not depend on
the speed of the machine. Only the first compilation is slow; empty TORCHINDUCTOR_CACHE_DIR to measure it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import torch

from mtrack.api.device import available_cpus
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.run.phase_run import PhaseRun
from mtrack_bench.bare_physics import seconds
from mtrack_bench.measure import TimedTraining


def measure(name: str, num_envs: int, rounds: int, device: str) -> dict[str, object]:
    """Return seconds of updates of a recipe's first phase, compiled and plain, and the median of their ratios."""
    recipe = check_recipe(read_recipe(name, [f"num_envs={num_envs}", f"device={device}"]), Registry.scan())
    phase_name = next(iter(recipe.phases))
    with tempfile.TemporaryDirectory() as folder:
        agent = recipe.agent.build()
        run = PhaseRun.open(
            recipe.for_phase(phase_name), phase_name, Path(folder), agent, recipe.resolved_device, None, [], 0
        )
        phase, training = run.phase, TimedTraining(run, phase_name)
        rollout = training.learner.collect()

        def update(compile: bool) -> float:
            phase.compile = compile  # type: ignore[attr-defined]
            training.finish()

            def work() -> None:
                phase.update(rollout, 0.0)
                training.finish()

            return seconds(work)

        update(False)
        update(False)
        first = update(True)
        pairs = [(update(True), update(False)) for _ in range(rounds)]
    compiled, plain = (statistics.median(times) for times in zip(*pairs, strict=True))
    return {
        "recipe": name,
        "num_envs": num_envs,
        "device": recipe.resolved_device,
        "compiled_s": round(compiled, 3),
        "plain_s": round(plain, 3),
        "ratio": round(statistics.median(a / b for a, b in pairs), 3),
        "ratios": [round(a / b, 2) for a, b in pairs],
        "first_update_s": round(first, 1),
    }


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("num_envs", type=int)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, auto")
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(available_cpus())
    text = json.dumps(measure(arguments.recipe, arguments.num_envs, arguments.rounds, arguments.device))
    sys.stdout.write(text + "\n")
    if arguments.out:
        arguments.out.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
