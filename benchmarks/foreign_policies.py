"""Runs the whole-body policies that come with holosoma-inference in mtrack's robot runtime and plain MuJoCo.

    python benchmarks/foreign_policies.py EXPORT POLICY.onnx ... [--seconds S] [--scale RAD]

EXPORT is a folder of `mtrack export` of any G1 policy: its robot is simulated, with the gains of the other policy's
file. The robot starts at rest in the first frame of the motion in the file. Writes one line of JSON for each policy.
The files do not say how actions are scaled; without --scale it is done as holosoma-inference does.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from mtrack_deploy import Policy
from mtrack_deploy.foreign import ForeignPolicy
from mtrack_deploy.rollout import roll_out_frames
from mtrack_deploy.tracking import tracking_error
from mtrack_export.holosoma import holosoma_pose
from mtrack_g1.robot import G1


def measure(host: Policy, file: Path, seconds: float, scale: float | None) -> dict[str, object]:
    """Return what a policy does in its own motion, of which at most `seconds` are played."""
    policy = ForeignPolicy(host, file, holosoma_pose(), scale)
    motion = policy.motion()
    played = motion.frames(slice(0, round(seconds * policy.contract.reference.rate_hz)))
    began = time.perf_counter()
    rollout = roll_out_frames(policy, played, seeds=(0,), noisy=False)
    took = time.perf_counter() - began
    keypoints = G1().model().sets["keypoints"]
    error = tracking_error(rollout, played, policy.folder, policy.contract, keypoints)
    return {
        "policy": file.name,
        "action_scale": scale or "0.25 effort limit / stiffness",
        "frames_in_file": len(motion),
        **asdict(error),
        "seconds": len(played) * policy.contract.timing.control_dt,
        "took": round(took, 1),
    }


def main() -> None:
    """Measure the policies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("export", type=Path)
    parser.add_argument("policies", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=1e6)
    parser.add_argument("--scale", type=float)
    arguments = parser.parse_args()
    host = Policy.load(arguments.export)
    for file in arguments.policies:
        sys.stdout.write(json.dumps(measure(host, file, arguments.seconds, arguments.scale)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
