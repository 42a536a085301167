"""Compare two robots' motions of the same people: those of `mtrack motions retarget`, and another retargeter's.

    mtrack motions retarget PEOPLE -o OURS
    mtrack motions import PEOPLE -o THEIRS --fill-missing
    python benchmarks/retargeted_people.py PEOPLE OURS THEIRS [--json OUT]

PEOPLE is a directory of ASAP's pickles, which contain both the person and ASAP's own motion of the G1. Keypoint error:
mean distance of knees, ankles, elbows and wrists, relative to the pelvis, from the person with the robot's limbs.
Skate, hover and penetration are those of `repaired_clips.py`, with each motion's own stances. Exit status 1 if one of
our means is worse.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from repaired_clips import Feet, measure, standing

from mtrack_g1.robot import G1
from mtrack_motion.file import read_clip
from mtrack_retarget.closeness import keypoint_error
from mtrack_retarget.joint_positions import JointPositions
from mtrack_retarget.retarget import Retargeter, resampled
from mtrack_retarget.robot_motion import RobotMotion
from mtrack_retarget.scaled import scaled
from mtrack_retarget.to_person import to_person


def main() -> int:
    """Print a line for each person, the means and the worst."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("people", "ours", "theirs"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    retargeter, feet, rows = Retargeter(G1()), Feet(), []
    for file in sorted(arguments.people.glob("*.pkl")):
        (skeleton,) = JointPositions().skeletons(file)
        person, _ = to_person(skeleton)
        row: dict[str, object] = {"person": file.stem}
        for who, folder in (("ours", arguments.ours), ("theirs", arguments.theirs)):
            clip = read_clip(folder / f"{file.stem}.npz")
            target = scaled(resampled(person, clip.fps), retargeter.limbs)
            motion, poses = RobotMotion.of(clip, retargeter.body.names), feet.read(folder / f"{file.stem}.npz")
            count = min(len(motion), len(target.pelvis_pos))
            error = keypoint_error(retargeter, motion.part(0, count), target.part(0, count))
            row[who] = {"keypoint_mm": 1e3 * error, **measure(poses, standing(poses))}
        rows.append(row)
        both = "  ".join(f"{who} {_words(row[who])}" for who in ("ours", "theirs"))
        sys.stdout.write(f"{file.stem:32} {both}\n")
    worse = []
    for name in rows[0]["ours"]:
        values = {who: np.array([row[who][name] for row in rows]) for who in ("ours", "theirs")}
        text = ", ".join(f"{who} {v.mean():.1f} (worst {v.max():.1f})" for who, v in values.items())
        lower = int((values["ours"] < values["theirs"]).sum())
        sys.stdout.write(f"{name}: {text}; ours is lower for {lower} of {len(rows)}\n")
        if values["ours"].mean() > values["theirs"].mean():
            worse.append(name)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    return 1 if worse else 0


def _words(values: object) -> str:
    assert isinstance(values, dict)
    return " ".join(f"{name.split('_')[0]} {value:.1f}" for name, value in values.items())


if __name__ == "__main__":
    raise SystemExit(main())
