"""Join the measurements of mjlab_cpu.sh into one record: both sides, their ratios, and how their steps differ.

    python benchmarks/mjlab_join.py FOLDER benchmarks/results/mjlab_cpu.json     runs in mtrack's environment

FOLDER/results has a folder for each side, `mjlab` or the name of a recipe, with a file for each round and size.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_facts import model_facts

from mtrack.loop.assemble import assemble
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack_mujoco.backend import MujocoBackend

RATES = ("env_steps_per_s", "physics_steps_per_s")
MEASURED = (*RATES, "env_ratio", "forward_ms", "rest_ms", "processors_busy", "episodes_ended_per_step", "first_step_s")
NOTES = (
    "mjlab is made for GPUs, and needs one to train: this compares only how both step without a GPU",
    "physics: mjlab's mujoco_warp computes with one thread in float32, mtrack's MuJoCo with all in float64",
    "mjlab_cpu is the recipe closest to the task of mjlab in collision shapes and randomization; others are as shipped",
    "every recipe of mtrack has wider observations and more rewards than mjlab's task: see differences",
    "both play one clip with the actions of an untrained policy, whose computation is not timed",
    "rates: mjlab's over 20 control steps after 3, mtrack's medians of five rounds of 6, by mtrack bench",
    "physics_steps_per_s: control steps of engine calls alone, replayed at the states of the loop. mtrack's include "
    "forward passes of environments that were reset; mjlab's pass of all environments in each step is in forward_ms",
    "beside_physics_ms: time of a control step of all environments without physics; mjlab's includes forward_ms. "
    "rest_ms: time of its managers alone, measured in the loop",
    "compile_s: building two environments and their first step before any kernel is compiled; not part of any rate",
)


def points(side: str, files: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the medians of a side over rounds, for each number of environments and CPUs."""
    sizes: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for one in files:
        sizes.setdefault((one.get("processors") or one["threads"], one["num_envs"]), []).append(one)
    return [point(side, *size, found) for size, found in sorted(sizes.items())]


def point(side: str, processors: int, num_envs: int, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians of one size."""
    median = {key: statistics.median(one[key] for one in found) for key in MEASURED if key in found[0]}
    beside = num_envs / median["env_steps_per_s"] - num_envs / median["physics_steps_per_s"]
    rates = [round(one["env_steps_per_s"], 1) for one in found]
    rounded = {key: round(value, 4) for key, value in median.items()}
    return {
        "side": side,
        "processors": processors,
        "num_envs": num_envs,
        **rounded,
        "beside_physics_ms": round(1000.0 * beside, 3),
        "env_steps_per_s_of_rounds": rates,
    }


def facts(recipe: str) -> dict[str, Any]:
    """Return what a control step of a recipe consists of, with the keys of mjlab_cpu.py."""
    parsed = check_recipe(read_recipe(recipe), Registry.scan())
    made = assemble(parsed.for_phase(next(iter(parsed.phases))), num_envs=1)
    env, layout = made.env, made.layout
    assert isinstance(env.backend, MujocoBackend)
    return {
        "decimation": env.scene.decimation,
        **model_facts(env.backend._model),
        "observations": dict(layout.observations),
        "actions": layout.num_actions,
        "rewards": len(env.rewards),
        "terminations": len(env.terminations),
        "randomizations": sorted(slot.path.split(".")[-1] for slot in parsed.slots("randomization")),
    }


def joined_record(folder: Path) -> dict[str, Any]:
    """Return the record of a measurement."""
    sides = {
        side.name: [json.loads(file.read_text("utf-8")) for file in sorted(side.iterdir())]
        for side in sorted((folder / "results").iterdir())
    }
    compiled = json.loads((folder / "compile.json").read_text("utf-8"))
    mjlab = sides.pop("mjlab")
    theirs = points("mjlab", mjlab)
    of_size = {(one["processors"], one["num_envs"]): one for one in theirs}
    ours = []
    for recipe, files in sides.items():
        for one in points(recipe, [file["points"][0] for file in files]):
            other = of_size[one["processors"], one["num_envs"]]
            ours.append(one | {"times_mjlab": {key: round(one[key] / other[key], 1) for key in RATES}})
    header = next(iter(sides.values()))[0]
    return {
        "machine": header["machine"],
        "distributions": {"mtrack": header["distributions"], "mjlab": mjlab[0]["distributions"]},
        "task": mjlab[0]["task"],
        "notes": NOTES,
        "compile_s": round(compiled["build_s"] + compiled["first_step_s"], 1),
        "differences": {"mjlab": mjlab[0]["facts"], **{recipe: facts(resolved_recipe(recipe)) for recipe in sides}},
        "points": [*theirs, *ours],
    }


def main() -> None:
    """Join the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    chosen = parser.parse_args()
    text = json.dumps(joined_record(chosen.folder), indent=1)
    chosen.out.write_text(text + "\n", "utf-8")


def resolved_recipe(recipe: str) -> str:
    """Return the path of a recipe in this folder, else the name of an installed one."""
    own = Path(__file__).with_name(f"{recipe}.toml")
    return str(own) if own.exists() else recipe


if __name__ == "__main__":
    main()
