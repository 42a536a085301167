"""Measure a repair of G1 clips with plain MuJoCo: hover, penetration and skate of the standing feet, joint changes.

    python benchmarks/repaired_clips.py BEFORE AFTER [--json OUT]

BEFORE and AFTER are directories of motion files with equal names: those given to `mtrack motions repair`, and its
results. Uses nothing of the plugin: stances are those of the clip before, by the rule of training (`contact_...` of
motion_tracking) with central differences; heights and speeds are those of the lowest contact sphere of a foot.
Exit status 1 if a clip misses a goal: 5 mm (95th percentiles), 20 mm/s (mean), 0.1 rad (root mean square), and
none of the three worse than before.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from mtrack_g1.robot import G1

FEET = ("left_ankle_roll_link", "right_ankle_roll_link")
GOALS = {"hover_mm": 5.0, "penetration_mm": 5.0, "skate_mm_per_s": 20.0, "joint_change_rad": 0.1}


class Feet:
    """The G1's feet in the frames of a motion file."""

    def __init__(self) -> None:
        """Compile the G1."""
        self.model = G1().spec().compile()
        self.data = mujoco.MjData(self.model)
        self.bodies = [self.model.body(name).id for name in FEET]
        solid = np.flatnonzero(self.model.geom_contype | self.model.geom_conaffinity)
        self.spheres = np.array([[i for i in solid if self.model.geom_bodyid[i] == body] for body in self.bodies])

    def read(self, file: Path) -> dict[str, Any]:
        """Return rate, root [T, 3], joints [T, J], foot origins [T, 2, 3] and sphere bottoms [T, 2, 4, 3] of a file."""
        with np.load(file) as members:
            clip = {name: members[name] for name in members.files}
        names = [str(name) for name in clip["joint_names"]]
        columns = [self.model.joint(name).qposadr[0] for name in names]
        count = len(clip["root_pos"])
        origin, bottom = np.empty((count, 2, 3)), np.empty((count, *self.spheres.shape, 3))
        joints = np.empty((count, self.model.nq - 7))
        for frame in range(count):
            self.data.qpos[:] = self.model.qpos0
            self.data.qpos[:7] = *clip["root_pos"][frame], *clip["root_quat_wxyz"][frame]
            self.data.qpos[columns] = clip["joint_pos"][frame]
            mujoco.mj_kinematics(self.model, self.data)
            joints[frame] = self.data.qpos[7:]
            origin[frame] = self.data.xpos[self.bodies]
            bottom[frame] = self.data.geom_xpos[self.spheres]
            bottom[frame, ..., 2] -= self.model.geom_size[self.spheres, 0]
        root = clip["root_pos"].astype(float)
        return {"fps": float(clip["fps"]), "root": root, "joints": joints, "origin": origin, "bottom": bottom}


def standing(clip: dict[str, Any]) -> np.ndarray:
    """Return whether each foot stands, [T, 2], by the rule of training."""
    speed = np.gradient(clip["origin"], axis=0) * clip["fps"]
    root = np.gradient(clip["root"], axis=0) * clip["fps"]
    usual = np.maximum(np.linalg.norm(root[:, :2], axis=1), 1.0)[:, None]
    level, rise = np.linalg.norm(speed[..., :2], axis=-1) / usual, np.abs(speed[..., 2]) / usual
    height = clip["origin"][..., 2]
    begins = (height < 0.18) & (level < 0.2) & (rise < 0.15)
    ends = (height > 0.25) | (level > 0.3) | (rise > 0.25)
    stands = np.zeros_like(begins)
    stands[0] = begins[0]
    for frame in range(1, len(stands)):
        stands[frame] = begins[frame] | (stands[frame - 1] & ~ends[frame])
    return stands


def measure(clip: dict[str, Any], stands: np.ndarray) -> dict[str, float]:
    """Return hover, penetration and skate of the standing feet."""
    height = clip["bottom"][..., 2]
    lowest = height.argmin(axis=-1)[1:, :, None, None]
    step = clip["bottom"][1:] - clip["bottom"][:-1]
    slide = np.take_along_axis(step, np.broadcast_to(lowest, (*lowest.shape[:2], 1, 3)), axis=2)[:, :, 0, :2]
    speed = np.linalg.norm(slide, axis=-1)[stands[1:] & stands[:-1]] * clip["fps"]
    depth = height.min(axis=-1)[stands]
    return {
        "hover_mm": 1e3 * float(np.quantile(np.maximum(depth, 0.0), 0.95)),
        "penetration_mm": 1e3 * float(np.quantile(np.maximum(-depth, 0.0), 0.95)),
        "skate_mm_per_s": 1e3 * float(speed.mean()),
    }


def main() -> int:
    """Print a line for each clip, and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    feet, rows, missed = Feet(), [], 0
    for file in sorted(arguments.before.glob("*.npz")):
        one, two = feet.read(file), feet.read(arguments.after / file.name)
        stands = standing(one)
        before, after = measure(one, stands), measure(two, stands)
        after["joint_change_rad"] = float(np.sqrt(((two["joints"] - one["joints"]) ** 2).mean()))
        over = [name for name, goal in GOALS.items() if after[name] > goal]
        worse = [name for name in before if after[name] > max(before[name], 1.0)]  # below 1 mm nothing is worse
        missed += bool(over or worse)
        rows.append({"clip": file.stem, "before": before, "after": after, "over": over, "worse": worse})
        values = "  ".join(f"{name} {before.get(name, 0.0):.1f} -> {value:.2f}" for name, value in after.items())
        sys.stdout.write(f"{file.stem:32} {values}  {' '.join((*over, *worse))}\n")
    means = {name: float(np.mean([row["after"][name] for row in rows])) for name in GOALS}
    sys.stdout.write(f"{len(rows) - missed} of {len(rows)} clips meet all goals; means after: {means}\n")
    if arguments.json:
        arguments.json.write_text(json.dumps({"goals": GOALS, "means": means, "clips": rows}, indent=1))
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
