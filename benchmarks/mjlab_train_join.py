"""Join the learning curves of mjlab_train.sh into one record: rates, and rewards after equal frames and CPU time.

    python benchmarks/mjlab_train_join.py FOLDER/curves benchmarks/results/mjlab_train.json

Curves that are not complete are used as far as they go.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training_curve import Curve

FRAMES = (50_000, 100_000, 200_000, 300_000, 500_000, 1_000_000)
CPU_S = (60, 120, 300, 600, 1200, 2400)
NOTES = (
    "mjlab is made for GPUs: its physics (mujoco_warp) uses one thread on a CPU, one environment after another",
    "both: one walk (431 frames), equal numbers of environments, of steps between updates and first standard deviation "
    "of actions (see `about`); everything else as shipped",
    "reward: the six tracking terms of a step, weighted (5 is perfect), mean over the last tenth before that point. "
    "Actions explore. Neither penalties nor the number of failed episodes count",
    "episode_length: mean of the episodes that ended in that tenth [control steps]. mjlab's continue after the end of "
    "the clip, up to 500 steps; mtrack's end with the clip",
    "loop: acting and stepping; train: with the update; both per CPU second of all threads",
)


def side(curves: Sequence[Curve]) -> dict[str, Any]:
    """Return the medians over the seeds of one side."""
    rates = [curve.rates() for curve in curves]
    return {
        "seeds": len(curves),
        "complete": all(curve.is_complete for curve in curves),
        "frames": int(min(curve.frames[-1] for curve in curves)),
        "cpu_s": round(min(float(curve.cpu_s[-1]) for curve in curves), 1),
        **{key: statistics.median(one[key] for one in rates) for key in rates[0]},
        "after_frames": points(curves, "frames", FRAMES),
        "after_cpu_s": points(curves, "cpu_s", CPU_S),
    }


def points(curves: Sequence[Curve], axis: str, amounts: Sequence[int]) -> dict[str, dict[str, float | None]]:
    """Return the median reward and episode length after each amount that every curve has reached."""
    found: dict[str, dict[str, float | None]] = {}
    for amount in amounts:
        reached = [point for curve in curves if (point := curve.at(axis, amount))]
        if len(reached) < len(curves):
            break
        lengths = [point["episode_length"] for point in reached if point["episode_length"] is not None]
        reward = statistics.median(point["reward"] for point in reached)
        found[str(amount)] = {"reward": reward, "episode_length": statistics.median(lengths) if lengths else None}
    return found


def main() -> None:
    """Join the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curves", type=Path)
    parser.add_argument("out", type=Path)
    chosen = parser.parse_args()
    sides: dict[str, list[Curve]] = defaultdict(list)
    for file in sorted(chosen.curves.glob("*.jsonl")):
        sides[file.stem.rpartition("_")[0]].append(Curve(file))
    record: dict[str, Any] = {"notes": NOTES, "about": {name: found[0].about for name, found in sides.items()}}
    record |= {name: side(found) for name, found in sides.items()}
    if {"mtrack", "mjlab"} <= set(record):
        rates = ("loop_frames_per_cpu_s", "train_frames_per_cpu_s")
        record["times_mjlab"] = {key: round(record["mtrack"][key] / record["mjlab"][key], 2) for key in rates}
    chosen.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
